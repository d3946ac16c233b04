/*
 * One end of a connection that carries frames: reads and cuts them, gathers
 * what is written and flushes it once per turn. Embedded by peer.c (the
 * reactor's end) and workers/worker.c (the other one).
 */
#ifndef CORE_WIRE_H
#define CORE_WIRE_H

#include "core/frame.h"
#include "core/loop.h"

struct wire;

struct wire_ops {
    frame_max_fn frame_max;
    /* One frame, valid during the call. Negative: the connection is dropped. Only queues. */
    int (*on_frame)(struct wire *w, const struct frame *f);
    /* The connection is closed, from the end of a turn. The owner may free what embeds the wire. */
    void (*on_lost)(struct wire *w);
};

struct wire {
    struct loop *loop;
    const struct wire_ops *ops;
    int fd; /* -1: not open */
    ev_io readable, writable;
    struct buf in, out;
    struct loop_hook flush;
    const char *lost_why;          /* NULL: alive */
    uint64_t frames_in, bytes_out; /* counters */
};

void wire_init(struct wire *w, struct loop *l, const struct wire_ops *ops);
void wire_fini(struct wire *w); /* closes without on_lost */

/* Takes over a connected, non-blocking descriptor. */
void wire_start(struct wire *w, int fd);

static inline bool wire_is_open(const struct wire *w)
{
    return w->fd >= 0 && w->lost_why == NULL;
}

/* Where to append frames; what is there at the end of the turn is sent. Only while wire_is_open(). */
struct buf *wire_out(struct wire *w);

/* on_lost() follows at the end of the turn. why is static text for the log. */
void wire_drop(struct wire *w, const char *why);

#endif
