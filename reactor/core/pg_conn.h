/*
 * Inside the PostgreSQL client only: connections (pg_conn.c) and the lanes that
 * own them (pg.c).
 *
 * Every connection is in libpq's pipeline mode. What was sent is a queue of
 * steps; answers come in the same order:
 *
 *   [prepare] execute [[prepare] execute …] sync     a batch, on the read lane
 *   [begin] [prepare] execute sync                   one call, on the write lane
 *
 * When a statement fails, the server skips what follows up to the sync. On the
 * read lane the skipped neighbours are sent once more, each with a sync of its own:
 * they cannot have changed anything, and nobody sees another's failure.
 */
#ifndef CORE_PG_CONN_H
#define CORE_PG_CONN_H

#include "base/buf.h"
#include "core/pg.h"
#include "core/resolve.h"

#include <libpq-fe.h>

enum {
    PG_CONNECT_TIMEOUT_MS = 5000,
    PG_QUEUE_TIMEOUT_MS = 5000,  /* for a connection */
    PG_WRITE_TIMEOUT_MS = 30000, /* of a statement on the write lane */
    PG_GRACE_MS = 5000,          /* beyond the server's own limit: then the connection counts as dead */
    PG_TX_IDLE_MS = 60000,       /* the server ends a transaction that is left alone so long */
    PG_BACKOFF_FIRST_MS = 50,
    PG_BACKOFF_MAX_MS = 800,
    PG_BATCH_MAX = 16,      /* statements per sync on the read lane */
    PG_IN_FLIGHT_MAX = 256, /* calls per connection on the read lane; more wait in the queue */
    PG_QUEUE_MAX = 20000,   /* calls per lane */
    PG_WRITE_KEEP = 4,      /* idle connections that stay open */
    PG_IDLE_MS = 30000,     /* others are closed after this */
    PG_PARAMS_MAX = 128,
    PG_PARAM_BYTES_MAX = 1 << 30, /* what PostgreSQL takes */
    PG_TRIES_MAX = 3,             /* of a call that was not executed */
    PG_STRIKES_MAX = 3,           /* losses of a prepared statement until it is not prepared any more */
    PG_WORN_BYTES = 8 << 20 /* libpq keeps the memory of its largest message: such a connection is replaced */
};

struct pg_lane;
struct pg_conn;

struct pg_call {
    struct list link; /* of the lane's queue, until it is sent */
    struct completion done;
    struct pg_lane *lane;
    const struct sql_stmt *stmt; /* or one of the next two */
    const char *command;         /* commit */
    struct pg_tx *tx;            /* waits for a connection of its own */
    const struct str *params;
    struct pg_conn *conn; /* it was sent on; NULL: it is in the queue, or done */
    PGresult *result;
    int rc;
    bool is_settled;   /* rc and result stand */
    bool must_retry;   /* it was not executed and can be */
    unsigned tries;    /* how often it was sent */
    bool is_forgotten; /* nobody waits: free it when its answer is there */
};

enum pg_step_kind { STEP_PREPARE, STEP_EXECUTE, STEP_COMMAND, STEP_SYNC };

struct pg_step {
    enum pg_step_kind kind;
    struct pg_call *call; /* NULL: begin and rollback, whose answers nobody waits for */
};

struct pg_steps {
    struct pg_step *ring;
    unsigned capacity, first, count; /* capacity is a power of two */
};

/* How a connection runs a statement: by name after preparing it, or by its text each time. */
enum pg_prepared_state { PREPARED_NOT, PREPARED_YES, PREPARED_NEVER };

struct pg_prepared {
    const struct sql_stmt *stmt;
    bool is_prepared;
    unsigned strikes;
};

struct pg_prepared_set {
    struct pg_prepared *slots;
    unsigned capacity, count;
};

enum pg_conn_state { CONN_CONNECTING, CONN_READY, CONN_BUSY, CONN_CLOSED, CONN_STATES };

struct pg_conn {
    struct list link; /* of the lane's list for its state */
    struct pg_lane *lane;
    enum pg_conn_state state;
    PGconn *pq; /* NULL while the host's address is being looked up */
    struct resolve *look_up;
    ev_io readable, writable;
    ev_timer watchdog; /* while connecting, or while answers are outstanding */
    ev_tstamp progress_at;
    ev_tstamp idle_since;
    struct pg_steps steps;
    struct pg_prepared_set prepared;
    unsigned calls;          /* under way on it */
    unsigned unsynced;       /* calls sent since the last sync */
    struct pg_call *current; /* write lane: the one call under way */
    struct pg_tx *tx;
    bool must_roll_back; /* its transaction was given up while a statement was running */
    bool has_answered;
    bool is_worn;
};

struct pg_tx {
    struct pg_conn *conn; /* NULL: lost */
    bool is_open;         /* BEGIN was sent */
    bool is_broken;       /* a statement's answer was given up: nothing more can be said in it */
};

/* ---- pg_conn.c ---- */
/* host is looked up first, if it is a name. Then pg_lane_connect() is asked for the connection. */
struct pg_conn *pg_conn_open(struct pg_lane *lane, const char *host, unsigned attempt);
/* Stops everything on it and fails its calls; memory goes with pg_conn_free() at the end of the turn. */
void pg_conn_close(struct pg_conn *c);
void pg_conn_free(struct pg_conn *c);
/* Each sends without a sync; false when the connection was lost over it. */
bool pg_conn_send_call(struct pg_conn *c, struct pg_call *call);
bool pg_conn_send_command(struct pg_conn *c, const char *command, struct pg_call *call);
bool pg_conn_sync(struct pg_conn *c);
void pg_conn_set_state(struct pg_conn *c, enum pg_conn_state next);

/* ---- pg.c: what a connection tells its lane ---- */
/* address is that of the host; NULL: as the URL says. */
PGconn *pg_lane_connect(struct pg_lane *lane, const char *address);
struct loop *pg_lane_loop(const struct pg_lane *lane);
struct pg_stats *pg_lane_stats(struct pg_lane *lane);
/* To the log, once per statement and second. */
void pg_lane_log_failure(struct pg_lane *lane, const char *statement, const PGresult *result);
struct list *pg_lane_conns(struct pg_lane *lane, enum pg_conn_state state);
int64_t pg_lane_answer_limit_ms(const struct pg_lane *lane);
bool pg_lane_is_shared(const struct pg_lane *lane);
void pg_lane_conn_ready(struct pg_conn *c);
/* It was closed; text says why and lives during the call, NULL when it was the lane's own wish. */
void pg_lane_conn_closed(struct pg_conn *c, enum pg_conn_state was, const char *text);
void pg_lane_conn_free_later(struct pg_conn *c);
/* A read is answered, or the write lane's connection has nothing under way any more. */
void pg_lane_call_done(struct pg_call *call);
void pg_lane_conn_synced(struct pg_conn *c);

/* ---- pg_result.c ---- */
/* 0, or the negative code of a failed result as in pg.h. */
int pg_result_rc(const PGresult *result);
bool pg_result_is(const PGresult *result, const char *sqlstate);
const char *pg_result_sqlstate(const PGresult *result);

/* ---- pg_prepared.c ---- */
enum pg_prepared_state pg_prepared_get(const struct pg_prepared_set *set, const struct sql_stmt *stmt);
void pg_prepared_put(struct pg_prepared_set *set, const struct sql_stmt *stmt);
void pg_prepared_forget(struct pg_prepared_set *set, const struct sql_stmt *stmt);
/* It was deallocated behind our back: prepared again a few times, then avoided. */
void pg_prepared_lost(struct pg_prepared_set *set, const struct sql_stmt *stmt);
/* From now on the statement goes out as text. */
void pg_prepared_avoid(struct pg_prepared_set *set, const struct sql_stmt *stmt);
void pg_prepared_fini(struct pg_prepared_set *set);

#endif
