#include "conn_parts.h"

/* Sending: all that has gathered in a turn goes out at its end, in one call where the socket takes it. */

enum { PARTS_MAX = 32 };

bool conn_is_blocked(const struct conn *c)
{
    return ev_is_active(&c->writable);
}

bool conn_has_output(const struct conn *c)
{
    return buf_size(&c->out) != 0 || c->held != NULL || (c->stream != NULL && stream_has_output(c->stream));
}

bool conn_may_begin(const struct conn *c)
{
    return c->held == NULL && buf_size(&c->out) < CONN_BACKLOG_BYTES;
}

static size_t part_add(struct iovec *parts, size_t count, struct str s)
{
    if (s.n == 0)
        return count;
    parts[count] = (struct iovec){(void *)(uintptr_t)s.p, s.n};
    return count + 1;
}

static size_t output_gather(const struct conn *c, struct iovec parts[PARTS_MAX])
{
    size_t count = part_add(parts, 0, buf_str(&c->out));

    if (c->held != NULL)
        count = part_add(parts, count, str_from_offset(buf_str(&c->held->answer), c->held_sent));
    if (c->stream != NULL)
        count += stream_gather(c->stream, parts + count, PARTS_MAX - count);
    return count;
}

static void output_sent(struct conn *c, size_t n)
{
    size_t part = n < buf_size(&c->out) ? n : buf_size(&c->out);

    buf_consume(&c->out, part);
    if (buf_size(&c->out) == 0)
        buf_clear(&c->out);
    n -= part;
    if (c->held != NULL) {
        part = buf_size(&c->held->answer) - c->held_sent;
        part = n < part ? n : part;
        c->held_sent += part;
        n -= part;
        if (c->held_sent == buf_size(&c->held->answer)) {
            req_free(c->held);
            c->held = NULL;
        }
    }
    if (c->stream != NULL)
        stream_sent(c->stream, n);
}

/* 1: all is sent; 0: the socket takes no more; negative: the client is gone. */
static int output_send(struct conn *c)
{
    while (conn_has_output(c)) {
        struct iovec parts[PARTS_MAX];
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = output_gather(c, parts)};
        ssize_t n = sendmsg(conn_fd(c), &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
        output_sent(c, (size_t)n);
        if (conn_is_blocked(c))
            conn_restart_wait(c, c->state == CONN_STREAMING ? WAIT_STREAM : WAIT_WRITE); /* progress */
    }
    return 1;
}

/* All is sent: what comes next? */
static void conn_flushed(struct conn *c)
{
    if (c->state == CONN_STREAMING) {
        stream_settle(c);
    } else if (c->state == CONN_FINISHING && c->is_eof) {
        conn_gone(c);
    } else if (c->state == CONN_FINISHING && !c->is_shut) {
        c->is_shut = true;
        if (shutdown(conn_fd(c), SHUT_WR) < 0)
            conn_gone(c);
    }
    if (c->state == CONN_READING)
        conn_resume(c);
}

void conn_flush(struct conn *c)
{
    struct ev_loop *ev = c->pool->server->loop.ev;
    int rc;

    if (c->state == CONN_CLOSING)
        return;
    rc = output_send(c);
    if (rc < 0) {
        conn_gone(c);
        return;
    }
    if (rc == 0) {
        ev_io_start(ev, &c->writable);
    } else {
        ev_io_stop(ev, &c->writable);
        conn_flushed(c);
    }
    conn_settle(c);
}

void on_conn_writable(struct ev_loop *ev UNUSED, ev_io *w, int revents)
{
    struct conn *c = container_of(w, struct conn, writable);

    if (revents & EV_ERROR)
        conn_gone(c); /* see loop.h */
    else
        conn_later(c);
}
