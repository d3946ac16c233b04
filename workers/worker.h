/*
 * The worker's side of the sockets, for any kind of worker: accepts reactors,
 * exchanges hello, keeps the calls and their events.
 *
 * A call belongs to the connection that started it. Its events are numbered,
 * sent, and kept until acknowledged, so that another reactor can take the call
 * over when its own has died; unclaimed ones are ended after reclaim_s. What is
 * kept outgrows the call's window by what one read from the network holds at most: a worker
 * must not read more while worker_call_is_full(), and hears of room by on_room().
 */
#ifndef WORKERS_WORKER_H
#define WORKERS_WORKER_H

#include "core/wire.h"
#include "workers/proto.h"

enum {
    WORKER_RECLAIM_SECONDS = 30,
    WORKER_CONNS_MAX = 64,
    WORKER_CALLS_MAX = 16384,
    WORKER_LABEL_MAX = 200,
    WORKER_BUCKETS = 1024
};

struct worker;

struct worker_conn {
    struct wire wire;
    struct list link;
    struct worker *worker;
    struct list calls;
    bool is_greeted; /* its hello came */
};

/* Embedded by what a worker knows about a call. */
struct worker_call {
    struct list link;   /* of its connection's calls, or of the orphans */
    struct list bucket; /* by id */
    struct worker *worker;
    struct worker_conn *conn; /* NULL: its reactor died */
    uint64_t id;
    uint64_t sent, acked; /* numbers of events */
    struct list kept;     /* events after acked */
    size_t kept_bytes, window;
    bool is_last_sent;
    int64_t orphaned_ms;
    size_t label_size;
    char label[WORKER_LABEL_MAX];
};

struct worker_ops {
    /* A message that is none of the call_…; negative drops the connection. */
    int (*on_frame)(struct worker_conn *c, const struct frame *f);
    /* The call is not full any more. */
    void (*on_room)(struct worker_call *call);
    /* Cancelled, expired or all consumed: stop what runs for it, worker_call_fini(), free. */
    void (*on_end)(struct worker_call *call);
};

struct worker {
    struct loop *loop;
    const struct worker_ops *ops;
    unsigned instance;
    int listener;
    ev_io acceptable;
    ev_timer sweep; /* runs while there are orphans */
    int64_t reclaim_ms;
    struct list conns, orphans;
    unsigned conns_count, calls_count;
    struct list buckets[WORKER_BUCKETS];
    struct buf scratch; /* where an event is encoded */
};

/* The listener stays the caller's. */
void worker_init(struct worker *w, struct loop *l, int listener, unsigned instance,
                 const struct worker_ops *ops);
/* Ends all calls, closes all connections. */
void worker_fini(struct worker *w);

/* 0, -EEXIST when the id is taken, -EAGAIN when there are too many. */
MUST_USE int worker_call_init(struct worker_call *call, struct worker_conn *c, uint64_t id, size_t window,
                              struct str label);
void worker_call_fini(struct worker_call *call);

/*
 * Sends an event: struct buf *out = worker_event(call); proto_put_llm_delta(out, …);
 * worker_event_send(call, is_last).
 */
struct buf *worker_event(struct worker_call *call);
void worker_event_send(struct worker_call *call, bool is_last);

static inline bool worker_call_is_full(const struct worker_call *call)
{
    return call->kept_bytes >= call->window;
}

#endif
