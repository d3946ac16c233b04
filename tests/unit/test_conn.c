#include "http_fixture.h"

#include "test.h"

/* Requests and answers on connections: framing, order, refusals, headers. */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

TEST(conn_keeps_alive)
{
    struct client c;
    struct answer an;

    fixture_start(NULL);
    client_open(&c);
    for (int i = 0; i < 3; i++) {
        client_say(&c, GET("/hello"));
        an = client_answer(a, &c);
        CHECK(an.is_complete);
        CHECK_INT(an.status, 200);
        CHECK_STR(an.body, STR("{\"hello\":true}"));
        CHECK(str_is_none(answer_header(&an, "connection")));
    }
    client_say(&c, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    an = client_answer(a, &c);
    CHECK_STR(answer_header(&an, "connection"), STR("close"));
    CHECK(client_is_closed(&c));
    client_close(&c);
    fixture_stop();
    CHECK_INT(fixture.dispatched, 4);
}

static const struct {
    const char *name, *value; /* value NULL: any */
} headers_of_every_answer[] = {
    {"server", "sinas"},
    {"x-content-type-options", "nosniff"},
    {"referrer-policy", "strict-origin-when-cross-origin"},
    {"x-xss-protection", "1; mode=block"},
    {"access-control-allow-origin", "*"},
    {"access-control-expose-headers", "X-Request-ID, Retry-After, X-Stream-Channel, X-Chat-ID"},
    {"x-frame-options", "SAMEORIGIN"},
    {"date", NULL},
    {"x-request-id", NULL},
};

static const struct {
    const char *request;
    int status;
    const char *body; /* NULL: none */
} exchanges[] = {
    {GET("/hello"), 200, "{\"hello\":true}"},
    {GET("/hello/"), 200, "{\"hello\":true}"},
    {"HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n", 200, NULL},
    {"GET /hello HTTP/1.0\r\n\r\n", 200, "{\"hello\":true}"},
    {"\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 200, "{\"hello\":true}"},
    {GET("/items/a%2Fb?q=1&q=%20x+y"), 200,
     "{\"id\":\"a/b\",\"q\":\" x y\",\"client\":\"127.0.0.1\",\"tls\":false}"},
    {"DELETE /items/1 HTTP/1.1\r\nHost: a\r\n\r\n", 204, NULL},
    {GET("/nowhere"), 404, "{\"detail\":\"Not Found\"}"},
    {GET("//hello"), 404, "{\"detail\":\"Not Found\"}"},
    {"BREW /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404, "{\"detail\":\"Not Found\"}"},
    {"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405,
     "{\"detail\":\"Method Not Allowed\"}"},
    {"get /hello HTTP/1.1\r\nHost: a\r\n\r\n", 405, "{\"detail\":\"Method Not Allowed\"}"},
    {"TRACE /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 405, "{\"detail\":\"Method Not Allowed\"}"},
    {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405, "{\"detail\":\"Method Not Allowed\"}"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204, NULL},
    {"OPTIONS /hello HTTP/1.1\r\nHost: a\r\n\r\n", 204, NULL},
    {"OPTIONS /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404, "{\"detail\":\"Not Found\"}"},
    {GET("/items/%zz"), 400, "{\"detail\":\"Bad Request\"}"},
    {GET("/items/1?q=%ff"), 400, "{\"detail\":\"Bad Request\"}"},
    {GET("/hello?%00"), 400, "{\"detail\":\"Bad Request\"}"},
    {GET("/nothing"), 500, "{\"detail\":\"Internal Server Error\"}"},
    {"GET /hello\r\n", 400, "{\"detail\":\"Bad Request\"}"},
    {"GET /hello HTTP/1.1\nHost: a\n\n", 400, "{\"detail\":\"Bad Request\"}"},
    {"GET /hello HTTP/1.1\r\n\r\n", 400, "{\"detail\":\"Bad Request\"}"},
    {"GET /hello HTTP/2.0\r\n\r\n", 505, "{\"detail\":\"HTTP Version Not Supported\"}"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501,
     "{\"detail\":\"Not Implemented\"}"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Encoding: gzip\r\n\r\n", 415,
     "{\"detail\":\"Unsupported Media Type\"}"},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417, "{\"detail\":\"Expectation Failed\"}"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413,
     "{\"detail\":\"Request body too large\"}"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413,
     "{\"detail\":\"Request body too large\"}"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", 413,
     "{\"detail\":\"Request body too large\"}"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx", 400,
     "{\"detail\":\"Bad Request\"}"},
    {"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 16385\r\n\r\n", 413,
     "{\"detail\":\"Request body too large\"}"},
    {"POST /config HTTP/1.1\r\nHost: a\r\nContent-Length: 33554433\r\n\r\n", 413,
     "{\"detail\":\"Request body too large\"}"},
    {"POST /config HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, "hi"},
    {"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 67108865\r\n\r\n", 413,
     "{\"detail\":\"Request body too large\"}"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"},
    {"PUT /items/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, ""},
};

TEST(conn_answers_carry_their_headers)
{
    fixture_start(NULL);
    for (size_t i = 0; i < nelem(exchanges); i++) {
        struct answer an = exchange(a, exchanges[i].request);

        if (!an.is_complete || an.status != exchanges[i].status)
            test_failed(__FILE__, __LINE__, "%d for %s", an.status, exchanges[i].request);
        if (exchanges[i].body == NULL)
            CHECK_INT(an.body.n, 0);
        else
            CHECK_STR(an.body, str_from(exchanges[i].body));
        for (size_t h = 0; h < nelem(headers_of_every_answer); h++) {
            struct str value = answer_header(&an, headers_of_every_answer[h].name);

            CHECK(!str_is_none(value));
            if (headers_of_every_answer[h].value != NULL)
                CHECK_STR(value, str_from(headers_of_every_answer[h].value));
        }
        CHECK_INT(answer_header(&an, "x-request-id").n, 36);
        CHECK(str_is_none(answer_header(&an, "strict-transport-security")));
        CHECK(str_is_none(answer_header(&an, "access-control-allow-credentials")));
    }
    fixture_stop();
}

TEST(conn_answers_to_head_have_the_length)
{
    struct answer an;

    fixture_start(NULL);
    an = exchange(a, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_STR(answer_header(&an, "content-length"), STR("14"));
    CHECK_STR(answer_header(&an, "content-type"), STR("application/json"));
    an = exchange(a, "DELETE /items/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(str_is_none(answer_header(&an, "content-length")));
    CHECK(str_is_none(answer_header(&an, "content-type")));
    fixture_stop();
}

TEST(conn_allow_names_the_methods)
{
    struct answer an;

    fixture_start(NULL);
    an = exchange(a, "POST /items/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_STR(answer_header(&an, "allow"), STR("GET, HEAD, PUT, DELETE, OPTIONS"));
    an = exchange(a, "OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_STR(answer_header(&an, "allow"), STR("POST, OPTIONS"));
    an = exchange(a, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_STR(answer_header(&an, "allow"), STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    an = exchange(a, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_INT(an.status, 405);
    CHECK(!str_is_none(answer_header(&an, "allow")));
    fixture_stop();
}

TEST(conn_some_headers_are_the_routes)
{
    struct answer an;

    fixture_start(NULL);
    an = exchange(a, "POST /auth/login HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_STR(answer_header(&an, "cache-control"), STR("no-store"));
    an = exchange(a, GET("/unsafe"));
    CHECK_INT(an.status, 401);
    CHECK_STR(an.body, STR("{\"detail\":\"No \\\"credential\\\"\"}"));
    CHECK_STR(answer_header(&an, "www-authenticate"), STR("Bearer"));
    CHECK_STR(answer_header(&an, "x-name"), STR("a  Set-Cookie: b"));
    CHECK(str_is_none(answer_header(&an, "set-cookie")));
    CHECK(str_is_none(answer_header(&an, "x-frame-options")));
    fixture_stop();
}

TEST(conn_believes_trusted_proxies_only)
{
    struct answer an;
    struct client c;

    fixture_start(NULL);
    an = exchange(a, "GET /items/1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 9.8.7.6, 127.0.0.2\r\n"
                     "X-Forwarded-Proto: https\r\n\r\n");
    CHECK_STR(an.body, STR("{\"id\":\"1\",\"q\":null,\"client\":\"9.8.7.6\",\"tls\":true}"));
    CHECK(!str_is_none(answer_header(&an, "strict-transport-security")));
    an = exchange(a, "GET /items/1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https, http\r\n\r\n");
    CHECK_STR(an.body, STR("{\"id\":\"1\",\"q\":null,\"client\":\"127.0.0.1\",\"tls\":false}"));
    client_open_tcp(&c);
    client_say(&c, "GET /items/1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.8.7.6\r\n\r\n");
    an = client_answer(a, &c);
    CHECK_STR(an.body, STR("{\"id\":\"1\",\"q\":null,\"client\":\"9.8.7.6\",\"tls\":false}"));
    client_close(&c);
    fixture_stop();
}

static void trust_nobody(struct conn_options *o)
{
    o->trusted_proxies = STR("10.0.0.0/8");
}

TEST(conn_does_not_believe_others)
{
    struct answer an;

    fixture_start(trust_nobody);
    an = exchange(
        a,
        "GET /items/1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.8.7.6\r\nX-Forwarded-Proto: https\r\n\r\n");
    CHECK_STR(an.body, STR("{\"id\":\"1\",\"q\":null,\"client\":\"127.0.0.1\",\"tls\":false}"));
    CHECK(str_is_none(answer_header(&an, "strict-transport-security")));
    fixture_stop();
}

/* ---- order ---- */

static void pipeline_check(struct arena *a, unsigned count, size_t piece)
{
    struct client c;
    struct buf all;

    fixture_start(NULL);
    client_open(&c);
    buf_init_arena(&all, a);
    for (unsigned i = 0; i < count; i++) {
        if (i % 3 == 0)
            buf_addf(&all, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04u", i);
        else if (i % 3 == 1)
            buf_addf(
                &all,
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n%04u\r\n0\r\n\r\n",
                i);
        else
            buf_addf(&all, "GET /nowhere/%u HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", i);
    }
    for (size_t at = 0; at < buf_size(&all); at += piece)
        client_send(&c, str_of(all.p + at, buf_size(&all) - at < piece ? buf_size(&all) - at : piece));
    for (unsigned i = 0; i < count; i++) {
        struct answer an = client_answer(a, &c);
        char wanted[16];

        (void)snprintf(wanted, sizeof(wanted), "%04u", i);
        CHECK(an.is_complete);
        CHECK_INT(an.status, i % 3 == 2 ? 404 : 200);
        if (i % 3 != 2)
            CHECK_STR(an.body, str_from(wanted));
    }
    client_close(&c);
    fixture_stop();
}

TEST(conn_pipelines_64_at_once)
{
    pipeline_check(a, 64, SIZE_MAX / 2);
}

TEST(conn_pipelines_octet_by_octet)
{
    pipeline_check(a, 7, 1);
}

TEST(conn_pipelines_more_than_it_reads_ahead)
{
    pipeline_check(a, 2000, 30000);
}

TEST(conn_runs_one_request_at_a_time)
{
    struct client c;
    struct answer an;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, GET("/park") GET("/hello") GET("/hello"));
    fixture_turns();
    CHECK_INT(fixture.dispatched, 1);
    client_receive(&c, 1);
    CHECK_INT(buf_size(&c.got), 0);
    completion_finish(&fixture.gate, 0);
    an = client_answer(a, &c);
    CHECK_STR(an.body, STR("{\"parked\":true}"));
    an = client_answer(a, &c);
    CHECK_STR(an.body, STR("{\"hello\":true}"));
    an = client_answer(a, &c);
    CHECK_STR(an.body, STR("{\"hello\":true}"));
    client_close(&c);
    fixture_stop();
}

TEST(conn_forgets_what_follows_close)
{
    struct client c;
    struct answer an;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/hello"));
    an = client_answer(a, &c);
    CHECK_INT(an.status, 200);
    CHECK(client_is_closed(&c));
    CHECK_INT(fixture.dispatched, 1);
    client_close(&c);
    fixture_stop();
}

TEST(conn_1_0_stays_only_when_asked)
{
    struct client c;
    struct answer an;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    an = client_answer(a, &c);
    CHECK_STR(answer_header(&an, "connection"), STR("keep-alive"));
    client_say(&c, "GET /hello HTTP/1.0\r\n\r\n");
    an = client_answer(a, &c);
    CHECK_STR(answer_header(&an, "connection"), STR("close"));
    CHECK(client_is_closed(&c));
    client_close(&c);
    fixture_stop();
}

/* ---- bodies ---- */

TEST(conn_sends_100_before_it_reads)
{
    struct client c;
    struct answer an;

    fixture_start(NULL);
    client_open(&c);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    an = client_answer(a, &c);
    CHECK_INT(an.status, 100);
    CHECK_INT(an.head.n, strlen("HTTP/1.1 100 Continue\r\n"));
    client_say(&c, "hello");
    an = client_answer(a, &c);
    CHECK_INT(an.status, 200);
    CHECK_STR(an.body, STR("hello"));
    client_close(&c);
    fixture_stop();
}

static const char *const refused_expectations[] = {
    "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
};

TEST(conn_never_sends_100_before_a_refusal)
{
    fixture_start(NULL);
    for (size_t i = 0; i < nelem(refused_expectations); i++) {
        struct client c;
        struct answer an;

        client_open(&c);
        client_send(&c, str_from(refused_expectations[i]));
        an = client_answer(a, &c);
        CHECK(an.status >= 200);
        CHECK_STR(answer_header(&an, "connection"), STR("close"));
        CHECK(client_is_closed(&c));
        client_close(&c);
    }
    fixture_stop();
}

TEST(conn_asks_before_it_reads_a_long_body)
{
    struct client c;
    struct answer an;

    fixture_start(NULL);
    fixture_admit();
    client_open(&c);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    an = client_answer(a, &c);
    CHECK_INT(an.status, 200);
    CHECK_INT(fixture.admitted, 0);
    client_say(&c,
               "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n");
    an = client_answer(a, &c);
    CHECK_STR(an.body, STR("world"));
    CHECK_INT(fixture.admitted, 1);
    fixture.refuses = true;
    client_say(
        &c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n" GET(
                "/hello"));
    an = client_answer(a, &c);
    CHECK_INT(an.status, 401);
    an = client_answer(a, &c);
    CHECK_STR(an.body, STR("{\"hello\":true}"));
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    an = client_answer(a, &c);
    CHECK_INT(an.status, 401);
    CHECK(client_is_closed(&c));
    CHECK_INT(fixture.dispatched, 3);
    client_close(&c);
    fixture_stop();
}

TEST(conn_admission_may_lower_the_limit)
{
    struct client c;

    fixture_start(NULL);
    fixture_admit();
    fixture.lowers = true;
    client_open(&c);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    CHECK_INT(client_answer(a, &c).status, 413);
    client_close(&c);
    client_open(&c);
    client_say(&c,
               "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    CHECK_INT(client_answer(a, &c).status, 200);
    client_say(&c,
               "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n");
    CHECK_INT(client_answer(a, &c).status, 413);
    client_close(&c);
    client_open(&c);
    client_say(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client_close(&c);
    fixture_turns();
    CHECK_INT(conn_pool_count(fixture.server.conns), 0);
    fixture_stop();
}

static void body_limit_check(struct arena *a, size_t n, bool is_chunked, int status)
{
    struct client c;
    struct answer an;
    struct buf all;

    client_open(&c);
    buf_init_arena(&all, a);
    if (is_chunked)
        buf_addf(&all, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", n);
    else
        buf_addf(&all, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    memset(buf_reserve(&all, n), 'b', n);
    buf_commit(&all, n);
    if (is_chunked)
        buf_addf(&all, "\r\n0\r\n\r\n");
    client_send(&c, buf_str(&all));
    an = client_answer(a, &c);
    CHECK_INT(an.status, status);
    CHECK_INT(an.body.n, status == 200 ? n : strlen("{\"detail\":\"Request body too large\"}"));
    client_close(&c);
}

TEST(conn_body_limit_is_inclusive)
{
    fixture_start(NULL);
    body_limit_check(a, FIXTURE_BODY_MAX, false, 200);
    body_limit_check(a, FIXTURE_BODY_MAX + 1, false, 413);
    body_limit_check(a, FIXTURE_BODY_MAX, true, 200);
    body_limit_check(a, FIXTURE_BODY_MAX + 1, true, 413);
    fixture_stop();
}

static void unread_body_check(struct arena *a, size_t n, bool is_chunked, bool stays)
{
    struct client c;
    struct answer an;
    struct buf all;

    client_open(&c);
    buf_init_arena(&all, a);
    if (is_chunked)
        buf_addf(&all, "POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", n);
    else
        buf_addf(&all, "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    memset(buf_reserve(&all, n), 'b', n);
    buf_commit(&all, n);
    if (is_chunked)
        buf_addf(&all, "\r\n0\r\n\r\n");
    buf_addf(&all, GET("/hello"));
    client_send(&c, buf_str(&all)); /* taken in full, the end of a long one while lingering */
    an = client_answer(a, &c);
    CHECK_INT(an.status, 404);
    an = client_answer(a, &c);
    CHECK_INT(an.status, stays ? 200 : 0);
    CHECK(stays || (c.is_eof && !c.is_reset));
    client_close(&c);
}

TEST(conn_drops_a_short_body_that_nobody_reads)
{
    fixture_start(NULL);
    unread_body_check(a, 1, false, true);
    unread_body_check(a, 65536, false, true);
    unread_body_check(a, 65537, false, false);
    unread_body_check(a, 1000000, false, false);
    unread_body_check(a, 60000, true, true);
    unread_body_check(a, 1000000, true, false);
    fixture_stop();
}

static void small_budget(struct conn_options *o)
{
    o->incoming_bytes_max = 20000;
    o->body_bytes_max = 1000000;
}

TEST(conn_refuses_when_bodies_fill_the_memory)
{
    struct client waiting[3], c;
    struct conn_stats stats;
    struct answer an;

    fixture_start(small_budget);
    for (size_t i = 0; i < nelem(waiting); i++) {
        client_open(&waiting[i]);
        client_say(&waiting[i], "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
        for (int k = 0; k < 100; k++)
            client_say(&waiting[i], "0123456789012345678901234567890123456789012345678901234567890123456789");
    }
    an = client_answer(a, &waiting[2]);
    CHECK_INT(an.status, 503);
    CHECK(!str_is_none(answer_header(&an, "retry-after")));
    client_open(&c);
    client_say(&c, GET("/hello"));
    an = client_answer(a, &c);
    CHECK_INT(an.status, 200); /* what needs no buffer goes on */
    for (size_t i = 0; i < nelem(waiting); i++)
        client_close(&waiting[i]);
    fixture_turns();
    conn_stats_get(fixture.server.conns, &stats);
    CHECK_INT(stats.incoming_bytes, 0);
    client_close(&c);
    fixture_stop();
}

/* ---- CORS ---- */

static void some_origins(struct conn_options *o)
{
    o->cors_origins = STR("https://one.example, https://two.example/");
    o->domain = STR("sinas.example");
}

static const struct {
    const char *origin;
    bool is_allowed;
} origins[] = {
    {"https://one.example", true},
    {"https://two.example", true},
    {"https://sinas.example:51245", true},
    {"http://localhost:51245", true},
    {"http://one.example", false},
    {"https://one.example.evil", false},
    {"https://sinas.example", false},
    {"null", false},
    {"*", false},
};

TEST(conn_cors_list_echoes_the_origin)
{
    fixture_start(some_origins);
    for (size_t i = 0; i < nelem(origins); i++) {
        const char *get =
            arena_printf(a, "GET /nowhere HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\n\r\n", origins[i].origin);
        const char *preflight = arena_printf(
            a,
            "OPTIONS /x HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\nAccess-Control-Request-Method: PUT\r\n"
            "Access-Control-Request-Headers: authorization, X-A\r\n\r\n",
            origins[i].origin);
        struct answer an = exchange(a, get);

        CHECK_INT(an.status, 404);
        CHECK_STR(answer_header(&an, "vary"), STR("Origin"));
        CHECK_STR(answer_header(&an, "access-control-allow-origin"),
                  origins[i].is_allowed ? str_from(origins[i].origin) : STR_NONE);
        an = exchange(a, preflight);
        CHECK_INT(an.status, origins[i].is_allowed ? 200 : 400);
        CHECK_STR(an.body, origins[i].is_allowed ? STR("OK") : STR("Disallowed CORS origin"));
        CHECK_STR(answer_header(&an, "access-control-allow-origin"),
                  origins[i].is_allowed ? str_from(origins[i].origin) : STR_NONE);
    }
    fixture_stop();
}

TEST(conn_cors_preflight_for_all)
{
    struct answer an;

    fixture_start(NULL);
    an = exchange(
        a, "OPTIONS /nowhere HTTP/1.1\r\nHost: a\r\nOrigin: null\r\nAccess-Control-Request-Method: PUT\r\n"
           "Access-Control-Request-Headers: authorization, X-A\r\n\r\n");
    CHECK_INT(an.status, 200);
    CHECK_STR(an.body, STR("OK"));
    CHECK_STR(answer_header(&an, "content-type"), STR("text/plain; charset=utf-8"));
    CHECK_STR(answer_header(&an, "access-control-allow-origin"), STR("*"));
    CHECK_STR(answer_header(&an, "access-control-allow-methods"),
              STR("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"));
    CHECK_STR(answer_header(&an, "access-control-allow-headers"), STR("authorization, X-A"));
    CHECK_STR(answer_header(&an, "access-control-max-age"), STR("600"));
    CHECK(str_is_none(answer_header(&an, "vary")));
    fixture_stop();
}
