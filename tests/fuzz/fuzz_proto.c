/*
 * Frames as the receiver cuts them, and every message decoded; what decodes is encoded again to the same
 * bytes.
 */
#include "workers/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void try_frame(const struct frame *f, struct str bytes)
{
    struct buf out;

    buf_init(&out);
    switch (f->type) {
#define MSG(name, fields)                                                                                    \
    case PROTO_##name: {                                                                                     \
        struct msg_##name m;                                                                                 \
                                                                                                             \
        if (proto_get_##name(f->payload, &m) < 0)                                                            \
            break;                                                                                           \
        proto_put_##name(&out, &m);                                                                          \
        check(str_eq(buf_str(&out), bytes));                                                                 \
        break;                                                                                               \
    }
#define MSG_LARGE MSG
#include "workers/proto.def"
#undef MSG
#undef MSG_LARGE
    default:
        check(false); /* no such type gets this far */
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_of((const char *)data, size);

    for (;;) {
        struct frame f;
        ssize_t n = frame_read(bytes, proto_payload_max, &f);

        if (n <= 0)
            return 0;
        try_frame(&f, str_head(bytes, (size_t)n));
        bytes = str_from_offset(bytes, (size_t)n);
    }
}
