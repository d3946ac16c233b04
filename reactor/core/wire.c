#include "core/wire.h"

#include <sys/socket.h>

enum {
    READ_BYTES = 64 << 10,
    READ_BYTES_PER_TURN = 1 << 20 /* then others have their turn */
};

static void on_flush(struct loop_hook *h);

static void on_readable(struct ev_loop *ev, ev_io *watcher, int revents);
static void on_writable(struct ev_loop *ev, ev_io *watcher, int revents);

void wire_init(struct wire *w, struct loop *l, const struct wire_ops *ops)
{
    *w = (struct wire){.loop = l, .ops = ops, .fd = -1};
    buf_init(&w->in);
    buf_init(&w->out);
    loop_hook_init(&w->flush, on_flush);
    ev_init(&w->readable, on_readable);
    ev_init(&w->writable, on_writable);
}

static void wire_close(struct wire *w)
{
    ev_io_stop(w->loop->ev, &w->readable);
    ev_io_stop(w->loop->ev, &w->writable);
    if (w->fd >= 0)
        (void)close(w->fd);
    w->fd = -1;
    buf_clear(&w->in);
    buf_clear(&w->out);
}

void wire_fini(struct wire *w)
{
    loop_hook_cancel(&w->flush);
    wire_close(w);
}

void wire_start(struct wire *w, int fd)
{
    assert(w->fd < 0);
    w->fd = fd;
    w->lost_why = NULL;
    ev_io_set(&w->readable, fd, EV_READ);
    ev_io_set(&w->writable, fd, EV_WRITE);
    ev_io_start(w->loop->ev, &w->readable);
}

struct buf *wire_out(struct wire *w)
{
    assert(wire_is_open(w));
    loop_defer(w->loop, &w->flush);
    return &w->out;
}

void wire_drop(struct wire *w, const char *why)
{
    if (!wire_is_open(w))
        return;
    w->lost_why = why;
    ev_io_stop(w->loop->ev, &w->readable);
    ev_io_stop(w->loop->ev, &w->writable);
    loop_defer(w->loop, &w->flush);
}

static void wire_cut(struct wire *w)
{
    while (wire_is_open(w)) {
        struct frame f;
        ssize_t n = frame_read(buf_str(&w->in), w->ops->frame_max, &f);

        if (n < 0)
            wire_drop(w, "a frame of unknown type or length");
        if (n <= 0)
            return;
        w->frames_in++;
        if (w->ops->on_frame(w, &f) < 0)
            wire_drop(w, "a frame that cannot be");
        buf_consume(&w->in, (size_t)n);
    }
}

static void on_readable(struct ev_loop *ev UNUSED, ev_io *watcher, int revents)
{
    struct wire *w = container_of(watcher, struct wire, readable);
    size_t total = 0;

    if (revents & EV_ERROR)
        wire_drop(w, "its socket cannot be watched");
    while (wire_is_open(w) && total < READ_BYTES_PER_TURN) {
        ssize_t n = recv(w->fd, buf_reserve(&w->in, READ_BYTES), READ_BYTES, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            wire_drop(w, n == 0 ? "closed by the other end" : strerror(errno));
            return;
        }
        buf_commit(&w->in, (size_t)n);
        total += (size_t)n;
        wire_cut(w);
    }
}

static void wire_send(struct wire *w)
{
    while (buf_size(&w->out) > 0) {
        struct str bytes = buf_str(&w->out);
        ssize_t n = send(w->fd, bytes.p, bytes.n, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            ev_io_start(w->loop->ev, &w->writable);
            return;
        }
        if (n < 0) {
            wire_drop(w, strerror(errno));
            return;
        }
        w->bytes_out += (uint64_t)n;
        buf_consume(&w->out, (size_t)n);
    }
    ev_io_stop(w->loop->ev, &w->writable);
}

static void on_writable(struct ev_loop *ev UNUSED, ev_io *watcher, int revents)
{
    struct wire *w = container_of(watcher, struct wire, writable);

    if (revents & EV_ERROR)
        wire_drop(w, "its socket cannot be watched");
    else
        wire_send(w);
}

static void on_flush(struct loop_hook *h)
{
    struct wire *w = container_of(h, struct wire, flush);

    if (wire_is_open(w))
        wire_send(w);
    if (w->lost_why == NULL || w->fd < 0)
        return;
    wire_close(w);
    w->ops->on_lost(w);
}
