#include "core/frame.h"

static uint64_t load(const char *p, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)(unsigned char)p[i] << 8 * i;
    return value;
}

static void store(char *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (char)(value >> 8 * i & 255);
}

ssize_t frame_read(struct str bytes, frame_max_fn max, struct frame *f)
{
    uint32_t length;
    int64_t length_max;

    if (bytes.n < FRAME_HEADER_SIZE)
        return 0;
    length = (uint32_t)load(bytes.p, 4);
    f->type = (uint16_t)load(bytes.p + 4, 2);
    length_max = max(f->type);
    if (length_max < 0 || length > length_max)
        return -EPROTO;
    if (bytes.n - FRAME_HEADER_SIZE < length)
        return 0;
    f->payload = str_of(bytes.p + FRAME_HEADER_SIZE, length);
    return FRAME_HEADER_SIZE + (ssize_t)length;
}

size_t frame_begin(struct buf *out, uint16_t type)
{
    size_t begun = buf_size(out);
    char *header = buf_reserve(out, FRAME_HEADER_SIZE);

    store(header, 0, 4);
    store(header + 4, type, 2);
    buf_commit(out, FRAME_HEADER_SIZE);
    return begun;
}

void frame_end(struct buf *out, size_t begun)
{
    size_t length = buf_size(out) - begun - FRAME_HEADER_SIZE;

    assert(length <= UINT32_MAX);
    store(out->p + out->start + begun, length, 4);
}

static void put(struct buf *out, uint64_t value, unsigned bytes)
{
    store(buf_reserve(out, bytes), value, bytes);
    buf_commit(out, bytes);
}

void frame_put_u8(struct buf *out, uint8_t value)
{
    put(out, value, 1);
}

void frame_put_u32(struct buf *out, uint32_t value)
{
    put(out, value, 4);
}

void frame_put_u64(struct buf *out, uint64_t value)
{
    put(out, value, 8);
}

void frame_put_str(struct buf *out, struct str value)
{
    assert(value.n < UINT32_MAX);
    put(out, str_is_none(value) ? UINT32_MAX : value.n, 4);
    buf_add(out, value);
}

static int get(struct str *payload, uint64_t *value, unsigned bytes)
{
    if (payload->n < bytes)
        return -EPROTO;
    *value = load(payload->p, bytes);
    *payload = str_from_offset(*payload, bytes);
    return 0;
}

int frame_get_u8(struct str *payload, uint8_t *value)
{
    uint64_t wide;

    if (get(payload, &wide, 1) < 0)
        return -EPROTO;
    *value = (uint8_t)wide;
    return 0;
}

int frame_get_u32(struct str *payload, uint32_t *value)
{
    uint64_t wide;

    if (get(payload, &wide, 4) < 0)
        return -EPROTO;
    *value = (uint32_t)wide;
    return 0;
}

int frame_get_u64(struct str *payload, uint64_t *value)
{
    return get(payload, value, 8);
}

int frame_get_str(struct str *payload, struct str *value)
{
    uint32_t n;

    if (frame_get_u32(payload, &n) < 0)
        return -EPROTO;
    if (n == UINT32_MAX) {
        *value = STR_NONE;
        return 0;
    }
    if (payload->n < n)
        return -EPROTO;
    *value = str_head(*payload, n);
    *payload = str_from_offset(*payload, n);
    return 0;
}
