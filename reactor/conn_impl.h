/*
 * A connection as its own files see it: conn.c (life, states, deadlines),
 * conn_read.c, conn_request.c, conn_write.c, listener.c and stream.c; what they
 * offer each other is in conn_parts.h.
 *
 *              ┌──────────────── answered ────────────────┐
 *              ▼                                          │
 *   accept ▸ READING ── head, body ──▸ WORKING ───────────┤
 *              │                          ├─▸ STREAMING ──┘ stream_end()
 *              │ last answer, EOF         │      │
 *              └────────▸ FINISHING ◂─────┴──────┘   sends the rest, then lingers
 *                             │
 *   any of them ─────────▸ CLOSING                  freed at the end of the turn
 *
 * Callbacks and tasks never free a connection: they move it to CLOSING, and the
 * pool's hook, which also flushes, frees what is there at the end of the turn.
 */
#ifndef REACTOR_CONN_IMPL_H
#define REACTOR_CONN_IMPL_H

#include "conn.h"
#include "core/trim.h"
#include "cors.h"
#include "source.h"
#include "stream.h"

enum conn_state { CONN_READING, CONN_WORKING, CONN_STREAMING, CONN_FINISHING, CONN_CLOSING, CONN_STATES };

/* What a connection is waited for: each has a list in the order of deadlines, except BODY. */
enum conn_wait { WAIT_HEAD, WAIT_IDLE, WAIT_BODY, WAIT_WRITE, WAIT_STREAM, WAIT_LINGER, WAITS, WAIT_NOTHING };

/* A body on its way in: to the request, or to nowhere once that was answered. */
struct conn_body {
    int64_t left; /* of a known length */
    struct http_chunked chunked;
    uint64_t max; /* refuse or give up beyond */
    uint64_t received;
    int64_t started_ms, last_ms;
    bool is_chunked;
    bool is_skipped;
};

/* The sending side of a stream: holds of texts in a ring. */
struct conn_stream {
    struct stream_sink *sink; /* NULL once ended */
    struct stream_text **ring;
    unsigned capacity, first, count; /* capacity is a power of two or 0 */
    uint32_t bytes;                  /* queued */
    uint32_t sent;                   /* of the first text */
    uint8_t end_left;                /* of the last chunk, still to be sent */
    bool is_chunked, is_head;
};

struct conn {
    struct list link;  /* of its state's list */
    struct list wait;  /* of its deadline's list */
    struct list dirty; /* of those that the end of the turn must look at */
    ev_io readable, writable;
    struct conn_pool *pool;
    struct source *source;
    struct req *req;  /* being read, or worked on by its task */
    struct req *held; /* answered; its body is sent from its arena */
    struct conn_body *body;
    struct conn_stream *stream;
    struct buf in, out; /* without memory while there is nothing in them */
    size_t held_sent;
    struct http_scan scan; /* of the head in in */
    int64_t wait_ms;       /* since when */
    uint32_t accounted;    /* bytes of in that the pool's budget knows of */
    uint8_t state;
    uint8_t waits;
    bool closes;     /* after the answer that is being made */
    bool is_eof;     /* the client has sent all it wants to */
    bool is_fresh;   /* nothing was received yet */
    bool is_refusal; /* counted in pool->refusing, not as a connection */
    bool is_shut;    /* we have sent all we want to */
    bool has_hangup_watch;
};

struct conn_pool {
    struct server *server;
    struct conn_options options;
    struct list states[CONN_STATES];
    struct list waits[WAITS];
    struct list dirty;
    struct loop_hook turn_end;
    ev_timer sweep;
    struct trim trim;
    struct sources sources;
    struct addr_nets trusted;
    struct cors cors;
    struct list listeners;
    int reserve_fd; /* given up to accept and refuse when descriptors run out */
    int hangups_fd; /* an epoll of its own, see conn_watch_hangup() */
    ev_io hangups;
    unsigned count, refusing;
    bool is_paused; /* nothing is accepted until the next sweep or free descriptor */
    uint64_t accounted;
    struct stream_text *probe; /* a comment that finds out whether a half-closed client is still there */
    int64_t date_s;
    char date[40];  /* the Date line of this second */
    struct buf log; /* access log lines of this turn */
    struct conn_stats stats;
    char scratch[CONN_READ_BYTES];
};

static inline int conn_fd(const struct conn *c)
{
    return c->readable.fd;
}

#endif
