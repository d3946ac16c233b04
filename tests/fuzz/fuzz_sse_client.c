/* Cut anywhere, an event stream means the same. The first byte says where it is cut. */
#include "workers/sse_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_event(void *arg, struct str data)
{
    buf_add_byte(arg, '<');
    buf_add(arg, data);
    buf_add_byte(arg, '>');
    return 0;
}

static void read_in_pieces(struct buf *seen, struct str bytes, size_t step)
{
    struct sse_client s;

    sse_client_init(&s);
    while (bytes.n > 0) {
        size_t n = step < bytes.n ? step : bytes.n;

        if (sse_client_feed(&s, str_head(bytes, n), on_event, seen) < 0)
            abort();
        bytes = str_from_offset(bytes, n);
    }
    if (sse_client_finish(&s, on_event, seen) < 0)
        abort();
    sse_client_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, pieces;
    struct str bytes;

    if (size == 0)
        return 0;
    bytes = str_of((const char *)data + 1, size - 1);
    buf_init(&whole);
    buf_init(&pieces);
    read_in_pieces(&whole, bytes, SIZE_MAX);
    read_in_pieces(&pieces, bytes, data[0] % 16 + 1u);
    if (!str_eq(buf_str(&whole), buf_str(&pieces)))
        abort();
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
