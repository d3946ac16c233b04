/* Chunked bodies: in one piece, octet by octet, and under a limit. */
#include "base/buf.h"
#include "http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(struct str text, size_t step, uint64_t limit, struct buf *body, size_t *used)
{
    struct http_chunked c;
    size_t at = 0;
    int rc = 1;

    http_chunked_init(&c);
    while (rc > 0 && at < text.n) {
        struct str in = str_of(text.p + at, text.n - at < step ? text.n - at : step);
        size_t n = in.n;

        while (rc > 0 && in.n != 0) {
            struct str run;

            rc = http_chunked_next(&c, limit, &in, &run);
            buf_add(body, run);
        }
        at += n - in.n;
    }
    *used = at;
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct buf whole, pieces;
    size_t used, used_pieces;
    int rc;

    buf_init(&whole);
    buf_init(&pieces);
    rc = decode(text, size + 1, 4096, &whole, &used);
    if (rc != decode(text, 1, 4096, &pieces, &used_pieces) || !str_eq(buf_str(&whole), buf_str(&pieces)) ||
        used != used_pieces || buf_size(&whole) > 4096)
        abort();
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
