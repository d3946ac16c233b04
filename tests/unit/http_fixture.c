#include "http_fixture.h"

#include "base/log.h"
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

/* ---- routes ---- */

struct fixture fixture;

static int get_hello(struct req *r)
{
    return reply_json(r, 200, STR("{\"hello\":true}"));
}

static int get_item(struct req *r)
{
    struct json_writer w;

    reply_begin(r, &w);
    json_object_begin(&w);
    json_field_str(&w, STR("id"), param(r, "id"));
    json_field_str(&w, STR("q"), query(r, "q"));
    json_field_str(&w, STR("client"), r->client);
    json_field_bool(&w, STR("tls"), r->is_tls);
    json_object_end(&w);
    return reply_written(r, 200);
}

static int post_echo(struct req *r)
{
    fixture.body_size = r->body.n < sizeof(fixture.body) ? r->body.n : sizeof(fixture.body);
    memcpy(fixture.body, r->body.p, fixture.body_size);
    return reply_text(r, 200, "text/plain; charset=utf-8", r->body);
}

static int delete_it(struct req *r)
{
    return reply_empty(r, 204);
}

static int get_big(struct req *r)
{
    struct buf text;

    buf_init_arena(&text, &r->arena);
    while (buf_size(&text) < 4000000)
        buf_addf(&text, "%07zu\n", buf_size(&text));
    return reply_text(r, 200, "text/plain", buf_str(&text));
}

static int park(struct req *r, bool detaches)
{
    int rc;

    if (detaches)
        req_detach(r);
    rc = completion_await(&fixture.gate, "the test", TASK_FOREVER);
    if (rc < 0) {
        fixture.cancelled++;
        return rc;
    }
    fixture.finished++;
    return reply_json(r, 200, STR("{\"parked\":true}"));
}

static int get_park(struct req *r)
{
    return park(r, false);
}

static int post_relay(struct req *r)
{
    return park(r, true);
}

static int get_nothing(struct req *r UNUSED)
{
    return -EIO;
}

static int get_unsafe(struct req *r)
{
    reply_header(r, "X-Name", STR("a\r\nSet-Cookie: b"));
    return fail(r, 401, "%s", "No \"credential\"");
}

static void on_subscriber_closed(struct stream_sink *s)
{
    struct subscriber *sub = container_of(s, struct subscriber, sink);

    CHECK(s->conn == NULL);
    sub->closes++;
}

static int get_events(struct req *r)
{
    struct subscriber *sub = &fixture.subscribers[fixture.subscribers_count++];

    *sub = (struct subscriber){.sink.on_close = on_subscriber_closed};
    reply_header(r, "X-Stream-Channel", STR("c1"));
    return stream_begin(r, &sub->sink);
}

/* Goes on after it has begun the stream: the stream may end before its task does. */
static int get_busy_events(struct req *r)
{
    int rc = get_events(r);

    if (rc == 0)
        rc = completion_await(&fixture.gate, "the test", TASK_FOREVER);
    if (rc < 0)
        fixture.cancelled++;
    fixture.finished++;
    return rc;
}

/* Begins the stream late, when the client may have gone. */
static int get_late_events(struct req *r)
{
    int rc = completion_uncancelled_await(&fixture.gate, "the test", TASK_FOREVER);

    if (rc == 0)
        rc = get_events(r);
    fixture.cancelled += rc == -ECANCELED;
    return rc;
}

#define ROW(verb, text, fn, bits)                                                                            \
    {                                                                                                        \
        .method = HTTP_##verb, .path = text, .rule = RULE_PUBLIC, .handler = fn, .flags = bits               \
    }

static const struct route rows[] = {
    ROW(GET, "/hello", get_hello, 0),
    ROW(GET, "/items/{id}", get_item, 0),
    ROW(PUT, "/items/{id}", post_echo, 0),
    ROW(DELETE, "/items/{id}", delete_it, 0),
    ROW(POST, "/echo", post_echo, 0),
    ROW(POST, "/auth/login", post_echo, ROUTE_BODY_AUTH | ROUTE_NO_STORE),
    ROW(POST, "/large", post_echo, ROUTE_BODY_LARGE),
    ROW(GET, "/big", get_big, 0),
    ROW(GET, "/park", get_park, 0),
    ROW(POST, "/relay", post_relay, 0),
    ROW(GET, "/nothing", get_nothing, 0),
    ROW(GET, "/unsafe", get_unsafe, ROUTE_FRAMEABLE),
    ROW(GET, "/events", get_events, ROUTE_STREAM | ROUTE_QUIET),
    ROW(GET, "/busy", get_busy_events, ROUTE_STREAM),
    ROW(GET, "/late", get_late_events, ROUTE_STREAM),
    ROW(POST, "/config", post_echo, ROUTE_BODY_CONFIG),
};

static void dispatch(struct req *r)
{
    fixture.dispatched++;
    (void)!r->route->handler(r);
}

static void admit(struct req *r)
{
    fixture.admitted++;
    if (fixture.lowers)
        r->body_bytes_max = 3;
    if (fixture.refuses)
        (void)fail(r, 401, "Not authenticated");
}

/* ---- the server ---- */

/* libev's default loop is one per process: it stays. */
static void fixture_loop(void)
{
    struct loop *l = &fixture.server.loop;

    if (l->ev == NULL)
        loop_init(l);
}

void fixture_start(void (*configure)(struct conn_options *o))
{
    struct server *s = &fixture.server;

    fixture_loop();
    log_init("unit", LOG_ERROR);
    fixture.dispatched = fixture.admitted = fixture.cancelled = fixture.finished = 0;
    fixture.subscribers_count = 0;
    fixture.refuses = fixture.lowers = false;
    fixture.body_size = 0;
    completion_init(&fixture.gate);
    fixture.options = (struct conn_options){
        .max = 1000,
        .body_bytes_max = FIXTURE_BODY_MAX,
        .trusted_proxies = STR("127.0.0.0/8"),
    };
    if (configure != NULL)
        configure(&fixture.options);
    s->is_draining = false;
    s->dispatch = dispatch;
    s->admit = NULL;
    s->routes = route_table_new(rows, nelem(rows));
    s->conns = conn_pool_new(s, &fixture.options);
    CHECK(s->conns != NULL);
}

void fixture_admit(void)
{
    fixture.server.admit = admit;
}

void fixture_turns(void)
{
    for (int i = 0; i < 12; i++)
        ev_run(fixture.server.loop.ev, EVRUN_NOWAIT);
}

void fixture_stop(void)
{
    fixture_turns();
    conn_pool_abort(fixture.server.conns);
    fixture_turns();
    CHECK_INT(conn_pool_count(fixture.server.conns), 0);
    CHECK_INT(fixture.server.loop.tasks_count, 0);
    conn_pool_free(fixture.server.conns);
    route_table_free(fixture.server.routes);
    log_init("unit", LOG_INFO);
}

/* ---- clients ---- */

static void client_init(struct client *c, int fd)
{
    *c = (struct client){.fd = fd};
    buf_init(&c->got);
}

void client_open(struct client *c)
{
    struct sockaddr from = {.sa_family = AF_UNIX};
    int pair[2];

    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    client_init(c, pair[0]);
    conn_open(fixture.server.conns, pair[1], &from);
}

/* The address of a listening socket on loopback, which the pool owns from then on. */
struct sockaddr_in fixture_listen(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_INT(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_INT(listen(fd, 100), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    CHECK_INT(conn_pool_listen(fixture.server.conns, fd), 0);
    return in;
}

void client_connect(struct client *c, const struct sockaddr_in *in)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_INT(connect(fd, (const struct sockaddr *)in, sizeof(*in)), 0);
    client_init(c, fd);
}

void client_open_tcp(struct client *c)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, peer;
    socklen_t size = sizeof(in);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

    CHECK_INT(bind(listening, (struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_INT(listen(listening, 1), 0);
    CHECK_INT(getsockname(listening, (struct sockaddr *)&in, &size), 0);
    client_connect(c, &in);
    size = sizeof(peer);
    fd = accept4(listening, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    (void)close(listening);
    conn_open(fixture.server.conns, fd, (struct sockaddr *)&peer);
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
    buf_fini(&c->got);
}

void client_reset(struct client *c)
{
    struct linger none = {1, 0};

    CHECK_INT(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
    client_close(c);
}

void client_send(struct client *c, struct str bytes)
{
    unsigned attempts = 0;

    while (bytes.n != 0 && attempts++ < 10000) {
        ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0)
            bytes = str_from_offset(bytes, (size_t)n);
        fixture_turns();
    }
    CHECK_INT(bytes.n, 0);
}

/* One attempt. Whether something came. */
static bool client_receive_once(struct client *c, size_t room)
{
    ssize_t n = recv(c->fd, buf_reserve(&c->got, room), room, MSG_DONTWAIT);

    if (n > 0)
        buf_commit(&c->got, (size_t)n);
    c->is_eof |= n == 0;
    c->is_reset |= n < 0 && errno != EAGAIN;
    return n > 0;
}

enum { ROOM = 65536, PATIENCE_TURNS = 20 };

void client_receive(struct client *c, size_t bytes_max)
{
    unsigned idle = 0;

    while (buf_size(&c->got) < bytes_max && !c->is_eof && !c->is_reset && idle < PATIENCE_TURNS) {
        fixture_turns();
        idle = client_receive_once(c, ROOM) ? 0 : idle + 1;
        if (idle > 2) { /* the kernel may need a moment between two sockets */
            struct pollfd p = {.fd = c->fd, .events = POLLIN};

            (void)!poll(&p, 1, 1);
        }
    }
}

bool client_is_closed(struct client *c)
{
    client_receive(c, SIZE_MAX);
    return (c->is_eof || c->is_reset) && buf_size(&c->got) == 0;
}

struct str answer_header(const struct answer *an, const char *name)
{
    struct str rest = an->head;

    while (rest.n != 0) {
        ssize_t end = str_find(rest, STR("\r\n"));
        struct str value = str_head(rest, (size_t)end), key = str_cut(&value, ':');

        if (str_ieq(key, str_from(name)) && !str_is_none(value))
            return str_trim(value);
        rest = str_from_offset(rest, (size_t)end + 2);
    }
    return STR_NONE;
}

static bool body_take_chunked(struct arena *a, struct str *rest, struct answer *an)
{
    struct http_chunked chunked;
    struct buf body;
    struct str data;
    int rc = 1;

    http_chunked_init(&chunked);
    buf_init_arena(&body, a);
    while (rc > 0 && rest->n != 0) {
        rc = http_chunked_next(&chunked, UINT64_MAX, rest, &data);
        buf_add(&body, data);
    }
    an->body = buf_str(&body);
    return rc == 0;
}

static bool body_take(struct arena *a, struct str *rest, struct answer *an, bool is_to_head)
{
    struct str length = answer_header(an, "content-length");
    int64_t n = 0;

    if (is_to_head || an->status == 204 || an->status < 200)
        return true;
    if (str_eq(answer_header(an, "transfer-encoding"), STR("chunked")))
        return body_take_chunked(a, rest, an);
    if (str_to_i64(length, &n) < 0 || (uint64_t)n > rest->n)
        return false;
    an->body = arena_str(a, str_head(*rest, (size_t)n));
    *rest = str_from_offset(*rest, (size_t)n);
    return true;
}

static struct answer answer_take(struct arena *a, struct client *c, bool is_to_head)
{
    struct str rest = buf_str(&c->got);
    ssize_t end = str_find(rest, STR("\r\n\r\n"));
    struct answer an = {0};
    int64_t status = 0;

    if (end < 0 || !str_starts(rest, STR("HTTP/1.1 ")) || str_to_i64(str_of(rest.p + 9, 3), &status) < 0)
        return an;
    an.status = (int)status;
    an.head = arena_str(a, str_head(rest, (size_t)end + 2));
    rest = str_from_offset(rest, (size_t)end + 4);
    an.is_complete = body_take(a, &rest, &an, is_to_head);
    if (an.is_complete)
        buf_consume(&c->got, buf_size(&c->got) - rest.n);
    return an;
}

static struct answer client_await(struct arena *a, struct client *c, bool is_to_head)
{
    struct answer an = answer_take(a, c, is_to_head);

    for (unsigned i = 0; i < 10000 && !an.is_complete && !c->is_eof && !c->is_reset; i++) {
        size_t before = buf_size(&c->got);

        client_receive(c, before + 1);
        if (buf_size(&c->got) == before && !c->is_eof)
            break;
        an = answer_take(a, c, is_to_head);
    }
    return an;
}

struct answer client_answer(struct arena *a, struct client *c)
{
    return client_await(a, c, false);
}

struct answer client_answer_to_head(struct arena *a, struct client *c)
{
    return client_await(a, c, true);
}

struct answer exchange(struct arena *a, const char *request)
{
    struct answer an;
    struct client c;

    client_open(&c);
    client_send(&c, str_from(request));
    an = client_await(a, &c, str_starts(str_from(request), STR("HEAD ")));
    client_close(&c);
    return an;
}
