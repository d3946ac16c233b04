/*
 * The reactor's connection to one worker, over a Unix socket that the
 * supervisor listens on: connecting succeeds even while the worker is
 * being started again, so a peer counts as up only when the worker's first frame came. A lost
 * connection is tried again after 50 ms, then up to once a second.
 */
#ifndef CORE_PEER_H
#define CORE_PEER_H

#include "core/frame.h"
#include "core/loop.h"

struct peer;

struct peer_ops {
    frame_max_fn frame_max;
    /* Writes the first frame of a new connection. */
    void (*greet)(void *arg, struct buf *out);
    /* One frame, valid during the call. Negative: the connection is dropped. Only queues. */
    int (*on_frame)(void *arg, const struct frame *f);
    /* A peer that was up is not any more; everything under way on it is lost. From the end of a turn. */
    void (*on_lost)(void *arg);
};

/* Starts connecting at once. ops and arg must stay valid; path is copied. */
struct peer *peer_open(struct loop *l, const char *path, const struct peer_ops *ops, void *arg);
/* Without on_lost(). Not from inside its callbacks. */
void peer_close(struct peer *p);

bool peer_is_up(const struct peer *p);

/* Where to append frames; sent at the end of the turn. Only while peer_is_up(). */
struct buf *peer_out(struct peer *p);
/* Bytes that the worker has not taken yet, for limits. */
size_t peer_unsent(const struct peer *p);

#endif
