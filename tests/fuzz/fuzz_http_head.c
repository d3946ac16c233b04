/* Heads: the result must not depend on how the bytes were cut. */
#include "http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(struct arena *a, struct http_scan *scan, struct str text, struct http_head *head)
{
    int rc = http_scan_head(scan, text);

    if (rc <= 0)
        return rc;
    rc = http_parse_head(a, str_head(text, scan->at), head);
    return rc < 0 ? rc : 1;
}

static bool is_inside(struct str part, struct str whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct http_scan whole = {0}, pieces = {0};
    struct http_head head = {0}, again = {0};
    struct arena a;
    int rc, rc_pieces = 0;

    if (size == 0)
        return 0;
    arena_init(&a);
    rc = feed(&a, &whole, text, &head);
    for (size_t n = 0; n <= size && rc_pieces == 0; n++)
        rc_pieces = feed(&a, &pieces, str_head(text, n), &again);
    if (rc != rc_pieces || whole.at != pieces.at)
        abort();
    if (rc == 1) {
        if (head.bytes != again.bytes || head.content_length != again.content_length ||
            head.is_chunked != again.is_chunked || (head.is_chunked && head.content_length >= 0))
            abort();
        if (!is_inside(head.target, text) || !is_inside(head.query, text) || !is_inside(head.host, text))
            abort();
    }
    arena_fini(&a);
    return 0;
}
