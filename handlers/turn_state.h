/* The inside of a turn, for the files turn*.c only. */
#ifndef HANDLERS_TURN_STATE_H
#define HANDLERS_TURN_STATE_H

#include "base/table.h"
#include "core/child.h"
#include "handlers/history.h"
#include "handlers/turn.h"

enum turn_stop {
    TURN_STOP_NONE,
    TURN_STOP_CLIENT,   /* its last client left */
    TURN_STOP_ARCHIVED, /* its chat was archived */
    TURN_STOP_SHUTDOWN
};

struct turns {
    struct server *server;
    struct table by_chat;
    struct list list;
    unsigned starting;          /* wait for their chat's lock */
    char node[CHILD_NODE_SIZE]; /* of this reactor, the same for its successors */
    int64_t generation;
    int64_t leased_until_ms; /* on the loop's clock */
    bool is_renewing;
    ev_timer lease; /* runs while turns run */
    ev_timer grace; /* of draining */
    ev_timer heartbeat;
    double started_at; /* seconds since 1970 */
};

struct turn {
    struct table_node node; /* in by_chat, once it holds the lock */
    struct list link;
    struct turns *all;
    struct arena arena;
    struct req *r; /* its own background request */
    struct channel *channel;
    struct list waiters;    /* requests that want its start or its end */
    struct list successors; /* turns that wait for this chat's lock */
    char chat_id[37], channel_id[37];
    struct str user_id, api_key_id;
    struct record context;
    struct content content;
    bool is_locked; /* its row is ours */
    bool is_ending; /* nothing stops it any more */
    bool ends_unwatched, keeps_long;
    enum turn_stop stop;
    double enqueued_at;  /* seconds since 1970 */
    int64_t deadline_ms; /* on clock_mono_ns(), in ms */
    int64_t lock_wait_ms;

    struct rows history; /* the conversation as it was read with the lock */

    /* The conversation, oldest first, grown by the rounds. */
    struct history_row *rows;
    size_t rows_count, rows_capacity;
    int round;         /* tool rounds that were run */
    bool was_repaired; /* the answer did not fit the output schema once */

    /* What the end stores and says. */
    struct buf text; /* of this round, sent to clients and not stored yet */
    struct str content_final;
    enum turn_end_kind kind;
    int status;
    struct str error;
    struct buf usage; /* JSON objects for the ledger, separated by commas */
    bool has_usage;
    int64_t prompt_tokens, completion_tokens, total_tokens;
};

/* turn_run.c: everything between the stored user message and the end. Leaves kind, status, error,
 * content_final, text. */
void turn_rounds(struct req *r, struct turn *t);

/* How a turn fails: said to the clients and stored as its last message. */
void turn_fail(struct turn *t, int status, const char *format, ...) PRINTF_LIKE(3, 4);

static inline bool turn_is_stopped(const struct turn *t)
{
    return t->stop != TURN_STOP_NONE;
}

/* turn_owner.c */
/* Waits until the lease of this node is good for longer than a statement takes. 0 or negative without an
 * answer set. */
MUST_USE int turn_lease_await(struct req *r, struct turns *all);
void turn_lease_start(struct turns *all);
/* Ends the turn that holds the chat when its reactor is dead. 1 it was ended, 0 its reactor lives (or it has
 * ended), negative. */
MUST_USE int turn_end_dead_await(struct req *r, struct turns *all, struct str chat_id);

/* turn_job.c */
/* Writes the turn's status record as it is now. */
void turn_job_write(struct turn *t);
/* The record of a dead reactor's turn becomes "failed" unless it has ended. 0 or negative. */
MUST_USE int turn_job_fail_await(struct req *r, struct turns *all, struct str channel_id, struct str error);
void turn_heartbeat_start(struct turns *all);
void turn_heartbeat_stop(struct turns *all);

#endif
