/* The readers of event streams and of lines, cut at every byte. */
#include "test.h"

#include "workers/ndjson.h"
#include "workers/sse_client.h"

static int on_piece(void *arg, struct str piece)
{
    struct buf *seen = arg;

    buf_add_byte(seen, '<');
    buf_add(seen, piece);
    buf_add_byte(seen, '>');
    return str_eq(piece, STR("stop")) ? -ECANCELED : 0;
}

/* In two pieces, cut at the offset; step > 0: in pieces of so many bytes. */
static struct str sse_read(struct arena *a, struct str bytes, size_t cut, size_t step)
{
    struct sse_client s;
    struct buf seen;

    buf_init_arena(&seen, a);
    sse_client_init(&s);
    CHECK_INT(sse_client_feed(&s, str_head(bytes, cut), on_piece, &seen), 0);
    bytes = str_from_offset(bytes, cut);
    while (bytes.n > 0) {
        size_t n = step != 0 && step < bytes.n ? step : bytes.n;

        CHECK_INT(sse_client_feed(&s, str_head(bytes, n), on_piece, &seen), 0);
        bytes = str_from_offset(bytes, n);
    }
    CHECK_INT(sse_client_finish(&s, on_piece, &seen), 0);
    sse_client_fini(&s);
    return buf_str(&seen);
}

static void sse_check(struct arena *a, struct str bytes, struct str wanted)
{
    for (size_t cut = 0; cut <= bytes.n; cut++)
        CHECK_STR(sse_read(a, bytes, cut, 0), wanted);
    CHECK_STR(sse_read(a, bytes, 0, 1), wanted);
    CHECK_STR(sse_read(a, bytes, 0, 2), wanted);
}

TEST(sse_client_reads_all_line_ends)
{
    sse_check(a, STR("data: a\n\ndata:b\n\n"), STR("<a><b>"));
    sse_check(a, STR("data: a\r\n\r\ndata:b\r\n\r\n"), STR("<a><b>"));
    sse_check(a, STR("data: a\r\rdata:b\r\r"), STR("<a><b>"));
    sse_check(a, STR("data: a\r\n\ndata:b\n\r\n"), STR("<a><b>"));
}

TEST(sse_client_joins_data_lines)
{
    sse_check(a, STR("data: a\ndata:  b\ndata\ndata:\n\n"), STR("<a\n b\n\n>"));
}

TEST(sse_client_skips_what_is_no_data)
{
    sse_check(a, STR(": hi\n\nevent: x\nid: 1\nretry: 5\n\ndatax: 1\ndat: 2\n data: 3\n\n\n\ndata: a\n\n"),
              STR("<a>"));
    sse_check(a, STR("averylongfieldname: 1\ndata: a:b\n\n"), STR("<a:b>"));
    sse_check(a, STR("data: x\n: comment in between\ndata: y\n\n"), STR("<x\ny>"));
}

TEST(sse_client_takes_a_byte_order_mark_once)
{
    sse_check(a,
              STR("\xef\xbb\xbf"
                  "data: a\n\n"),
              STR("<a>"));
    sse_check(a,
              STR("\xef\xbb"
                  "data: a\n\ndata: b\n\n"),
              STR("<b>"));
    sse_check(a,
              STR("\xef\xbb\xbf\xef\xbb\xbf"
                  "data: a\n\ndata: b\n\n"),
              STR("<b>"));
}

TEST(sse_client_end_counts_as_a_blank_line)
{
    sse_check(a, STR("data: a\n\ndata: b"), STR("<a><b>"));
    sse_check(a, STR("data: a\n\ndata: b\n"), STR("<a><b>"));
    sse_check(a, STR("data: a\n\ndata"), STR("<a><>"));
    sse_check(a, STR("data: a\n\nda"), STR("<a>"));
    sse_check(a, STR(""), STR(""));
}

TEST(sse_client_stops_when_told)
{
    struct sse_client s;
    struct buf seen;

    buf_init_arena(&seen, a);
    sse_client_init(&s);
    CHECK_INT(sse_client_feed(&s, STR("data: stop\n\ndata: b\n\n"), on_piece, &seen), -ECANCELED);
    CHECK_STR(buf_str(&seen), STR("<stop>"));
    sse_client_fini(&s);
}

static int feed_until(struct sse_client *s, struct str piece, size_t times, struct buf *seen)
{
    int rc = 0;

    for (size_t i = 0; i < times && rc == 0; i++)
        rc = sse_client_feed(s, piece, on_piece, seen);
    return rc;
}

TEST(sse_client_is_bounded)
{
    char *bytes = arena_bytes(a, 1 << 20);
    struct sse_client s;
    struct buf seen;

    memset(bytes, 'x', 1 << 20);
    buf_init_arena(&seen, a);
    sse_client_init(&s);
    CHECK_INT(sse_client_feed(&s, STR("data: "), on_piece, &seen), 0);
    CHECK_INT(feed_until(&s, str_of(bytes, 1 << 20), 16, &seen), 0);
    CHECK_INT(feed_until(&s, str_of(bytes, 1 << 20), 1, &seen), -EMSGSIZE);
    sse_client_fini(&s);
    memset(bytes, '\n', 1 << 20);
    for (size_t i = 0; i + 5 <= 1 << 20; i += 5)
        memcpy(bytes + i, "data", 4); /* empty lines of data grow it too */
    sse_client_init(&s);
    CHECK_INT(feed_until(&s, str_of(bytes, (1 << 20) / 5 * 5), 100, &seen), -EMSGSIZE);
    sse_client_fini(&s);
}

static struct str ndjson_read(struct arena *a, struct str bytes, size_t cut)
{
    struct ndjson n;
    struct buf seen;

    buf_init_arena(&seen, a);
    ndjson_init(&n);
    CHECK_INT(ndjson_feed(&n, str_head(bytes, cut), on_piece, &seen), 0);
    CHECK_INT(ndjson_feed(&n, str_from_offset(bytes, cut), on_piece, &seen), 0);
    CHECK_INT(ndjson_finish(&n, on_piece, &seen), 0);
    ndjson_fini(&n);
    return buf_str(&seen);
}

TEST(ndjson_cuts_lines)
{
    struct str bytes = STR("{a}\r\n\n  \n{b}\n{c}");

    for (size_t cut = 0; cut <= bytes.n; cut++)
        CHECK_STR(ndjson_read(a, bytes, cut), STR("<{a}><{b}><{c}>"));
}

TEST(ndjson_is_bounded)
{
    char *bytes = arena_bytes(a, 1 << 20);
    struct ndjson n;
    struct buf seen;
    int rc = 0;

    memset(bytes, 'x', 1 << 20);
    buf_init_arena(&seen, a);
    ndjson_init(&n);
    for (int i = 0; i < 16; i++)
        CHECK_INT(ndjson_feed(&n, str_of(bytes, 1 << 20), on_piece, &seen), 0);
    rc = ndjson_feed(&n, STR("x\n"), on_piece, &seen);
    CHECK_INT(rc, -EMSGSIZE);
    ndjson_fini(&n);
}
