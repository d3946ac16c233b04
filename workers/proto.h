/*
 * The messages of proto.def as structs (struct msg_llm_delta), numbers
 * (PROTO_llm_delta), encoders and decoders. Pure. A decoder checks every length
 * and that the payload ends with the last field; its texts lie in the payload.
 */
#ifndef WORKERS_PROTO_H
#define WORKERS_PROTO_H

#include "core/frame.h"

enum {
    PROTO_SMALL_MAX = 1 << 20, /* bytes of payload */
    PROTO_LARGE_MAX = 80 << 20 /* a chat with its files */
};

#define PROTO_TYPE_u8  uint8_t
#define PROTO_TYPE_u32 uint32_t
#define PROTO_TYPE_u64 uint64_t
#define PROTO_TYPE_str struct str

#define F(type, name) PROTO_TYPE_##type name;
#define MSG(name, fields)                                                                                    \
    struct msg_##name {                                                                                      \
        fields                                                                                               \
    };
#define MSG_LARGE MSG
#include "workers/proto.def"
#undef MSG
#undef F

enum proto_type {
    PROTO_NONE, /* numbers start at 1 */
#define MSG(name, fields) PROTO_##name,
#include "workers/proto.def"
#undef MSG
    PROTO_TYPES
};

/* Append the whole frame to out; the caller keeps texts within the message's bound. */
#define MSG(name, fields) void proto_put_##name(struct buf *out, const struct msg_##name *m);
#include "workers/proto.def"
#undef MSG

/* 0 or -EPROTO. */
#define MSG(name, fields) MUST_USE int proto_get_##name(struct str payload, struct msg_##name *m);
#include "workers/proto.def"
#undef MSG
#undef MSG_LARGE

/* For frame_read(): PROTO_SMALL_MAX, PROTO_LARGE_MAX, or -1 when there is no such type. */
int64_t proto_payload_max(uint16_t type);
const char *proto_name(uint16_t type); /* "llm_delta"; "?" when there is none */

/* Differs when any message of proto.def differs. */
uint64_t proto_hash(void);

/* What must be on both ends besides the layout. */
enum proto_llm_failure {
    PROTO_LLM_PROVIDER, /* the provider answered an error, nonsense, or not at all */
    PROTO_LLM_TIMEOUT,
    PROTO_LLM_CREDENTIALS, /* the stored key cannot be decrypted or sent */
    PROTO_LLM_WORKER       /* our own fault: too many calls, a request that is none */
};

enum proto_mail_outcome {
    PROTO_MAIL_SENT,    /* the server took it */
    PROTO_MAIL_INVALID, /* a header's value holds a line end */
    PROTO_MAIL_FAILED   /* the server refused it, or could not be reached */
};

#endif
