#include "conn_parts.h"

/*
 * Bytes become requests. They are read into the pool's scratch space and used
 * from there; only what cannot be used yet is copied to the connection, so
 * that an idle one holds no buffer.
 */

enum { READ_MORE_BYTES = 8192 }; /* at once, behind the part of a head */

/* ---- bodies ---- */

static void body_take(struct conn *c, struct str data)
{
    if (!c->body->is_skipped)
        buf_add(&c->req->incoming, data);
}

/* These return 1 when more must come, 0 at the end, -status. */
static int body_read_sized(struct conn *c, struct str *in)
{
    struct conn_body *b = c->body;
    struct str data = str_head(*in, in->n < (uint64_t)b->left ? in->n : (size_t)b->left);

    *in = str_from_offset(*in, data.n);
    b->left -= (int64_t)data.n;
    body_take(c, data);
    return b->left > 0;
}

static int body_read_chunked(struct conn *c, struct str *in)
{
    int rc = 1;

    while (rc > 0 && in->n != 0) {
        struct str data;

        rc = http_chunked_next(&c->body->chunked, c->body->max, in, &data);
        if (rc >= 0)
            body_take(c, data);
    }
    return rc;
}

static int body_read_some(struct conn *c, struct str *in)
{
    struct conn_body *b = c->body;
    size_t before = in->n;
    int rc = b->is_chunked ? body_read_chunked(c, in) : body_read_sized(c, in);

    b->received += before - in->n;
    b->last_ms = conn_now_ms();
    if (rc > 0 && b->is_skipped && b->received > CONN_SKIP_BYTES)
        return -413;
    return rc;
}

/* Whether there is more to do with what is in *in. */
static bool body_read(struct conn *c, struct str *in)
{
    bool is_skipped = c->body->is_skipped;
    int rc;

    if (in->n == 0)
        return false;
    rc = body_read_some(c, in);
    if (rc > 0)
        return false;
    if (rc < 0 && is_skipped) {
        conn_finish(c);
    } else if (rc < 0) {
        conn_refuse(c, -rc);
    } else {
        free(c->body);
        c->body = NULL;
        if (!is_skipped)
            conn_request_run(c);
    }
    return true;
}

/* ---- heads ---- */

static bool head_read(struct conn *c, struct str *in)
{
    struct str head;
    int rc = http_scan_head(&c->scan, *in);

    if (rc == 0)
        return false;
    if (rc < 0) {
        conn_refuse(c, -rc);
        return true;
    }
    head = str_head(*in, c->scan.at);
    *in = str_from_offset(*in, c->scan.at);
    c->scan = (struct http_scan){0};
    conn_set_wait(c, WAIT_NOTHING);
    conn_request_begin(c, head);
    return true;
}

/* Uses *in as far as the state allows. */
static void conn_process(struct conn *c, struct str *in)
{
    bool goes_on = true;

    while (goes_on) {
        if (c->state == CONN_FINISHING || c->state == CONN_CLOSING)
            *in = STR("");
        if (c->state != CONN_READING)
            return;
        if (c->body != NULL)
            goes_on = body_read(c, in);
        else
            goes_on = in->n != 0 && conn_may_begin(c) && head_read(c, in);
    }
}

void conn_resume(struct conn *c)
{
    size_t size = buf_size(&c->in);
    struct str in = buf_str(&c->in);

    if (size == 0)
        return;
    conn_process(c, &in);
    if (buf_size(&c->in) == size) /* else somebody has dropped it all */
        buf_consume(&c->in, size - in.n);
    if (buf_size(&c->in) == 0)
        buf_clear(&c->in);
    conn_account(c);
}

/* ---- the socket ---- */

static void conn_end_of_input(struct conn *c)
{
    c->is_eof = true;
    if (c->state == CONN_STREAMING)
        stream_probe(c);
    if (c->state == CONN_FINISHING && c->is_shut)
        conn_gone(c);
}

static ssize_t conn_receive(struct conn *c, char *place, size_t room)
{
    ssize_t n = recv(conn_fd(c), place, room, 0);

    if (n > 0) {
        c->is_fresh = false;
        return n;
    }
    if (n == 0)
        conn_end_of_input(c);
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        conn_gone(c);
    return 0;
}

static void conn_read_fresh(struct conn *c)
{
    bool is_ahead = c->state == CONN_WORKING || c->state == CONN_STREAMING;
    ssize_t n = conn_receive(c, c->pool->scratch, is_ahead ? CONN_READ_AHEAD_BYTES : CONN_READ_BYTES);
    struct str in = str_of(c->pool->scratch, (size_t)n);

    conn_process(c, &in);
    buf_add(&c->in, in);
}

static void conn_read_more(struct conn *c)
{
    ssize_t n = conn_receive(c, buf_reserve(&c->in, READ_MORE_BYTES), READ_MORE_BYTES);

    buf_commit(&c->in, (size_t)n);
    conn_resume(c);
}

void on_conn_readable(struct ev_loop *ev UNUSED, ev_io *w, int revents)
{
    struct conn *c = container_of(w, struct conn, readable);

    if (revents & EV_ERROR)
        conn_gone(c); /* see loop.h */
    if (c->state == CONN_CLOSING)
        return;
    if (buf_size(&c->in) == 0)
        conn_read_fresh(c);
    else
        conn_read_more(c);
    if (c->state == CONN_CLOSING)
        return;
    conn_account(c);
    if (c->state == CONN_READING && conn_is_over_budget(c->pool) && (c->accounted != 0 || c->body != NULL))
        conn_refuse(c, 503);
    conn_settle(c);
}
