#include "conn_parts.h"

enum { RING_MIN = 4 };

static const struct str last_chunk = STR_INIT("0\r\n\r\n");

/* ---- shared texts ---- */

static struct stream_text *text_alloc(size_t n)
{
    static const char digits[] = "0123456789abcdef";
    struct stream_text *t = mem_alloc(sizeof(*t) + n + 2);
    size_t at = STREAM_CHUNK_HEAD;

    assert(n != 0 && n <= UINT32_MAX);
    *t = (struct stream_text){.holds = 1, .n = (uint32_t)n};
    t->chunk_head[--at] = '\n';
    t->chunk_head[--at] = '\r';
    for (size_t left = n; left != 0; left >>= 4)
        t->chunk_head[--at] = digits[left & 15];
    memcpy(t->bytes + n, "\r\n", 2);
    return t;
}

struct stream_text *stream_text_join(const struct str *parts, size_t count)
{
    struct stream_text *t;
    size_t n = 0, at = 0;

    for (size_t i = 0; i < count; i++)
        n += parts[i].n;
    t = text_alloc(n);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n != 0)
            memcpy(t->bytes + at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    return t;
}

struct stream_text *stream_text_new(struct str bytes)
{
    return stream_text_join(&bytes, 1);
}

void stream_text_drop(struct stream_text *t)
{
    if (--t->holds == 0)
        free(t);
}

/* What goes over the wire for it: the bytes, for chunked answers with their framing on both sides. */
static struct str text_wire(const struct stream_text *t, bool is_chunked)
{
    const char *start = (const char *)t + offsetof(struct stream_text, bytes);
    size_t head = 2;

    if (!is_chunked)
        return str_of(start, t->n);
    for (size_t n = t->n; n != 0; n >>= 4)
        head++;
    return str_of(start - head, head + t->n + 2);
}

/* ---- the queue ---- */

static struct stream_text *queue_at(const struct conn_stream *s, unsigned i)
{
    return s->ring[(s->first + i) & (s->capacity - 1)];
}

static void queue_grow(struct conn_stream *s)
{
    unsigned capacity = s->capacity != 0 ? s->capacity * 2 : RING_MIN;
    struct stream_text **ring = mem_alloc(capacity * sizeof(struct stream_text *));

    for (unsigned i = 0; i < s->count; i++)
        ring[i] = queue_at(s, i);
    free(s->ring);
    s->ring = ring;
    s->capacity = capacity;
    s->first = 0;
}

static void queue_add(struct conn_stream *s, struct stream_text *t)
{
    if (s->count == s->capacity)
        queue_grow(s);
    s->ring[(s->first + s->count++) & (s->capacity - 1)] = stream_text_hold(t);
    s->bytes += t->n;
}

static void queue_take(struct conn_stream *s)
{
    struct stream_text *t = queue_at(s, 0);

    s->bytes -= t->n;
    s->first = (s->first + 1) & (s->capacity - 1);
    s->sent = 0;
    stream_text_drop(t);
    if (--s->count == 0) { /* an idle client holds no ring */
        free(s->ring);
        s->ring = NULL;
        s->capacity = s->first = 0;
    }
}

bool stream_has_output(const struct conn_stream *s)
{
    return s->count != 0 || s->end_left != 0;
}

size_t stream_gather(const struct conn_stream *s, struct iovec *parts, size_t max)
{
    size_t count = 0;

    for (unsigned i = 0; i < s->count && count < max; i++) {
        struct str wire = str_from_offset(text_wire(queue_at(s, i), s->is_chunked), i == 0 ? s->sent : 0);

        parts[count++] = (struct iovec){(void *)(uintptr_t)wire.p, wire.n};
    }
    if (s->end_left != 0 && count < max)
        parts[count++] =
            (struct iovec){(void *)(uintptr_t)(last_chunk.p + last_chunk.n - s->end_left), s->end_left};
    return count;
}

void stream_sent(struct conn_stream *s, size_t n)
{
    while (n != 0 && s->count != 0) {
        size_t left = text_wire(queue_at(s, 0), s->is_chunked).n - s->sent;

        if (n < left) {
            s->sent += (uint32_t)n;
            return;
        }
        n -= left;
        queue_take(s);
    }
    s->end_left = (uint8_t)(s->end_left - n);
}

/* ---- the connection's side ---- */

/* Returns the sink that has lost its connection, or NULL. */
static struct stream_sink *stream_detach(struct conn_stream *s)
{
    struct stream_sink *sink = s->sink;

    s->sink = NULL;
    if (sink != NULL)
        sink->conn = NULL;
    return sink;
}

void stream_free(struct conn *c)
{
    struct conn_stream *s = c->stream;
    struct stream_sink *sink;

    if (s == NULL)
        return;
    c->stream = NULL;
    sink = stream_detach(s);
    while (s->count != 0)
        queue_take(s);
    free(s);
    if (sink != NULL)
        sink->on_close(sink);
}

/* The response is complete, or nobody reads its body. */
static bool stream_is_over(const struct conn_stream *s)
{
    return s->is_head || (s->sink == NULL && !stream_has_output(s));
}

void stream_settle(struct conn *c)
{
    struct req *r = c->req;

    if (!stream_is_over(c->stream))
        return;
    stream_free(c);
    if (r != NULL) { /* its task has not ended yet; there is nothing left that it could answer */
        c->req = NULL;
        r->conn = NULL;
    }
    if (c->closes)
        conn_finish(c);
    else
        conn_set_state(c, CONN_READING);
}

void stream_probe(struct conn *c)
{
    if (c->stream->sink != NULL && !c->stream->is_head) {
        queue_add(c->stream, c->pool->probe);
        conn_later(c);
    }
}

/* ---- the feeder's side ---- */

static enum answer_framing stream_framing(const struct req *r)
{
    return r->head.minor_version == 0 ? ANSWER_UNTIL_CLOSE : ANSWER_CHUNKED;
}

int stream_begin(struct req *r, struct stream_sink *sink)
{
    struct conn *c = r->conn;
    enum answer_framing framing = stream_framing(r);

    sink->conn = NULL;
    if (c == NULL || c->state == CONN_CLOSING)
        return -ECANCELED;
    assert(c->state == CONN_WORKING && c->req == r && r->status == 0);
    r->status = 200;
    r->content_type = STR("text/event-stream; charset=utf-8");
    r->is_streaming = true;
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_header(r, "X-Accel-Buffering", STR("no"));
    c->closes |= framing == ANSWER_UNTIL_CLOSE || c->pool->server->is_draining;
    answer_head(c->pool, r, framing, c->closes, &c->out);
    c->stream = mem_zalloc(sizeof(*c->stream));
    c->stream->sink = sink;
    c->stream->is_chunked = framing == ANSWER_CHUNKED;
    c->stream->is_head = r->head.method == HTTP_HEAD;
    sink->conn = c;
    conn_set_state(c, CONN_STREAMING);
    if (c->is_eof)
        stream_probe(c);
    conn_settle(c);
    conn_later(c);
    return 0;
}

void stream_send(struct stream_sink *sink, struct stream_text *t)
{
    struct conn *c = sink->conn;

    if (c == NULL || c->state != CONN_STREAMING || c->stream->is_head)
        return;
    queue_add(c->stream, t);
    if (c->stream->bytes > STREAM_QUEUE_BYTES_MAX) {
        c->pool->stats.slow_streams++;
        conn_gone(c);
        return;
    }
    conn_later(c);
}

size_t stream_queued(const struct stream_sink *sink)
{
    const struct conn *c = sink->conn;

    return c != NULL && c->stream != NULL ? c->stream->bytes : 0;
}

void stream_end(struct stream_sink *sink)
{
    struct conn *c = sink->conn;

    if (c == NULL)
        return;
    (void)stream_detach(c->stream);
    if (c->state != CONN_STREAMING)
        return;
    if (c->stream->is_chunked && !c->stream->is_head)
        c->stream->end_left = (uint8_t)last_chunk.n;
    conn_later(c);
}
