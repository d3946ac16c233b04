#include "http_fixture.h"

#include "base/clock.h"
#include "test.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

/* How connections end: deadlines, clients that leave, limits, draining; and what an idle one costs. */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct conn_stats stats(void)
{
    struct conn_stats out;

    conn_stats_get(fixture.server.conns, &out);
    return out;
}

/* As if so much time had passed without anything happening. */
static void time_passes(int64_t ms)
{
    fixture_turns();
    conn_pool_sweep(fixture.server.conns, clock_mono_ns() / 1000000 + ms);
    fixture_turns();
}

enum { SOON = 1000 }; /* well more than a test takes, less than the differences below */

/* ---- deadlines ---- */

TEST(conn_head_must_come_in_time)
{
    static const char *const parts[] = {"", "G", "GET /hello HTTP/1.1\r\nHost: a\r\n", "\r\n"};

    fixture_start(NULL);
    for (size_t i = 0; i < nelem(parts); i++) {
        struct client c;
        struct answer an;

        client_open(&c);
        client_send(&c, str_from(parts[i]));
        time_passes(CONN_HEAD_MS - SOON);
        client_receive(&c, 1);
        CHECK_INT(buf_size(&c.got), 0);
        time_passes(CONN_HEAD_MS);
        an = client_answer(a, &c);
        CHECK_INT(an.status, 408);
        CHECK_STR(an.body, STR("{\"detail\":\"Request Timeout\"}"));
        CHECK(client_is_closed(&c));
        client_close(&c);
    }
    fixture_stop();
}

TEST(conn_head_deadline_counts_from_its_first_octet)
{
    struct client c;
    struct answer an;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, GET("/hello") "GET /hello HTTP/1.1\r\n");
    CHECK_INT(client_answer(a, &c).status, 200);
    time_passes(CONN_HEAD_MS - SOON);
    client_say(&c, "Host: a\r\n"); /* more octets do not prolong it */
    time_passes(CONN_HEAD_MS);
    an = client_answer(a, &c);
    CHECK_INT(an.status, 408);
    CHECK(client_is_closed(&c));
    client_close(&c);
    fixture_stop();
}

TEST(conn_idle_closes_silently)
{
    struct client c;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, GET("/hello"));
    CHECK_INT(client_answer(a, &c).status, 200);
    time_passes(CONN_IDLE_MS - SOON);
    CHECK_INT(stats().reading, 1);
    time_passes(CONN_IDLE_MS);
    CHECK(client_is_closed(&c));
    client_close(&c);
    fixture_stop();
}

TEST(conn_body_must_not_stop)
{
    struct client c;
    struct answer an;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n");
    time_passes(CONN_BODY_GRACE_MS - SOON);
    CHECK_INT(stats().reading, 1);
    time_passes(CONN_BODY_GRACE_MS + SOON); /* and not one octet: the average */
    an = client_answer(a, &c);
    CHECK_INT(an.status, 408);
    CHECK(client_is_closed(&c));
    client_close(&c);
    CHECK_INT(fixture.dispatched, 0);
    fixture_stop();
}

static void large_bodies(struct conn_options *o)
{
    o->body_bytes_max = 1000000;
}

TEST(conn_body_needs_its_average_and_no_silence)
{
    struct client c;
    struct buf part;

    fixture_start(large_bodies);
    client_open(&c);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
    buf_init_arena(&part, a);
    memset(buf_reserve(&part, 40 * 1024), 'b', 40 * 1024);
    buf_commit(&part, 40 * 1024);
    client_send(&c, buf_str(&part)); /* enough for 40 seconds */
    time_passes(CONN_BODY_SILENCE_MS - SOON);
    CHECK_INT(stats().reading, 1);
    time_passes(CONN_BODY_SILENCE_MS + SOON);
    CHECK_INT(client_answer(a, &c).status, 408);
    client_close(&c);
    fixture_stop();
}

TEST(conn_late_rest_of_a_dropped_body_closes_silently)
{
    struct client c;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\nx");
    CHECK_INT(client_answer(a, &c).status, 404);
    time_passes(CONN_BODY_SILENCE_MS + SOON);
    CHECK(client_is_closed(&c));
    client_close(&c);
    fixture_stop();
}

TEST(conn_closes_a_client_that_does_not_read)
{
    struct client c;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, GET("/big") GET("/hello"));
    time_passes(CONN_WRITE_MS - SOON);
    CHECK_INT(stats().reading, 1);
    CHECK_INT(fixture.dispatched, 1);
    time_passes(CONN_WRITE_MS + SOON);
    CHECK_INT(conn_pool_count(fixture.server.conns), 0);
    client_close(&c);
    fixture_stop();
}

TEST(conn_long_answer_arrives_whole)
{
    struct client c;
    struct answer an;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, GET("/big") GET("/hello"));
    an = client_answer(a, &c);
    CHECK_INT(an.body.n, 4000000);
    for (size_t i = 0; i < an.body.n; i += 8) {
        char wanted[32];

        (void)snprintf(wanted, sizeof(wanted), "%07zu\n", i);
        if (memcmp(an.body.p + i, wanted, 8) != 0) {
            test_failed(__FILE__, __LINE__, "wrong at %zu", i);
            break;
        }
    }
    CHECK_INT(client_answer(a, &c).status, 200);
    client_close(&c);
    fixture_stop();
}

TEST(conn_does_not_work_ahead_of_a_client_that_does_not_read)
{
    struct client c;
    struct buf all;

    fixture_start(NULL);
    client_open(&c);
    buf_init_arena(&all, a);
    for (int i = 0; i < 100; i++)
        buf_addf(&all, GET("/big"));
    client_send(&c, buf_str(&all));
    fixture_turns();
    CHECK_INT(fixture.dispatched, 1);
    CHECK_INT(client_answer(a, &c).body.n, 4000000);
    CHECK(fixture.dispatched <= 3);
    client_close(&c);
    fixture_stop();
}

TEST(conn_lingers_not_for_ever)
{
    struct client c;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, "GET / HTTP/9.9\r\n\r\n");
    CHECK_INT(client_answer(a, &c).status, 505);
    CHECK(client_is_closed(&c));
    client_say(&c, "what is still under way"); /* does not hurt */
    CHECK_INT(stats().finishing, 1);
    time_passes(CONN_LINGER_MS + SOON);
    CHECK_INT(conn_pool_count(fixture.server.conns), 0);
    client_close(&c);
    fixture_stop();
}

TEST(conn_sweep_sleeps_when_there_is_nobody)
{
    struct client c;

    fixture_start(NULL);
    CHECK_INT(stats().timed, 0);
    client_open(&c);
    CHECK_INT(stats().timed, 1);
    client_say(&c, GET("/park"));
    CHECK_INT(stats().timed, 0); /* a running request has no deadline here */
    completion_finish(&fixture.gate, 0);
    CHECK_INT(client_answer(a, &c).status, 200);
    CHECK_INT(stats().timed, 1);
    client_close(&c);
    fixture_turns();
    CHECK_INT(stats().timed, 0);
    fixture_stop();
}

/* ---- clients that leave ---- */

TEST(conn_reset_cancels_the_task)
{
    struct client c;

    fixture_start(NULL);
    client_open_tcp(&c);
    client_say(&c, GET("/park"));
    CHECK_INT(stats().working, 1);
    client_reset(&c);
    fixture_turns();
    CHECK_INT(fixture.cancelled, 1);
    CHECK_INT(conn_pool_count(fixture.server.conns), 0);
    fixture_stop();
}

TEST(conn_close_of_a_unix_socket_cancels_the_task)
{
    struct client c;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, GET("/park"));
    client_close(&c);
    fixture_turns();
    CHECK_INT(fixture.cancelled, 1);
    CHECK_INT(conn_pool_count(fixture.server.conns), 0);
    fixture_stop();
}

TEST(conn_reset_is_seen_behind_a_full_read_ahead)
{
    struct client c;
    struct buf all;

    fixture_start(NULL);
    client_open_tcp(&c);
    buf_init_arena(&all, a);
    buf_addf(&all, GET("/park"));
    while (buf_size(&all) < CONN_READ_AHEAD_BYTES + 1000)
        buf_addf(&all, GET("/hello"));
    client_send(&c, buf_str(&all));
    fixture_turns();
    client_reset(&c);
    fixture_turns();
    CHECK_INT(fixture.cancelled, 1);
    fixture_stop();
}

TEST(conn_detached_task_outlives_its_client)
{
    struct client c;

    fixture_start(NULL);
    client_open_tcp(&c);
    client_say(&c, "POST /relay HTTP/1.1\r\nHost: a\r\n\r\n");
    client_reset(&c);
    fixture_turns();
    CHECK_INT(conn_pool_count(fixture.server.conns), 0);
    CHECK_INT(fixture.cancelled, 0);
    completion_finish(&fixture.gate, 0);
    fixture_turns();
    CHECK_INT(fixture.finished, 1);
    fixture_stop();
}

static void half_close_check(struct arena *a, void (*open_client)(struct client *c))
{
    struct client c;

    fixture_start(NULL);
    open_client(&c);
    client_say(&c, GET("/park") GET("/hello"));
    CHECK_INT(shutdown(c.fd, SHUT_WR), 0);
    fixture_turns();
    CHECK_INT(stats().working, 1);
    completion_finish(&fixture.gate, 0);
    CHECK_STR(client_answer(a, &c).body, STR("{\"parked\":true}"));
    CHECK_STR(client_answer(a, &c).body, STR("{\"hello\":true}"));
    CHECK(client_is_closed(&c));
    client_close(&c);
    fixture_stop();
}

TEST(conn_half_closed_clients_get_their_answers)
{
    half_close_check(a, client_open);
    half_close_check(a, client_open_tcp);
}

TEST(conn_incomplete_requests_end_with_their_client)
{
    static const char *const parts[] = {"", "GET /",
                                        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"};

    fixture_start(NULL);
    for (size_t i = 0; i < nelem(parts); i++) {
        struct client c;

        client_open(&c);
        client_send(&c, str_from(parts[i]));
        CHECK_INT(shutdown(c.fd, SHUT_WR), 0);
        CHECK(client_is_closed(&c));
        CHECK_INT(conn_pool_count(fixture.server.conns), 0);
        client_close(&c);
    }
    CHECK_INT(fixture.dispatched, 0);
    fixture_stop();
}

TEST(conn_reset_in_a_body_frees_it)
{
    struct client c;

    fixture_start(NULL);
    client_open_tcp(&c);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhe");
    client_reset(&c);
    fixture_turns();
    CHECK_INT(conn_pool_count(fixture.server.conns), 0);
    CHECK_INT(stats().incoming_bytes, 0);
    fixture_stop();
}

/* ---- limits ---- */

static void few_connections(struct conn_options *o)
{
    o->max = 3;
}

static void few_per_address(struct conn_options *o)
{
    o->per_address_max = 3;
    o->trusted_proxies = STR("");
}

static void few_per_trusted_address(struct conn_options *o)
{
    o->per_address_max = 3;
}

static void refusal_check(struct arena *a, void (*configure)(struct conn_options *o))
{
    struct client c[4];
    struct answer an;

    fixture_start(configure);
    for (size_t i = 0; i < nelem(c); i++)
        client_open(&c[i]);
    an = client_answer(a, &c[3]);
    CHECK_INT(an.status, 503);
    CHECK(!str_is_none(answer_header(&an, "retry-after")));
    CHECK_STR(answer_header(&an, "x-frame-options"), STR("SAMEORIGIN"));
    CHECK(client_is_closed(&c[3]));
    CHECK_INT(stats().refused, 1);
    client_say(&c[2], GET("/hello"));
    CHECK_INT(client_answer(a, &c[2]).status, 200);
    client_close(&c[3]);
    client_close(&c[0]);
    fixture_turns();
    client_open(&c[0]); /* there is room again */
    client_say(&c[0], GET("/hello"));
    CHECK_INT(client_answer(a, &c[0]).status, 200);
    for (size_t i = 0; i < 3; i++)
        client_close(&c[i]);
    fixture_stop();
}

TEST(conn_refuses_more_than_its_limits)
{
    refusal_check(a, few_connections);
    refusal_check(a, few_per_address);
}

static void one_connection(struct conn_options *o)
{
    o->max = 1;
}

TEST(conn_refuses_a_flood_at_once)
{
    static struct client c[CONN_REFUSING_MAX + 2];

    fixture_start(one_connection);
    for (size_t i = 0; i < nelem(c); i++)
        client_open(&c[i]);
    for (size_t i = 1; i < nelem(c); i++)
        CHECK_INT(client_answer(a, &c[i]).status, 503);
    CHECK_INT(conn_pool_count(fixture.server.conns), CONN_REFUSING_MAX + 1);
    CHECK_INT(stats().refused, CONN_REFUSING_MAX + 1);
    for (size_t i = 0; i < nelem(c); i++)
        client_close(&c[i]);
    fixture_stop();
}

TEST(conn_pool_needs_good_options)
{
    const struct conn_options bad = {.max = 1, .trusted_proxies = STR("proxy.example")};
    int pair[2];

    fixture_start(NULL);
    CHECK(conn_pool_new(&fixture.server, &bad) == NULL);
    CHECK_INT(pipe2(pair, O_CLOEXEC), 0);
    (void)close(pair[0]);
    CHECK_INT(conn_pool_listen(fixture.server.conns, pair[0]), -EBADF);
    (void)close(pair[1]);
    fixture_stop();
}

TEST(conn_trusted_proxies_may_open_many)
{
    struct client c[4];

    fixture_start(few_per_trusted_address);
    for (size_t i = 0; i < nelem(c); i++)
        client_open(&c[i]);
    CHECK_INT(stats().refused, 0);
    for (size_t i = 0; i < nelem(c); i++)
        client_close(&c[i]);
    fixture_stop();
}

/* A limit that leaves the process without another descriptor. */
static struct rlimit descriptors_run_out(void)
{
    struct rlimit before, now;
    int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    (void)close(next);
    now = before;
    now.rlim_cur = (rlim_t)next;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &now), 0);
    return before;
}

TEST(conn_without_descriptors_refuses_and_recovers)
{
    struct sockaddr_in in;
    struct client c, later;
    struct rlimit before;
    struct answer an;

    if (RUNNING_ON_VALGRIND) /* which accepts first and then finds that there are too many */
        return;
    fixture_start(NULL);
    in = fixture_listen();
    fixture_turns();
    client_connect(&c, &in);
    before = descriptors_run_out();
    fixture_turns();
    an = client_answer(a, &c);
    CHECK_INT(an.status, 503);
    CHECK(client_is_closed(&c));
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    time_passes(0);
    client_connect(&later, &in);
    client_say(&later, GET("/hello"));
    CHECK_INT(client_answer(a, &later).status, 200);
    client_close(&c);
    client_close(&later);
    fixture_stop();
}

TEST(conn_accepts_from_its_listeners)
{
    struct sockaddr_in one, two;
    struct client c[2];

    fixture_start(NULL);
    one = fixture_listen();
    two = fixture_listen();
    client_connect(&c[0], &one);
    client_connect(&c[1], &two);
    for (size_t i = 0; i < nelem(c); i++) {
        client_say(&c[i], GET("/hello"));
        CHECK_INT(client_answer(a, &c[i]).status, 200);
        client_close(&c[i]);
    }
    fixture_stop();
}

/* ---- draining ---- */

TEST(conn_drain_lets_requests_finish)
{
    struct client idle, busy, half;
    struct answer an;

    fixture_start(NULL);
    (void)fixture_listen();
    client_open(&idle);
    client_say(&idle, GET("/hello"));
    CHECK_INT(client_answer(a, &idle).status, 200);
    client_open(&busy);
    client_say(&busy, GET("/park"));
    client_open(&half);
    client_say(&half, "GET /hello HTTP/1.1\r\n");
    fixture.server.is_draining = true;
    conn_pool_drain(fixture.server.conns);
    CHECK(client_is_closed(&idle));
    client_say(&half, "Host: a\r\n\r\n");
    an = client_answer(a, &half);
    CHECK_INT(an.status, 200);
    CHECK_STR(answer_header(&an, "connection"), STR("close"));
    completion_finish(&fixture.gate, 0);
    an = client_answer(a, &busy);
    CHECK_INT(an.status, 200);
    CHECK_STR(answer_header(&an, "connection"), STR("close"));
    CHECK(client_is_closed(&busy));
    client_close(&idle);
    client_close(&busy);
    client_close(&half);
    fixture_turns();
    CHECK_INT(conn_pool_count(fixture.server.conns), 0);
    fixture_stop();
}

TEST(conn_task_that_is_cancelled_answers_503)
{
    struct client c;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, GET("/park"));
    task_cancel_all(&fixture.server.loop);
    CHECK_INT(client_answer(a, &c).status, 503);
    CHECK_INT(fixture.cancelled, 1);
    client_close(&c);
    fixture_stop();
}
