/*
 * A whole connection: the first byte chooses how the rest is cut, what the
 * client does in between and how it leaves. All it gets must be well-formed answers, and nothing may
 * be left afterwards.
 */
#include "base/log.h"
#include "conn.h"
#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct server server;
    struct completion gate;
    struct stream_sink sink;
    bool has_sink;
    struct buf got;
} scene;

static int get_hello(struct req *r)
{
    return reply_json(r, 200, STR("{}"));
}

static int post_echo(struct req *r)
{
    return reply_text(r, 200, "text/plain", r->body);
}

static int get_park(struct req *r)
{
    int rc = completion_await(&scene.gate, "the client", TASK_FOREVER);

    return rc < 0 ? rc : reply_json(r, 200, STR("[]"));
}

static void on_close(struct stream_sink *s UNUSED)
{
    scene.has_sink = false;
}

static int get_events(struct req *r)
{
    if (scene.has_sink)
        return fail(r, 409, "one at a time");
    scene.sink = (struct stream_sink){.on_close = on_close};
    scene.has_sink = stream_begin(r, &scene.sink) == 0;
    return 0;
}

#define ROW(verb, text, fn, bits)                                                                            \
    {                                                                                                        \
        .method = HTTP_##verb, .path = text, .rule = RULE_PUBLIC, .handler = fn, .flags = bits               \
    }
static const struct route rows[] = {
    ROW(GET, "/h", get_hello, 0),  ROW(POST, "/e", post_echo, 0),     ROW(GET, "/p", get_park, 0),
    ROW(GET, "/s", get_events, 0), ROW(GET, "/i/{id}", get_hello, 0),
};

static void dispatch(struct req *r)
{
    (void)!r->route->handler(r);
}

static void admit(struct req *r)
{
    if (!str_is_none(http_field(&r->head, STR("x-no"))))
        (void)fail(r, 401, "no");
}

static void scene_open(void)
{
    const struct conn_options options = {
        .max = 10, .body_bytes_max = 300, .trusted_proxies = STR("127.0.0.1")};

    if (scene.server.loop.ev != NULL)
        return;
    log_init("fuzz", LOG_ERROR + 1);
    loop_init(&scene.server.loop);
    scene.server.routes = route_table_new(rows, nelem(rows));
    scene.server.dispatch = dispatch;
    scene.server.admit = admit;
    scene.server.conns = conn_pool_new(&scene.server, &options);
}

static void turns(unsigned n)
{
    while (n-- > 0)
        ev_run(scene.server.loop.ev, EVRUN_NOWAIT);
}

static void receive(int fd)
{
    char *place = buf_reserve(&scene.got, 65536);
    ssize_t n = recv(fd, place, 65536, MSG_DONTWAIT);

    if (n > 0)
        buf_commit(&scene.got, (size_t)n);
}

static void feed_stream(unsigned what)
{
    struct stream_text *t = stream_text_new(STR("data: x\r\n\r\n"));

    if (scene.has_sink && scene.sink.conn != NULL) {
        stream_send(&scene.sink, t);
        if (what & 1) {
            stream_end(&scene.sink);
            scene.has_sink = false;
        }
    }
    stream_text_drop(t);
}

/* What the client and the handlers do between two pieces. */
static void interlude(int fd, unsigned what)
{
    turns(what & 3);
    if (what & 4)
        receive(fd);
    if (what & 8)
        feed_stream(what >> 4);
    if (what & 16)
        completion_finish(&scene.gate, 0);
    if ((what & 0xe0) == 0xe0)
        conn_pool_sweep(scene.server.conns, INT64_MAX / 2);
}

/* Each answer in turn: a status line, fields, and a body by its framing; the last may be cut off. */
static void check_answers(void)
{
    struct str rest = buf_str(&scene.got);

    while (rest.n >= 9) {
        struct str line;
        ssize_t end = str_find(rest, STR("\r\n\r\n"));

        if (!str_starts(rest, STR("HTTP/1.1 ")))
            abort();
        if (end < 0)
            return;
        line = str_head(rest, (size_t)end + 2);
        rest = str_from_offset(rest, (size_t)end + 4);
        if (str_find(line, STR("Content-Length: ")) < 0)
            return; /* a stream, or an answer to HEAD: what follows is not ours to judge */
        end = str_find(line, STR("Content-Length: ")) + 16;
        for (int64_t n = strtoll(line.p + end, NULL, 10); n > 0; n--) {
            if (rest.n == 0 || str_starts(rest, STR("HTTP/1.1 "))) /* of HEAD */
                break;
            rest = str_from_offset(rest, 1);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr from = {.sa_family = AF_UNIX};
    unsigned script = size > 1 ? data[0] * 2654435761u : 0;
    size_t at = 1;
    int pair[2];

    if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    scene_open();
    completion_init(&scene.gate);
    buf_init(&scene.got);
    conn_open(scene.server.conns, pair[1], &from);
    while (at < size) {
        size_t n = data[0] == 0 ? size : 1 + script % 97;

        n = n < size - at ? n : size - at;
        if (send(pair[0], data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        at += n;
        script = script * 1103515245u + 12345;
        interlude(pair[0], script >> 16);
    }
    if (data[0] & 1)
        (void)shutdown(pair[0], SHUT_WR);
    turns(3);
    receive(pair[0]);
    check_answers();
    (void)close(pair[0]);
    if (data[0] & 2)
        conn_pool_abort(scene.server.conns);
    completion_finish(&scene.gate, 0);
    turns(4);
    feed_stream(1);
    conn_pool_sweep(scene.server.conns, INT64_MAX / 2);
    turns(4);
    if (conn_pool_count(scene.server.conns) != 0 || scene.server.loop.tasks_count != 0 || scene.has_sink)
        abort();
    buf_fini(&scene.got);
    return 0;
}
