/*
 * Client connections: accepting, reading requests, running them in tasks,
 * sending answers in order. One pool per server owns all connections; each
 * connection owns its request until the task has it (see conn_impl.h).
 */
#ifndef REACTOR_CONN_H
#define REACTOR_CONN_H

#include "server.h"

#include <sys/socket.h>

enum {
    CONN_HEAD_MS = 10000, /* for a head from its first octet, or from accept */
    CONN_IDLE_MS = 75000, /* between requests */
    CONN_BODY_SILENCE_MS = 30000,
    CONN_BODY_GRACE_MS = 10000, /* before the average counts */
    CONN_BODY_BYTES_PER_S = 1024,
    CONN_WRITE_MS = 30000,        /* without progress */
    CONN_STREAM_STALL_MS = 60000, /* the same for a stream: it resumes by event id */
    CONN_LINGER_MS = 2000,
    CONN_SWEEP_MS = 500, /* how exact the figures above are */

    CONN_READ_BYTES = 65536,       /* at once */
    CONN_READ_AHEAD_BYTES = 32768, /* of further requests while one runs */
    CONN_SKIP_BYTES = 65536,       /* of a body nobody wants; a longer one closes */
    CONN_ADMIT_BYTES = 65536,      /* a longer body is not read before server.admit agrees */
    CONN_BACKLOG_BYTES = 65536,    /* of answers not yet sent; then no further request is begun */
    CONN_HELD_BYTES = 32768,       /* an answer longer than this is sent from its request's memory */
    CONN_PER_ADDRESS = 10000,      /* connections of one untrusted address */
    CONN_REFUSING_MAX = 256,       /* that are being told 503 beyond the limits */
    CONN_BODY_AUTH_BYTES = 16384,
    CONN_BODY_CONFIG_BYTES = 32 << 20,
    CONN_BODY_LARGE_BYTES = 64 << 20
};

struct conn_options {
    unsigned max;                /* MAX_CONNECTIONS, at most the descriptor limit less a reserve */
    unsigned per_address_max;    /* 0: CONN_PER_ADDRESS */
    uint64_t body_bytes_max;     /* MAX_BODY_SIZE */
    uint64_t incoming_bytes_max; /* of bodies and heads in memory, all connections together; more are refused
                                    with 503 */
    struct str trusted_proxies, cors_origins, domain;
};

/* NULL after a line in the log when an option cannot be read. */
struct conn_pool *conn_pool_new(struct server *s, const struct conn_options *o);
/* Every task must have ended. Closes the connections that are left. */
void conn_pool_free(struct conn_pool *pool);

/* Accepts on a listening socket, which the pool closes in the end. 0 or -errno. */
MUST_USE int conn_pool_listen(struct conn_pool *pool, int fd);

/* Takes over a connected, non-blocking socket. */
void conn_open(struct conn_pool *pool, int fd, const struct sockaddr *from);

/* Stops accepting, closes what is idle; answers from now on close their connection (server.is_draining is
 * set). */
void conn_pool_drain(struct conn_pool *pool);
/* Ends all connections now and cancels their tasks. */
void conn_pool_abort(struct conn_pool *pool);
unsigned conn_pool_count(const struct conn_pool *pool);
/* So many bytes of a request's body are no longer in memory. */
void conn_pool_release(struct conn_pool *pool, size_t bytes);

/* What the sweep timer does; now_ms as of the monotonic clock, later in tests. */
void conn_pool_sweep(struct conn_pool *pool, int64_t now_ms);

/* Counters since the start, and how many connections are in which state. */
struct conn_stats {
    uint64_t accepted, refused, requests, timeouts, slow_streams, incoming_bytes;
    unsigned reading, working, streaming, finishing;
    unsigned timed; /* connections that the sweep looks at; 0 stops its timer */
};
void conn_stats_get(const struct conn_pool *pool, struct conn_stats *out);

#endif
