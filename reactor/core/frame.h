/*
 * Frames, as they pass between the reactor and its workers: u32 length of the payload, u16
 * type, payload; little endian. What a payload holds is workers/proto.def's business. Pure.
 */
#ifndef CORE_FRAME_H
#define CORE_FRAME_H

#include "base/buf.h"

enum { FRAME_HEADER_SIZE = 6 };

struct frame {
    uint16_t type;
    struct str payload; /* lies in the bytes it was read from */
};

/* The longest payload of a type; negative: there is no such type. */
typedef int64_t (*frame_max_fn)(uint16_t type);

/* The size of the frame at the front of bytes, 0 when more bytes are needed, or -EPROTO. */
MUST_USE ssize_t frame_read(struct str bytes, frame_max_fn max, struct frame *f);

/* Opens a frame at the end of out; frame_end() with what it returned sets the length. */
size_t frame_begin(struct buf *out, uint16_t type);
void frame_end(struct buf *out, size_t begun);

/* Fields. A str keeps the difference between absent and empty. */
void frame_put_u8(struct buf *out, uint8_t value);
void frame_put_u32(struct buf *out, uint32_t value);
void frame_put_u64(struct buf *out, uint64_t value);
void frame_put_str(struct buf *out, struct str value);

/* Take a field off the front of a payload. 0 or -EPROTO. A str lies in the payload. */
MUST_USE int frame_get_u8(struct str *payload, uint8_t *value);
MUST_USE int frame_get_u32(struct str *payload, uint32_t *value);
MUST_USE int frame_get_u64(struct str *payload, uint64_t *value);
MUST_USE int frame_get_str(struct str *payload, struct str *value);

#endif
