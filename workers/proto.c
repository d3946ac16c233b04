#include "workers/proto.h"

#include "base/hash.h"

#define MSG_LARGE MSG

#define F(type, name) frame_put_##type(out, m->name);
#define MSG(name, fields)                                                                                    \
    void proto_put_##name(struct buf *out, const struct msg_##name *m)                                       \
    {                                                                                                        \
        size_t begun = frame_begin(out, PROTO_##name);                                                       \
                                                                                                             \
        fields;                                                                                              \
        frame_end(out, begun);                                                                               \
    }
#include "workers/proto.def"
#undef MSG
#undef F

#define F(type, name) || frame_get_##type(&payload, &m->name) < 0
#define MSG(name, fields)                                                                                    \
    int proto_get_##name(struct str payload, struct msg_##name *m)                                           \
    {                                                                                                        \
        return (false fields || payload.n != 0) ? -EPROTO : 0;                                               \
    }
#include "workers/proto.def"
#undef MSG
#undef F
#undef MSG_LARGE

struct proto_kind {
    const char *name;
    int64_t payload_max;
};

static const struct proto_kind kinds[PROTO_TYPES] = {
    [PROTO_NONE] = {"?", -1},
#define MSG(name, fields)       [PROTO_##name] = {#name, PROTO_SMALL_MAX},
#define MSG_LARGE(name, fields) [PROTO_##name] = {#name, PROTO_LARGE_MAX},
#include "workers/proto.def"
#undef MSG
#undef MSG_LARGE
};

int64_t proto_payload_max(uint16_t type)
{
    return type < PROTO_TYPES ? kinds[type].payload_max : -1;
}

const char *proto_name(uint16_t type)
{
    return kinds[type < PROTO_TYPES ? type : PROTO_NONE].name;
}

/* The messages as the compiler reads them: comments do not count. */
static const char proto_text[] =
#define MSG(name, fields)       #name " " #fields "\n"
#define MSG_LARGE(name, fields) "large " #name " " #fields "\n"
#include "workers/proto.def"
#undef MSG
#undef MSG_LARGE
    ;

uint64_t proto_hash(void)
{
    struct hash digest = hash_sha256(str_of(proto_text, sizeof(proto_text) - 1));
    uint64_t head;

    memcpy(&head, digest.bytes, sizeof(head));
    return head;
}
