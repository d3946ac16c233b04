/*
 * A request: one unit of work with its memory, its caller and its answer. HTTP
 * requests are made by conn.c; work that outlives its request (an agent's
 * turn, a schedule) has a background request of its own without connection.
 *
 * In handlers/, a function whose first parameter is struct req may suspend.
 */
#ifndef REACTOR_REQ_H
#define REACTOR_REQ_H

#include "core/pg.h"
#include "core/redis.h"
#include "base/json.h"
#include "route.h"

struct conn;
struct identity; /* handlers/auth.h: who asks */
struct server;
struct values;

struct req {
    struct arena arena;
    struct server *server;
    struct task *task;
    struct conn *conn; /* NULL in background work, and once the client is gone */
    struct http_head head;
    struct route_match match;
    const struct route *route;
    struct str body;                      /* all of it, decoded from its framing */
    const struct json *json;              /* after body validation; NULL without a body */
    struct values *fields, *query_fields; /* what body_check() and query_check() found (handlers/fields.h) */
    struct identity *identity;
    /*
     * Set while the caller's grants are not yet known to be current (handlers/auth.h). Whoever is about to do
     * what others can notice (write, publish, stream) calls it first and passes a failure on; a first read is
     * started, then confirmed, then finished, so that both share one wait.
     */
    int (*confirm)(struct req *r);
    struct pg_tx *tx;  /* open transaction: sql_* run inside it */
    char id[37];       /* X-Request-ID */
    struct str client; /* address, after TRUSTED_PROXIES */
    bool is_tls;       /* trusted X-Forwarded-Proto: https */
    int64_t started_ns;

    int status;              /* of the answer; 0: none yet */
    struct str content_type; /* default application/json */
    struct buf answer;       /* body, in the arena */
    struct buf headers;      /* further "Name: value\r\n" lines, in the arena */
    bool is_streaming;       /* the connection went over to a stream */
    struct str failure;      /* text of the failure, for the log and for background work */
    char user_id[37];        /* for the access log, once it is known */

    /* The engine's own. */
    struct buf incoming;                  /* the body while it arrives, on the heap */
    uint64_t body_bytes_max;              /* by the route's flags; server.admit may lower it */
    size_t accounted;                     /* of the pool's budget for what clients send */
    const struct http_field *query_pairs; /* decoded */
    size_t query_pairs_count;
    bool is_detached;    /* see req_detach() */
    struct list service; /* of server.services */
};

/* A request as conn.c and req_spawn() make it; req_free() runs what the arena deferred. */
struct req *req_new(struct server *s);
void req_free(struct req *r);
/* Decodes the query string. 0 or -EINVAL. */
MUST_USE int req_query_parse(struct req *r);

/* From now on the client's leaving does not cancel the task: its work is somebody else's too. */
void req_detach(struct req *r);

/* ---- what the caller asked ---- */
struct str param(const struct req *r, const char *name);  /* path parameter; must exist in the route */
struct str header(const struct req *r, const char *name); /* first field, or STR_NONE */
/* Decoded query value, the last one of that name; STR_NONE when absent. */
struct str query(struct req *r, const char *name);

/* ---- answers; each returns 0, fail returns -1 so that it can be returned ---- */
int reply_json(struct req *r, int status, struct str json);
int reply_empty(struct req *r, int status); /* 204 */
int reply_text(struct req *r, int status, const char *content_type, struct str text);
/* A writer onto r->answer; the handler sets r->status (or calls reply_written). */
void reply_begin(struct req *r, struct json_writer *w);
int reply_written(struct req *r, int status);
void reply_header(struct req *r, const char *name, struct str value);

/* {"detail": text} with that status. Never SQL, host names or library texts (spec 10 §1.5). Returns -1. */
int fail(struct req *r, int status, const char *format, ...) PRINTF_LIKE(3, 4);
/* {"detail": <json>}. Returns -1. */
int fail_json(struct req *r, int status, struct str detail_json);

/* Forgets an answer that was set, so that another can be given. */
void reply_reset(struct req *r);

/* ---- background work ---- */
/*
 * A request without connection, run by fn in a task of its own; freed when fn
 * returns. fn gets it with arg. name as in task_spawn().
 */
struct req *req_spawn(struct server *s, const char *name, void (*fn)(struct req *r, void *arg), void *arg);
/* The same for work that never ends by itself (purges, pollers): cancelled at once when the server drains. */
struct req *req_spawn_service(struct server *s, const char *name, void (*fn)(struct req *r, void *arg),
                              void *arg);

/* ---- data, with failures turned into answers (503, 500) ---- */
/*
 * Used by the generated sql_<name>_await(). The number of rows; -EEXIST, -EINVAL (a constraint, named in
 * rows), -EAGAIN (try the transaction again) and -ECANCELED come without an answer set; other failures set
 * 503 or 500. What a handler leaves open is rolled back when its task ends.
 */
MUST_USE int sql_exec_await(struct req *r, struct rows *rows, const struct sql_stmt *s,
                            const struct str *params);
MUST_USE int sql_begin_await(struct req *r);
MUST_USE int sql_commit_await(struct req *r);
void sql_rollback(struct req *r);

#endif
