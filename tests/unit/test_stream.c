#include "http_fixture.h"

#include "conn_impl.h"
#include "test.h"

#include <malloc.h>

/* Server-sent events: framing, sharing, slow and leaving clients, memory. */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define EVENTS    GET("/events")

static struct conn_stats stats(void)
{
    struct conn_stats out;

    conn_stats_get(fixture.server.conns, &out);
    return out;
}

static void send_all(struct str event)
{
    struct stream_text *t = stream_text_new(event);

    for (unsigned i = 0; i < fixture.subscribers_count; i++)
        stream_send(&fixture.subscribers[i].sink, t);
    stream_text_drop(t);
    fixture_turns();
}

static void end_all(void)
{
    for (unsigned i = 0; i < fixture.subscribers_count; i++)
        stream_end(&fixture.subscribers[i].sink);
    fixture_turns();
}

/* The head of a stream's answer; what follows stays in got. */
static struct str stream_head(struct arena *a, struct client *c)
{
    ssize_t end;
    struct str head;

    client_receive(c, 1);
    end = str_find(buf_str(&c->got), STR("\r\n\r\n"));
    if (end < 0)
        return STR("");
    head = arena_str(a, str_head(buf_str(&c->got), (size_t)end + 2));
    buf_consume(&c->got, (size_t)end + 4);
    return head;
}

static void expect_bytes(struct client *c, struct str wanted)
{
    client_receive(c, wanted.n);
    CHECK_STR(buf_str(&c->got), wanted);
    buf_consume(&c->got, buf_size(&c->got));
}

TEST(stream_event_is_one_chunk)
{
    struct client c;
    struct answer an = {0};

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, EVENTS);
    an.head = stream_head(a, &c);
    CHECK(str_starts(an.head, STR("HTTP/1.1 200 OK\r\n")));
    CHECK_STR(answer_header(&an, "content-type"), STR("text/event-stream; charset=utf-8"));
    CHECK_STR(answer_header(&an, "cache-control"), STR("no-store"));
    CHECK_STR(answer_header(&an, "connection"), STR("keep-alive"));
    CHECK_STR(answer_header(&an, "x-accel-buffering"), STR("no"));
    CHECK_STR(answer_header(&an, "transfer-encoding"), STR("chunked"));
    CHECK_STR(answer_header(&an, "x-stream-channel"), STR("c1"));
    CHECK(str_is_none(answer_header(&an, "content-length")));
    send_all(STR("event: a\r\ndata: 1\r\n\r\n"));
    expect_bytes(&c, STR("15\r\nevent: a\r\ndata: 1\r\n\r\n\r\n"));
    send_all(STR("x"));
    send_all(STR("0123456789abcdef"));
    expect_bytes(&c, STR("1\r\nx\r\n10\r\n0123456789abcdef\r\n"));
    end_all();
    expect_bytes(&c, STR("0\r\n\r\n"));
    client_say(&c, GET("/hello"));
    CHECK_INT(client_answer(a, &c).status, 200);
    client_close(&c);
    fixture_stop();
    CHECK_INT(fixture.subscribers[0].closes, 0);
}

TEST(stream_end_follows_in_the_same_turn)
{
    struct client c;
    struct stream_text *t = stream_text_new(STR("data: last\r\n\r\n"));

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, EVENTS GET("/hello"));
    (void)stream_head(a, &c);
    stream_send(&fixture.subscribers[0].sink, t);
    stream_end(&fixture.subscribers[0].sink);
    CHECK(fixture.subscribers[0].sink.conn == NULL);
    stream_send(&fixture.subscribers[0].sink, t); /* nothing happens */
    CHECK_INT(t->holds, 2);
    stream_text_drop(t);
    client_receive(&c, 24);
    CHECK(str_starts(buf_str(&c.got), STR("e\r\ndata: last\r\n\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n")));
    client_close(&c);
    fixture_stop();
}

TEST(stream_for_1_0_ends_with_the_connection)
{
    struct client c;
    struct answer an = {0};

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, "GET /events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    an.head = stream_head(a, &c);
    CHECK_STR(answer_header(&an, "connection"), STR("close"));
    CHECK(str_is_none(answer_header(&an, "transfer-encoding")));
    send_all(STR("data: 1\r\n\r\n"));
    end_all();
    expect_bytes(&c, STR("data: 1\r\n\r\n"));
    CHECK(client_is_closed(&c));
    client_close(&c);
    fixture_stop();
}

TEST(stream_head_request_gets_the_headers_only)
{
    struct client c;
    struct answer an;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, "HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n" GET("/hello"));
    an = client_answer_to_head(a, &c);
    CHECK_STR(answer_header(&an, "content-type"), STR("text/event-stream; charset=utf-8"));
    CHECK_INT(fixture.subscribers[0].closes, 1);
    CHECK_STR(client_answer(a, &c).body, STR("{\"hello\":true}"));
    client_close(&c);
    fixture_stop();
    CHECK_INT(fixture.subscribers[0].closes, 1);
}

TEST(stream_slow_client_is_closed_and_others_go_on)
{
    struct client c[3], slow;
    char *event = arena_bytes(a, 50000);
    size_t received[3] = {0};

    fixture_start(NULL);
    memset(event, 'e', 50000);
    for (size_t i = 0; i < nelem(c); i++) {
        client_open(&c[i]);
        client_say(&c[i], EVENTS);
        (void)stream_head(a, &c[i]);
    }
    client_open(&slow);
    client_say(&slow, EVENTS);
    fixture_turns();
    CHECK_INT(stats().streaming, 4);
    for (int k = 0; k < 40; k++) {
        send_all(str_of(event, 50000));
        for (size_t i = 0; i < nelem(c); i++) {
            client_receive(&c[i], SIZE_MAX);
            received[i] += buf_size(&c[i].got);
            buf_consume(&c[i].got, buf_size(&c[i].got));
        }
    }
    for (size_t i = 0; i < nelem(c); i++) {
        CHECK_INT(received[i], 40 * (50000 + 8));
        CHECK_INT(fixture.subscribers[i].closes, 0);
    }
    CHECK_INT(fixture.subscribers[3].closes, 1);
    CHECK(fixture.subscribers[3].sink.conn == NULL);
    CHECK_INT(stats().slow_streams, 1);
    CHECK_INT(stats().streaming, 3);
    end_all();
    for (size_t i = 0; i < nelem(c); i++)
        client_close(&c[i]);
    client_close(&slow);
    fixture_stop();
}

TEST(stream_partial_writes_continue_where_they_stopped)
{
    struct client c;
    struct buf wanted;
    char *event = arena_bytes(a, 30000);

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, EVENTS);
    (void)stream_head(a, &c);
    buf_init_arena(&wanted, a);
    for (int k = 0; k < 30; k++) {
        size_t n = (size_t)(1000 * (k + 1) - 7 * k);

        for (size_t i = 0; i < n; i++)
            event[i] = (char)('a' + (i + (size_t)k) % 26);
        send_all(str_of(event, n));
        buf_addf(&wanted, "%zx\r\n", n);
        buf_add(&wanted, str_of(event, n));
        buf_addf(&wanted, "\r\n");
    }
    client_receive(&c, buf_size(&wanted));
    CHECK(str_eq(buf_str(&c.got), buf_str(&wanted)));
    client_close(&c);
    fixture_stop();
    CHECK_INT(fixture.subscribers[0].closes, 1);
}

static void abort_check(void (*open_client)(struct client *c), void (*leave)(struct client *c))
{
    struct client c;

    fixture_start(NULL);
    open_client(&c);
    client_say(&c, EVENTS);
    fixture_turns();
    leave(&c);
    for (int i = 0; i < 1000 && fixture.subscribers[0].closes == 0; i++) {
        fixture_turns();
        (void)usleep(i < 10 ? 0 : 1000); /* the reset that answers our probe comes from the kernel */
    }
    CHECK_INT(fixture.subscribers[0].closes, 1);
    CHECK_INT(conn_pool_count(fixture.server.conns), 0);
    fixture_stop();
}

TEST(stream_leaving_client_closes_its_sink)
{
    abort_check(client_open, client_close);
    abort_check(client_open_tcp, client_close);
    abort_check(client_open_tcp, client_reset);
}

TEST(stream_half_closed_client_stays)
{
    struct client c;

    fixture_start(NULL);
    client_open_tcp(&c);
    client_say(&c, EVENTS);
    (void)stream_head(a, &c);
    CHECK_INT(shutdown(c.fd, SHUT_WR), 0);
    expect_bytes(&c, STR("5\r\n:\r\n\r\n\r\n")); /* a comment asks whether it is still there */
    send_all(STR("data: 1\r\n\r\n"));
    expect_bytes(&c, STR("b\r\ndata: 1\r\n\r\n\r\n"));
    CHECK_INT(fixture.subscribers[0].closes, 0);
    end_all();
    expect_bytes(&c, STR("0\r\n\r\n"));
    CHECK(client_is_closed(&c));
    client_close(&c);
    fixture_stop();
}

TEST(stream_ended_before_its_client_is_known_to_be_gone)
{
    struct client c;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, EVENTS);
    conn_pool_abort(fixture.server.conns);
    stream_end(&fixture.subscribers[0].sink); /* the feeder may forget the sink now */
    memset(&fixture.subscribers[0], 0x55, sizeof(fixture.subscribers[0]));
    fixture_turns();
    client_close(&c);
    fixture_stop();
}

TEST(stream_may_end_before_its_task)
{
    struct client c;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, GET("/busy") GET("/hello"));
    (void)stream_head(a, &c);
    CHECK_INT(fixture.finished, 0);
    end_all();
    client_receive(&c, 6);
    CHECK(str_starts(buf_str(&c.got), STR("0\r\n\r\nHTTP/1.1 200 OK\r\n")));
    completion_finish(&fixture.gate, 0);
    fixture_turns();
    CHECK_INT(fixture.finished, 1);
    CHECK_INT(fixture.cancelled, 0);
    client_close(&c);
    fixture_stop();
}

TEST(stream_that_is_left_cancels_its_task)
{
    struct client c;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, GET("/busy"));
    client_close(&c);
    fixture_turns();
    CHECK_INT(fixture.cancelled, 1);
    CHECK_INT(fixture.subscribers[0].closes, 1);
    fixture_stop();
}

TEST(stream_cannot_begin_for_a_client_that_has_gone)
{
    struct client c;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, GET("/late"));
    client_close(&c);
    fixture_turns();
    completion_finish(&fixture.gate, 0);
    fixture_turns();
    CHECK_INT(fixture.cancelled, 1);
    CHECK_INT(fixture.subscribers_count, 1);
    CHECK_INT(fixture.subscribers[0].closes, 0);
    fixture_stop();
}

TEST(stream_asks_a_client_that_was_half_closed_before)
{
    struct client c;

    fixture_start(NULL);
    client_open_tcp(&c);
    client_say(&c, GET("/late"));
    CHECK_INT(shutdown(c.fd, SHUT_WR), 0);
    fixture_turns();
    completion_finish(&fixture.gate, 0);
    fixture_turns();
    (void)stream_head(a, &c);
    expect_bytes(&c, STR("5\r\n:\r\n\r\n\r\n"));
    CHECK_INT(stats().streaming, 1);
    end_all();
    expect_bytes(&c, STR("0\r\n\r\n"));
    client_close(&c);
    fixture_stop();
}

TEST(stream_idle_subscriber_costs_little)
{
    enum { COUNT = SUBSCRIBERS_MAX };
    static struct client c[COUNT];
    struct mallinfo2 before = {0}, after;
    static char received[4096];
    size_t each;

    fixture_start(NULL);
    for (size_t i = 0; i < COUNT; i++) {
        client_open(&c[i]);
        if (i == 0) {
            client_say(&c[i], EVENTS);
            (void)stream_head(a, &c[i]);
            before = mallinfo2();
        }
    }
    for (size_t i = 1; i < COUNT; i++) {
        client_say(&c[i], EVENTS);
        fixture_turns();
        CHECK(recv(c[i].fd, received, sizeof(received), MSG_DONTWAIT) > 0);
    }
    send_all(STR("data: 1\r\n\r\n"));
    after = mallinfo2();
    each = (after.uordblks - before.uordblks) / (COUNT - 1);
    printf("stream: conn %zu, stream %zu, sink %zu, source %zu bytes; on the heap per idle subscriber %zu\n",
           sizeof(struct conn), sizeof(struct conn_stream), sizeof(struct stream_sink), sizeof(struct source),
           each + sizeof(struct stream_sink));
    CHECK(each + sizeof(struct stream_sink) <= 512);
    CHECK(sizeof(struct conn) + sizeof(struct conn_stream) + sizeof(struct stream_sink) +
              sizeof(struct source) <=
          448);
    for (size_t i = 0; i < COUNT; i++)
        client_close(&c[i]);
    fixture_stop();
}
