/*
 * Inside the Redis client only: a connection that stands again by itself. What
 * one turn of the loop sends goes out in one write. hiredis does the protocol.
 *
 *   DOWN ──▶ CONNECTING ──▶ UP ──▶ DOWN (tried again after a while)
 *
 * While CONNECTING, commands are taken and go out behind the handshake.
 */
#ifndef CORE_REDIS_LINK_H
#define CORE_REDIS_LINK_H

#include "base/buf.h"
#include "core/redis.h"
#include "core/resolve.h"

#include <hiredis/async.h>

enum {
    REDIS_TIMEOUT_MS = 1000, /* of a command, for its task */
    REDIS_CONNECT_TIMEOUT_MS = 2000,
    REDIS_SILENCE_MS = 3000, /* with commands outstanding: then the connection counts as dead */
    REDIS_BLOCK_MS = 10000,  /* of XREAD */
    REDIS_BACKOFF_FIRST_MS = 50,
    REDIS_BACKOFF_MAX_MS = 800,
    REDIS_OUTSTANDING_MAX = 100000, /* commands */
    REDIS_FOLLOWERS_MAX = 10000
};

/* The parts of a URL, in the arena. 0 or -EINVAL. */
struct redis_address {
    const char *host; /* NULL: path */
    const char *path;
    int port;
    struct str user, password; /* STR_NONE: none */
    int64_t database;
};
MUST_USE int redis_address_parse(struct arena *a, struct str url, struct redis_address *address);

enum redis_link_state { LINK_DOWN, LINK_CONNECTING, LINK_UP, LINK_STATES };

struct redis_link {
    struct loop *loop;
    const char *name; /* for the log */
    const struct redis_address *address;
    enum redis_link_state state;
    uint64_t connections;       /* that came up so far */
    redisAsyncContext *context; /* NULL: DOWN, or the host's address is being looked up */
    struct resolve *look_up;
    unsigned attempts;
    ev_io readable, writable;
    struct loop_hook flush;
    struct buf command; /* that is being written */
    bool is_flushing;
    ev_timer watchdog; /* while connecting or with commands outstanding */
    ev_timer retry;
    int64_t backoff_ms;
    int64_t silence_ms;
    ev_tstamp progress_at;
    unsigned outstanding;
    bool has_failed;     /* the last attempt */
    bool is_stopped;     /* for good */
    int64_t client_id;   /* on the server */
    const char *trouble; /* why we are ending it */
    void (*on_up)(struct redis_link *link);
    void (*on_down)(struct redis_link *link);
};

void redis_link_init(struct redis_link *link, struct loop *l, const char *name,
                     const struct redis_address *address);
/* Connects now, if it is not connected or connecting. */
void redis_link_start(struct redis_link *link);
/* Fails what is outstanding and does not come back. */
void redis_link_stop(struct redis_link *link);
/* Ends the connection; it is tried again. */
void redis_link_break(struct redis_link *link, const char *trouble);

/* done gets a redisReply, or NULL when the connection was lost. False: not sent, done will not be called. */
bool redis_link_send(struct redis_link *link, int argc, const struct str *argv, redisCallbackFn *done,
                     void *arg);
/* To be called first thing in every done. */
void redis_link_answered(struct redis_link *link);

/* ---- redis.c ---- */
/* The reply as values in the arena; texts are copied, or stay those of the reply. */
struct redis_value redis_value_of(struct arena *a, const redisReply *reply, bool copies);

/* ---- redis_follow.c ---- */
struct redis_followers {
    struct redis_link link;
    struct redis_link *commands; /* through which the other is unblocked */
    struct list all;
    unsigned count;           /* without those that have ended and are still on the list */
    struct loop_hook changed; /* end of the turn: ask for a new set, free what has ended */
    ev_timer nudge;
    bool is_blocked;    /* an XREAD is under way */
    bool is_stale;      /* which does not ask for all that is followed */
    bool is_unblocking; /* and this was said to the server */
};
void redis_followers_init(struct redis_followers *fs, struct loop *l, const struct redis_address *address,
                          struct redis_link *commands);
void redis_followers_fini(struct redis_followers *fs);
struct redis_followers *redis_followers_of(struct redis *rd);

#endif
