#include "test.h"

#include "base/buf.h"
#include "http.h"

/* The head and chunk parsers against tables of bytes: each row in one piece, cut in two at every place, and
 * octet by octet. */

enum { DONE = 1, MORE = 0 };

struct row {
    const char *bytes;
    size_t n;
    int result; /* DONE, MORE or -status */
};

#define ROW(result, bytes)                                                                                   \
    {                                                                                                        \
        bytes, sizeof(bytes) - 1, result                                                                     \
    }
#define GET_LINE                 "GET / HTTP/1.1\r\n"
#define POST_LINE                "POST / HTTP/1.1\r\n"
#define HOST                     "Host: a\r\n"
#define GET(result, fields)      ROW(result, GET_LINE HOST fields "\r\n")
#define POST(result, fields)     ROW(result, POST_LINE HOST fields "\r\n")
#define LINE(result, line)       ROW(result, line "\r\n" HOST "\r\n")
#define WITH_HOST(result, value) ROW(result, GET_LINE "Host:" value "\r\n\r\n")

static const struct row head_rows[] = {
    /* request lines */
    LINE(DONE, "GET / HTTP/1.1"),
    LINE(DONE, "GET / HTTP/1.0"),
    LINE(DONE, "GET / HTTP/1.2"),
    LINE(DONE, "GET / HTTP/1.9"),
    LINE(DONE, "HEAD / HTTP/1.1"),
    LINE(DONE, "POST /a/b?c=d HTTP/1.1"),
    LINE(DONE, "OPTIONS * HTTP/1.1"),
    LINE(DONE, "OPTIONS /a HTTP/1.1"),
    LINE(DONE, "get / HTTP/1.1"),
    LINE(DONE, "BREW /pot HTTP/1.1"),
    LINE(DONE, "M-SEARCH / HTTP/1.1"),
    LINE(DONE, "!#$%&'*+-.^_`|~09 / HTTP/1.1"),
    LINE(DONE, "TRACE / HTTP/1.1"),
    LINE(DONE, "CONNECT example.com:443 HTTP/1.1"),
    LINE(DONE, "CONNECT / HTTP/1.1"),
    LINE(DONE, "GET /?{\"a\":[1|2^`\\<>]} HTTP/1.1"),
    LINE(DONE, "GET /%zz HTTP/1.1"), /* escapes are the router's business */
    LINE(DONE, "GET //evil/ HTTP/1.1"),
    LINE(DONE, "GET /a:80@b HTTP/1.1"),
    LINE(DONE, "GET http://a/ HTTP/1.1"),
    LINE(DONE, "GET http://a HTTP/1.1"),
    LINE(DONE, "GET http://a?b HTTP/1.1"),
    LINE(DONE, "GET HTTP://A:80/b HTTP/1.1"),
    LINE(DONE, "GET http://[::1]:8000/b HTTP/1.1"),
    LINE(-400, "GET / HTTP/1.10"),
    LINE(-400, "GET / HTTP/1."),
    LINE(-400, "GET / HTTP/1"),
    LINE(-400, "GET / HTTP/.1"),
    LINE(-400, "GET / HTTP/11"),
    LINE(-400, "GET / HTTP/1.x"),
    LINE(-400, "GET / HTTP/x.1"),
    LINE(-400, "GET / http/1.1"),
    LINE(-400, "GET / HTTPS/1.1"),
    LINE(-400, "GET / HTTP 1.1"),
    LINE(-400, "GET / HTTP/1.1 "),
    LINE(-400, "GET / HTTP/ 1.1"),
    LINE(-400, "GET / HTTP/1,1"),
    LINE(-400, "GET / HTTP/2"),
    LINE(-400, "GET / HTTP/+1.1"),
    LINE(-505, "GET / HTTP/2.0"),
    LINE(-505, "GET / HTTP/3.0"),
    LINE(-505, "GET / HTTP/0.9"),
    LINE(-505, "GET / HTTP/9.9"),
    LINE(-400, "GET /"),
    LINE(-400, "GET"),
    LINE(-400, "GET "),
    LINE(-400, "GET  "),
    LINE(-400, ""),
    LINE(-400, " "),
    LINE(-400, " GET / HTTP/1.1"),
    LINE(-400, "\tGET / HTTP/1.1"),
    LINE(-400, "GET  / HTTP/1.1"),
    LINE(-400, "GET /  HTTP/1.1"),
    LINE(-400, "GET\t/ HTTP/1.1"),
    LINE(-400, "GET /\tHTTP/1.1"),
    LINE(-400, "GET /a b HTTP/1.1"),
    LINE(-400, "GET /a HTTP/1.1 HTTP/1.1"),
    LINE(-400, "G(T / HTTP/1.1"),
    LINE(-400, "G:T / HTTP/1.1"),
    LINE(-400, "\"GET\" / HTTP/1.1"),
    LINE(-400, "G\xc3\x89T / HTTP/1.1"),
    LINE(-400, "GET /\xc3\xa9 HTTP/1.1"),
    LINE(-400, "GET /\x01 HTTP/1.1"),
    LINE(-400, "GET /\x7f HTTP/1.1"),
    LINE(-400, "GET /\0 HTTP/1.1"),
    LINE(-400, "GET /\v HTTP/1.1"),
    LINE(-400, "GET /a#b HTTP/1.1"),
    LINE(-400, "GET http://a/#b HTTP/1.1"),
    LINE(-400, "GET http://a#b HTTP/1.1"),
    LINE(-400, "GET a HTTP/1.1"),
    LINE(-400, "GET a/b HTTP/1.1"),
    LINE(-400, "GET example.com:443 HTTP/1.1"),
    LINE(-400, "GET ?a HTTP/1.1"),
    LINE(-400, "GET * HTTP/1.1"),
    LINE(-400, "POST * HTTP/1.1"),
    LINE(-400, "OPTIONS ** HTTP/1.1"),
    LINE(-400, "OPTIONS *a HTTP/1.1"),
    LINE(-400, "CONNECT example.com:443/a HTTP/1.1"),
    LINE(-400, "CONNECT u@example.com:443 HTTP/1.1"),
    LINE(-400, "GET https://a/ HTTP/1.1"),
    LINE(-400, "GET ftp://a/ HTTP/1.1"),
    LINE(-400, "GET http:/a/ HTTP/1.1"),
    LINE(-400, "GET http:// HTTP/1.1"),
    LINE(-400, "GET http:///a HTTP/1.1"),
    LINE(-400, "GET http://u@a/ HTTP/1.1"),
    LINE(-400, "GET http://u:p@a/ HTTP/1.1"),
    LINE(-400, "GET http://a:b/ HTTP/1.1"),
    LINE(-400, "GET http://a:80:80/ HTTP/1.1"),
    LINE(-400, "GET http://a\\b/ HTTP/1.1"),
    LINE(-400, "GET http://[::1/ HTTP/1.1"),
    ROW(-505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ROW(-400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ROW(-400, "\x80\x2e\x01\x00\x02"),
    ROW(-400, "GET /\r\n"),
    ROW(-400, "GET /\n"),
    ROW(-400, "SSH-2.0-OpenSSH_9.2\r\n"),
    ROW(-400, "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),

    /* lines and their ends */
    ROW(DONE, "\r\n" GET_LINE HOST "\r\n"),
    ROW(MORE, ""),
    ROW(MORE, "\r"),
    ROW(MORE, "\r\n"),
    ROW(MORE, "GET / HTTP/1.1\r\nHost: a\r\n\r"),
    ROW(MORE, "GET / HTTP/1.1\r\nHost: a\r\n"),
    ROW(MORE, "GET / HTTP/1.1\r\n"),
    ROW(MORE, "GET / HTTP/1.1\r"),
    ROW(MORE, "GET / HTTP/1.1"),
    ROW(MORE, "G"),
    ROW(DONE, GET_LINE HOST "\r\nrest"),
    ROW(DONE, GET_LINE HOST "\r\n\n\n"),
    ROW(-400, "\r\n\r\n" GET_LINE HOST "\r\n"),
    ROW(-400, "\n" GET_LINE HOST "\r\n"),
    ROW(-400, "\r" GET_LINE HOST "\r\n"),
    ROW(-400, "\r\r\n" GET_LINE HOST "\r\n"),
    ROW(-400, "GET / HTTP/1.1\n" HOST "\r\n"),
    ROW(-400, "GET / HTTP/1.1\r" HOST "\r\n"),
    ROW(-400, "GET / HTTP/1.1\r\r\n" HOST "\r\n"),
    ROW(-400, "GET / HTTP/1.1\n\r" HOST "\r\n"),
    ROW(-400, GET_LINE "Host: a\n\r\n"),
    ROW(-400, GET_LINE "Host: a\r\r\n\r\n"),
    ROW(-400, GET_LINE "Host: a\rb\r\n\r\n"),
    ROW(-400, GET_LINE "Host: a\r\n\n"),
    ROW(-400, GET_LINE "Host: a\n\n"),
    ROW(-400, GET_LINE "Host: a\r\n\rX"),
    ROW(-400, GET_LINE "Host: a\r\nA: b\nC: d\r\n\r\n"),
    ROW(-400, GET_LINE "\n"),
    ROW(-400, GET_LINE "\r\r"),

    /* fields */
    GET(DONE, ""),
    GET(DONE, "A: b\r\n"),
    GET(DONE, "A:b\r\n"),
    GET(DONE, "A:\r\n"),
    GET(DONE, "A: \t b \t\r\n"),
    GET(DONE, "A: b\tc d\r\n"),
    GET(DONE, "A: \xc3\xa9\xff\r\n"),
    GET(DONE, "A: b: c:\r\n"),
    GET(DONE, "A: b\r\nA: c\r\n"),
    GET(DONE, "!#$%&'*+-.^_`|~09azAZ: b\r\n"),
    GET(-400, "A : b\r\n"),
    GET(-400, "A\t: b\r\n"),
    GET(-400, " A: b\r\n"),
    GET(-400, "\tA: b\r\n"),
    GET(-400, "A: b\r\n c\r\n"),
    GET(-400, "A: b\r\n\tc\r\n"),
    GET(-400, "A: b\r\n \r\n"),
    GET(-400, "A\r\n"),
    GET(-400, ": b\r\n"),
    GET(-400, ":\r\n"),
    GET(-400, "A b: c\r\n"),
    GET(-400, "A(: b\r\n"),
    GET(-400, "A\xc3\xa9: b\r\n"),
    GET(-400, "[A]: b\r\n"),
    GET(-400, "\"A\": b\r\n"),
    GET(-400, "A\0: b\r\n"),
    GET(-400, "A: b\0c\r\n"),
    GET(-400, "A: b\x01\r\n"),
    GET(-400, "A: b\x08\r\n"),
    GET(-400, "A: b\x7f\r\n"),
    GET(-400, "A: \x1b[2J\r\n"),
    GET(-400, "A: b\v\r\n"),
    GET(-400, "A: b\f\r\n"),
    ROW(-400, GET_LINE " Host: a\r\n\r\n"),
    ROW(-400, GET_LINE "\tHost: a\r\n\r\n"),

    /* Host */
    WITH_HOST(DONE, " a"),
    WITH_HOST(DONE, " a:8000"),
    WITH_HOST(DONE, " a:"),
    WITH_HOST(DONE, " a:65535"),
    WITH_HOST(DONE, " 127.0.0.1:80"),
    WITH_HOST(DONE, " [::1]"),
    WITH_HOST(DONE, " [::1]:80"),
    WITH_HOST(DONE, " [::ffff:1.2.3.4]:80"),
    WITH_HOST(DONE, " a_b-c.example~!$&'()*+,;="),
    WITH_HOST(DONE, " a%20b"),
    WITH_HOST(DONE, "\ta\t"),
    WITH_HOST(-400, ""),
    WITH_HOST(-400, " "),
    WITH_HOST(-400, " :80"),
    WITH_HOST(-400, " a b"),
    WITH_HOST(-400, " a/b"),
    WITH_HOST(-400, " http://a"),
    WITH_HOST(-400, " u@a"),
    WITH_HOST(-400, " u:p@a"),
    WITH_HOST(-400, " a:65536"),
    WITH_HOST(-400, " a:100000"),
    WITH_HOST(-400, " a:-1"),
    WITH_HOST(-400, " a:80a"),
    WITH_HOST(-400, " a:8 0"),
    WITH_HOST(-400, " a:80:80"),
    WITH_HOST(-400, " ::1"),
    WITH_HOST(-400, " [::1"),
    WITH_HOST(-400, " [::1]a"),
    WITH_HOST(-400, " [::1]80"),
    WITH_HOST(-400, " []"),
    WITH_HOST(-400, " [a]"),
    WITH_HOST(-400, " [fe80::1%25eth0]"),
    WITH_HOST(-400, " a%2"),
    WITH_HOST(-400, " a%zz"),
    WITH_HOST(-400, " a?b"),
    WITH_HOST(-400, " a#b"),
    WITH_HOST(-400, " a\\b"),
    WITH_HOST(-400, " \"a\""),
    WITH_HOST(-400, " \xc3\xa9"),
    ROW(-400, GET_LINE "\r\n"),
    ROW(-400, GET_LINE "X: y\r\n\r\n"),
    ROW(-400, "GET http://a/ HTTP/1.1\r\n\r\n"),
    ROW(-400, "GET http://a/ HTTP/1.1\r\nHost: u@b\r\n\r\n"),
    ROW(DONE, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
    ROW(-400, GET_LINE "Host: a\r\nHost: a\r\n\r\n"),
    ROW(-400, GET_LINE "Host: a\r\nhOST: b\r\n\r\n"),
    ROW(-400, GET_LINE "Host : a\r\n\r\n"),
    ROW(DONE, "GET / HTTP/1.0\r\n\r\n"),
    ROW(-400, "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
    ROW(-400, "GET / HTTP/1.0\r\nHost: u@a\r\n\r\n"),

    /* lengths and codings: the smuggling shapes */
    POST(DONE, "Content-Length: 0\r\n"),
    POST(DONE, "Content-Length: 5\r\n"),
    POST(DONE, "Content-Length:5\r\n"),
    POST(DONE, "Content-Length: 0005\r\n"),
    POST(DONE, "CONTENT-LENGTH: 9223372036854775807\r\n"),
    POST(DONE, "Content-Length: 99999999999999999999999999\r\n"),
    POST(DONE, "Transfer-Encoding: chunked\r\n"),
    POST(DONE, "Transfer-Encoding: CHUNKED\r\n"),
    POST(DONE, "transfer-encoding:\tchunked \r\n"),
    GET(DONE, "Content-Length: 5\r\n"),
    GET(DONE, "Transfer-Encoding: chunked\r\n"),
    POST(-400, "Content-Length: 5\r\nContent-Length: 5\r\n"),
    POST(-400, "Content-Length: 5\r\nContent-Length: 6\r\n"),
    POST(-400, "Content-Length: 5\r\ncontent-length: 5\r\n"),
    POST(-400, "Content-Length: 5, 5\r\n"),
    POST(-400, "Content-Length: 5,\r\n"),
    POST(-400, "Content-Length:\r\n"),
    POST(-400, "Content-Length: +5\r\n"),
    POST(-400, "Content-Length: -5\r\n"),
    POST(-400, "Content-Length: -0\r\n"),
    POST(-400, "Content-Length: 0x5\r\n"),
    POST(-400, "Content-Length: 5.0\r\n"),
    POST(-400, "Content-Length: 5e1\r\n"),
    POST(-400, "Content-Length: 5 5\r\n"),
    POST(-400, "Content-Length: 5;\r\n"),
    POST(-400, "Content-Length: \"5\"\r\n"),
    POST(-400, "Content-Length: five\r\n"),
    POST(-400, "Content-Length: \xd9\xa5\r\n"),
    POST(-400, "Content-Length : 5\r\n"),
    POST(-400, "Content-Length\t: 5\r\n"),
    POST(-400, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    POST(-400, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    POST(-400, "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
    POST(-400, "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n"),
    POST(-400, "Transfer-Encoding: chunked, chunked\r\n"),
    POST(-400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    POST(-400, "Transfer-Encoding:\r\n"),
    POST(-400, "Transfer-Encoding: ,chunked\r\n"),
    POST(-400, "Transfer-Encoding: chunked,\r\n"),
    POST(-400, "Transfer-Encoding: chunked;q=1\r\n"),
    POST(-400, "Transfer-Encoding: \"chunked\"\r\n"),
    POST(-400, "Transfer-Encoding: chunked foo\r\n"),
    POST(-400, "Transfer-Encoding : chunked\r\n"),
    POST(-400, "Transfer-Encoding\t: chunked\r\n"),
    POST(-400, " Transfer-Encoding: chunked\r\n"),
    POST(-400, "Transfer-Encoding: \vchunked\r\n"),
    POST(-400, "Transfer-Encoding: chunked\v\r\n"),
    POST(-400, "Transfer-Encoding: \0chunked\r\n"),
    POST(-400, "Transfer-Encoding: chunked\xa0\r\n"),
    POST(-400, "Transfer-Encoding:\r\n chunked\r\n"),
    POST(-400, "X: y\rTransfer-Encoding: chunked\r\n"),
    POST(-400, "X: y\nTransfer-Encoding: chunked\r\n"),
    POST(-400, "Foo\r\nTransfer-Encoding: chunked\r\n"),
    POST(-400, "Transfer-Encoding\r\n : chunked\r\n"),
    POST(-501, "Transfer-Encoding: gzip\r\n"),
    POST(-501, "Transfer-Encoding: gzip, chunked\r\n"),
    POST(-501, "Transfer-Encoding: chunked, gzip\r\n"),
    POST(-501, "Transfer-Encoding: chunked, identity\r\n"),
    POST(-501, "Transfer-Encoding: identity\r\n"),
    POST(-501, "Transfer-Encoding: xchunked\r\n"),
    POST(-501, "Transfer-Encoding: chunk\r\n"),
    POST(-501, "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n"),
    POST(-501, "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"),
    POST(DONE, "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n"), /* another field, and nobody's */
    POST(DONE, "X-Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    ROW(-400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ROW(-400, "POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ROW(DONE, "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n"),

    /* the rest */
    POST(DONE, "Content-Length: 5\r\nExpect: 100-continue\r\n"),
    POST(DONE, "Content-Length: 5\r\nExpect: 100-Continue\r\n"),
    POST(-417, "Content-Length: 5\r\nExpect: 200-ok\r\n"),
    POST(-417, "Content-Length: 5\r\nExpect: 100-continue, x\r\n"),
    POST(-417, "Content-Length: 5\r\nExpect:\r\n"),
    POST(-417, "Content-Length: 5\r\nExpect: 100-continue=1\r\n"),
    GET(-417, "Expect: x\r\n"),
    POST(-415, "Content-Length: 5\r\nContent-Encoding: gzip\r\n"),
    POST(-415, "Transfer-Encoding: chunked\r\nContent-Encoding: br\r\n"),
    POST(DONE, "Content-Length: 5\r\nContent-Encoding: identity\r\n"),
    POST(DONE, "Content-Length: 0\r\nContent-Encoding: gzip\r\n"),
    GET(DONE, "Content-Encoding: gzip\r\n"),
    POST(-400, "Content-Type: application/json\r\nContent-Type: application/json\r\n"),
    POST(-400, "Content-Type: application/json\r\ncontent-type: text/plain\r\n"),
    GET(DONE, "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
    GET(DONE, "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
};

static int head_feed(struct arena *a, struct http_scan *scan, struct str text, struct http_head *head)
{
    int rc = http_scan_head(scan, text);

    if (rc <= 0)
        return rc;
    rc = http_parse_head(a, str_head(text, scan->at), head);
    return rc < 0 ? rc : DONE;
}

static struct str row_copy(struct arena *a, const struct row *row, size_t n)
{
    char *copy = arena_alloc(a, n); /* exactly so long, for the address sanitizer */

    memcpy(copy, row->bytes, n);
    return str_of(copy, n);
}

static void head_check(struct arena *a, const struct row *row, size_t cut, size_t step)
{
    struct http_scan scan = {0};
    struct http_head head;
    int rc = MORE;

    for (size_t n = cut; rc == MORE; n = n + step < row->n ? n + step : row->n) {
        rc = head_feed(a, &scan, row_copy(a, row, n), &head);
        if (n == row->n)
            break;
    }
    if (rc != row->result)
        test_failed(__FILE__, __LINE__, "%d instead of %d, cut at %zu by %zu: '%s'", rc, row->result, cut,
                    step, row->bytes);
}

TEST(http_head_table_at_every_cut)
{
    CHECK(nelem(head_rows) >= 200);
    for (size_t i = 0; i < nelem(head_rows); i++) {
        struct arena own;

        arena_init(&own);
        for (size_t cut = 0; cut <= head_rows[i].n; cut++)
            head_check(&own, &head_rows[i], cut, head_rows[i].n + 1);
        head_check(&own, &head_rows[i], 0, 1);
        arena_fini(&own);
    }
}

static int head_parse(struct arena *a, struct str text, struct http_head *head)
{
    struct http_scan scan = {0};

    return head_feed(a, &scan, text, head);
}

TEST(http_head_slices_are_what_was_sent)
{
    struct http_head h;

    CHECK_INT(head_parse(a,
                         STR("\r\nPATCH /a%20b?c=d&e HTTP/1.1\r\nHost: x:1\r\nA:  one \r\na: two\r\n"
                             "Content-Length: 12\r\n\r\nbody"),
                         &h),
              DONE);
    CHECK_INT(h.method, HTTP_PATCH);
    CHECK_STR(h.target, STR("/a%20b?c=d&e"));
    CHECK_STR(h.path, STR("/a%20b"));
    CHECK_STR(h.query, STR("c=d&e"));
    CHECK_STR(h.host, STR("x:1"));
    CHECK_INT(h.fields_count, 4);
    CHECK_STR(http_field(&h, STR("A")), STR("one"));
    CHECK(str_is_none(http_field(&h, STR("b"))));
    CHECK_INT(h.content_length, 12);
    CHECK(h.has_body && !h.is_chunked && h.keep_alive && !h.expects_continue);
    CHECK_INT(h.bytes, 82);
}

TEST(http_head_takes_the_authority_of_an_absolute_target)
{
    struct http_head h;

    CHECK_INT(head_parse(a, STR("GET http://one:80?q HTTP/1.1\r\nHost: two\r\n\r\n"), &h), DONE);
    CHECK_STR(h.host, STR("one:80"));
    CHECK_STR(h.path, STR("/"));
    CHECK_STR(h.query, STR("q"));
    CHECK_INT(head_parse(a, STR("GET http://one/p HTTP/1.0\r\n\r\n"), &h), DONE);
    CHECK_STR(h.path, STR("/p"));
    CHECK(str_is_none(h.query));
}

static const struct {
    const char *text;
    bool keep_alive, expects_continue;
} connection_rows[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true, false},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false, false},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE ,y\r\n\r\n", false, false},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false, false},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true, false},
    {"GET / HTTP/1.0\r\n\r\n", false, false},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, false},
    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false, false},
    {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", true, true},
    {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", true, false},
    {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", true, false},
    {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", false, false},
};

TEST(http_head_knows_what_the_connection_becomes)
{
    for (size_t i = 0; i < nelem(connection_rows); i++) {
        struct http_head h;

        CHECK_INT(head_parse(a, str_from(connection_rows[i].text), &h), DONE);
        CHECK_INT(h.keep_alive, connection_rows[i].keep_alive);
        CHECK_INT(h.expects_continue, connection_rows[i].expects_continue);
    }
}

TEST(http_head_saturates_a_huge_length)
{
    struct http_head h;

    CHECK_INT(
        head_parse(a, STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 184467440737095516160\r\n\r\n"), &h),
        DONE);
    CHECK_INT(h.content_length, INT64_MAX);
}

/* ---- limits: the figures are inclusive ---- */

static struct str head_sized(struct arena *a, size_t line, unsigned fields, size_t section)
{
    struct buf b;
    size_t start;

    buf_init_arena(&b, a);
    buf_addf(&b, "GET /");
    while (buf_size(&b) < line - strlen(" HTTP/1.1"))
        buf_add_byte(&b, 'a');
    buf_addf(&b, " HTTP/1.1\r\n");
    start = buf_size(&b);
    buf_addf(&b, "Host: a\r\n");
    for (unsigned i = 2; i < fields; i++)
        buf_addf(&b, "f: %u\r\n", i);
    if (fields > 1) {
        buf_addf(&b, "g:");
        while (buf_size(&b) - start + 2 < section)
            buf_add_byte(&b, 'x');
        buf_addf(&b, "\r\n");
    }
    buf_addf(&b, "\r\n");
    return buf_str(&b);
}

TEST(http_head_limits_are_inclusive)
{
    struct http_head h;

    CHECK_INT(head_parse(a, head_sized(a, 8192, 1, 0), &h), DONE);
    CHECK_INT(head_parse(a, head_sized(a, 8193, 1, 0), &h), -414);
    CHECK_INT(head_parse(a, head_sized(a, 100, 2, 32768), &h), DONE);
    CHECK_INT(head_parse(a, head_sized(a, 100, 2, 32769), &h), -431);
    CHECK_INT(head_parse(a, head_sized(a, 100, 100, 0), &h), DONE);
    CHECK_INT(h.fields_count, 100);
    CHECK_INT(head_parse(a, head_sized(a, 100, 101, 0), &h), -431);
    CHECK_INT(head_parse(a, head_sized(a, 8192, 100, 32768), &h), DONE);
}

TEST(http_head_limits_do_not_wait_for_the_end)
{
    struct http_scan scan = {0};
    struct str text = head_sized(a, 20000, 1, 0);

    CHECK_INT(http_scan_head(&scan, str_head(text, 8192)), MORE);
    CHECK_INT(http_scan_head(&scan, str_head(text, 8193)), -414);
    scan = (struct http_scan){0};
    text = head_sized(a, 100, 2, 40000);
    CHECK_INT(http_scan_head(&scan, str_head(text, 102 + 32768)), MORE);
    CHECK_INT(http_scan_head(&scan, str_head(text, 102 + 32769)), -431);
}

/* ---- chunked bodies ---- */

enum { CHUNK_LIMIT = 1000 };

static const struct chunk_row {
    const char *bytes;
    size_t n;
    int result;
    const char *body;
} chunk_rows[] = {
#define CHUNK(result, body, bytes)                                                                           \
    {                                                                                                        \
        bytes, sizeof(bytes) - 1, result, body                                                               \
    }
    CHUNK(DONE, "", "0\r\n\r\n"),
    CHUNK(DONE, "", "000\r\n\r\n"),
    CHUNK(DONE, "", "0000000000000000\r\n\r\n"),
    CHUNK(DONE, "hello", "5\r\nhello\r\n0\r\n\r\n"),
    CHUNK(DONE, "hello", "0000000000000005\r\nhello\r\n0\r\n\r\n"),
    CHUNK(DONE, "hello world", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
    CHUNK(DONE, "0123456789abcdef", "10\r\n0123456789abcdef\r\n0\r\n\r\n"),
    CHUNK(DONE, "0123456789", "a\r\n0123456789\r\n0\r\n\r\n"),
    CHUNK(DONE, "0123456789", "A\r\n0123456789\r\n0\r\n\r\n"),
    CHUNK(DONE, "\r\n0\r\n\r\n", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"),
    CHUNK(DONE, "a", "1;x\r\na\r\n0\r\n\r\n"),
    CHUNK(DONE, "a", "1;x=y\r\na\r\n0\r\n\r\n"),
    CHUNK(DONE, "a", "1;x=\"y z;\"\r\na\r\n0;end\r\n\r\n"),
    CHUNK(DONE, "a", "1; x = y\r\na\r\n0\r\n\r\n"),
    CHUNK(DONE, "a", "1\r\na\r\n0\r\nT: v\r\n\r\n"),
    CHUNK(DONE, "a", "1\r\na\r\n0\r\nT:\r\nU: v w\t\r\n\r\n"),
    CHUNK(DONE, "a", "1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n"),
    CHUNK(DONE, "a", "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n"),
    CHUNK(MORE, "", ""),
    CHUNK(MORE, "", "5"),
    CHUNK(MORE, "", "5\r"),
    CHUNK(MORE, "", "5\r\n"),
    CHUNK(MORE, "hel", "5\r\nhel"),
    CHUNK(MORE, "hello", "5\r\nhello"),
    CHUNK(MORE, "hello", "5\r\nhello\r\n0\r\n"),
    CHUNK(MORE, "hello", "5\r\nhello\r\n0\r\n\r"),
    CHUNK(MORE, "", "0\r\nT: v\r\n"),
    CHUNK(-400, "", "\r\n"),
    CHUNK(-400, "", "\n"),
    CHUNK(-400, "", "x\r\n"),
    CHUNK(-400, "", "g\r\n"),
    CHUNK(-400, "", "-1\r\n"),
    CHUNK(-400, "", "+1\r\na"),
    CHUNK(-400, "", " 1\r\na"),
    CHUNK(-400, "", "1 \r\na"),
    CHUNK(-400, "", "1\t\r\na"),
    CHUNK(-400, "", "1 ;x\r\na"),
    CHUNK(-400, "", "0x1\r\na"),
    CHUNK(-400, "", "1,\r\na"),
    CHUNK(-400, "", "1.\r\na"),
    CHUNK(-400, "", "1_0\r\na"),
    CHUNK(-400, "", ";x\r\n"),
    CHUNK(-400, "", "1\na\r\n"),
    CHUNK(-400, "", "1\ra\r\n"),
    CHUNK(-400, "", "1\r\r\n"),
    CHUNK(-400, "", "1;x\na\r\n"),
    CHUNK(-400, "", "1;x\ry\r\na"),
    CHUNK(-400, "", "1;x\0\r\na"),
    CHUNK(-400, "", "1;\x7f\r\na"),
    CHUNK(-400, "", "1;\x01\r\na"),
    CHUNK(-400, "", "00000000000000001\r\na"),
    CHUNK(-400, "", "00000000000000000\r\n\r\n"),
    CHUNK(-400, "a", "1\r\naa\r\n"),
    CHUNK(-400, "a", "1\r\na\n0\r\n\r\n"),
    CHUNK(-400, "a", "1\r\na\rx"),
    CHUNK(-400, "a", "1\r\na0\r\n\r\n"),
    CHUNK(-400, "hello", "5\r\nhello 0\r\n\r\n"),
    CHUNK(-400, "", "0\r\n\n"),
    CHUNK(-400, "", "0\r\n\rx"),
    CHUNK(-400, "", "0\n\n"),
    CHUNK(-400, "", "0\r\nT\r\n\r\n"),
    CHUNK(-400, "", "0\r\n: v\r\n\r\n"),
    CHUNK(-400, "", "0\r\nT : v\r\n\r\n"),
    CHUNK(-400, "", "0\r\n T: v\r\n\r\n"),
    CHUNK(-400, "", "0\r\nT: v\r\n w\r\n\r\n"),
    CHUNK(-400, "", "0\r\nT: v\n\r\n"),
    CHUNK(-400, "", "0\r\nT: \0\r\n\r\n"),
    CHUNK(-400, "", "0\r\nT: \x7f\r\n\r\n"),
    CHUNK(-400, "", "0\r\nGET / HTTP/1.1\r\n\r\n"),
    CHUNK(-413, "", "3e9\r\n"),
    CHUNK(-413, "", "ffffffff\r\n"),
    CHUNK(-413, "", "fffffffffffffffff\r\n"),
    CHUNK(-413, "", "ffffffffffffffff\r\n"),
    CHUNK(-413, "", "8000000000000000\r\n"),
    CHUNK(-413, "a", "1\r\na\r\n3e8\r\n"),
    CHUNK(MORE, "", "3e8\r\n"),
};

static int chunk_feed(struct http_chunked *c, struct str *in, struct buf *body)
{
    int rc = 1;

    while (rc > 0 && in->n != 0) {
        struct str data;

        rc = http_chunked_next(c, CHUNK_LIMIT, in, &data);
        buf_add(body, data);
    }
    return rc; /* 1 more, 0 ended */
}

static void chunk_check(struct arena *a, const struct chunk_row *row, size_t cut, size_t step)
{
    struct http_chunked c;
    struct buf body;
    size_t at = 0, to = cut;
    int rc = 1;

    http_chunked_init(&c);
    buf_init_arena(&body, a);
    while (rc > 0 && at < row->n) {
        struct row bytes = {row->bytes + at, to - at, 0};
        struct str in = row_copy(a, &bytes, to - at);

        rc = chunk_feed(&c, &in, &body);
        at = to;
        to = to + step < row->n ? to + step : row->n;
    }
    rc = rc > 0 ? MORE : rc == 0 ? DONE : rc;
    if (rc != row->result || !str_eq(buf_str(&body), str_from(row->body)))
        test_failed(__FILE__, __LINE__, "%d instead of %d, cut at %zu by %zu: '%s'", rc, row->result, cut,
                    step, row->bytes);
}

TEST(http_chunked_table_at_every_cut)
{
    for (size_t i = 0; i < nelem(chunk_rows); i++) {
        struct arena own;

        arena_init(&own);
        for (size_t cut = 0; cut <= chunk_rows[i].n; cut++)
            chunk_check(&own, &chunk_rows[i], cut, chunk_rows[i].n + 1);
        chunk_check(&own, &chunk_rows[i], 0, 1);
        arena_fini(&own);
    }
}

TEST(http_chunked_leaves_the_next_request)
{
    struct http_chunked c;
    struct str in = STR("1\r\na\r\n0\r\nT: v\r\n\r\nGET"), data;
    struct buf body;

    buf_init_arena(&body, a);
    http_chunked_init(&c);
    CHECK_INT(chunk_feed(&c, &in, &body), 0);
    CHECK_STR(in, STR("GET"));
    CHECK_INT(http_chunked_next(&c, CHUNK_LIMIT, &in, &data), 0);
    CHECK_STR(in, STR("GET"));
}

static int chunk_whole(struct buf *text)
{
    struct http_chunked c;
    struct str in = buf_str(text), data;
    int rc = 1;

    http_chunked_init(&c);
    while (rc > 0 && in.n != 0)
        rc = http_chunked_next(&c, UINT64_MAX, &in, &data);
    return rc;
}

static void bytes_add(struct buf *b, size_t n)
{
    memset(buf_reserve(b, n), 'x', n);
    buf_commit(b, n);
}

static void extension_add(struct buf *b, size_t n)
{
    buf_addf(b, "1;");
    bytes_add(b, n - 1);
    buf_addf(b, "\r\na\r\n");
}

TEST(http_chunked_limits_are_inclusive)
{
    struct buf b;

    buf_init_arena(&b, a);
    extension_add(&b, 1024);
    buf_addf(&b, "0\r\n\r\n");
    CHECK_INT(chunk_whole(&b), 0);
    buf_clear(&b);
    extension_add(&b, 1025);
    CHECK_INT(chunk_whole(&b), -400);
    buf_clear(&b);
    for (unsigned i = 0; i < 16; i++)
        extension_add(&b, 1024);
    CHECK_INT(chunk_whole(&b), 1);
    buf_addf(&b, "0;");
    CHECK_INT(chunk_whole(&b), -400);
    buf_clear(&b);
    buf_addf(&b, "0\r\n");
    for (unsigned i = 0; i < 100; i++)
        buf_addf(&b, "T: v\r\n");
    CHECK_INT(chunk_whole(&b), 1);
    buf_addf(&b, "T");
    CHECK_INT(chunk_whole(&b), -431);
    buf_clear(&b);
    buf_addf(&b, "0\r\nT:");
    bytes_add(&b, 32768 - 4);
    buf_addf(&b, "\r\n\r\n");
    CHECK_INT(chunk_whole(&b), 0);
    buf_clear(&b);
    buf_addf(&b, "0\r\nT:");
    bytes_add(&b, 32768 - 3);
    buf_addf(&b, "\r\n\r\n");
    CHECK_INT(chunk_whole(&b), -431);
}

/* ---- targets ---- */

static const struct {
    const char *text;
    bool is_query;
    const char *decoded; /* NULL: refused */
} decode_rows[] = {
    {"", false, ""},
    {"plain", false, "plain"},
    {"a%20b", false, "a b"},
    {"a+b", false, "a+b"},
    {"a+b", true, "a b"},
    {"a%2Bb", true, "a+b"},
    {"%41%6a%6A", false, "Ajj"},
    {"a%2Fb", false, "a/b"},
    {"%25%32%35", false, "%25"},
    {"%c3%a9", false, "\xc3\xa9"},
    {"\xc3%a9", false, "\xc3\xa9"},
    {"%F0%9F%98%80", false, "\xf0\x9f\x98\x80"},
    {"%", false, NULL},
    {"%4", false, NULL},
    {"%4g", false, NULL},
    {"%g4", false, NULL},
    {"%%", false, NULL},
    {"%u0041", false, NULL},
    {"% 4", false, NULL},
    {"%-1", false, NULL},
    {"%00", false, NULL},
    {"a%00b", true, NULL},
    {"%c3", false, NULL},
    {"%c0%af", false, NULL},
    {"%ed%a0%80", false, NULL},
    {"%ff", false, NULL},
    {"\xff", false, NULL},
    {"%f4%90%80%80", false, NULL},
};

TEST(http_percent_decode_table)
{
    for (size_t i = 0; i < nelem(decode_rows); i++) {
        struct row bytes = {decode_rows[i].text, strlen(decode_rows[i].text), 0};
        struct str decoded;
        int rc = http_percent_decode(a, row_copy(a, &bytes, bytes.n), decode_rows[i].is_query, &decoded);

        if (decode_rows[i].decoded == NULL)
            CHECK_INT(rc, -EINVAL);
        else
            CHECK(rc == 0 && str_eq(decoded, str_from(decode_rows[i].decoded)));
    }
}

TEST(http_query_next_takes_pairs)
{
    static const char *const wanted[][2] = {{"a", "1"}, {"b", ""}, {"", "c"}, {"d e", "f=g"}, {"a", "2"}};
    struct str q = STR("a=1&b&&=c&d+e=f=g&a=2&"), name, value;

    for (size_t i = 0; i < nelem(wanted); i++) {
        CHECK_INT(http_query_next(a, &q, &name, &value), 1);
        CHECK_STR(name, str_from(wanted[i][0]));
        CHECK_STR(value, str_from(wanted[i][1]));
    }
    CHECK_INT(http_query_next(a, &q, &name, &value), 0);
    q = STR("");
    CHECK_INT(http_query_next(a, &q, &name, &value), 0);
    q = STR("a=%");
    CHECK_INT(http_query_next(a, &q, &name, &value), -EINVAL);
    q = STR("%=a");
    CHECK_INT(http_query_next(a, &q, &name, &value), -EINVAL);
}
