/* Frames and the messages of workers/proto.def. */
#include "test.h"

#include "workers/proto.h"

static struct str start_frame(struct buf *out)
{
    struct msg_llm_start m = {.call_id = 0x123456789abcdef0,
                              .window = 77,
                              .timeout_ms = 5,
                              .provider_id = STR("p"),
                              .provider_type = STR("openai"),
                              .endpoint = STR_NONE,
                              .key_encrypted = STR(""),
                              .config_json = STR("{}"),
                              .body_json = STR("{\"a\":1}")};

    proto_put_llm_start(out, &m);
    return buf_str(out);
}

TEST(proto_message_survives)
{
    struct msg_llm_start m;
    struct frame f;
    struct buf out;
    struct str bytes;

    buf_init_arena(&out, a);
    bytes = start_frame(&out);
    CHECK_INT(frame_read(bytes, proto_payload_max, &f), bytes.n);
    CHECK_INT(f.type, PROTO_llm_start);
    CHECK_INT(proto_get_llm_start(f.payload, &m), 0);
    CHECK(m.call_id == 0x123456789abcdef0 && m.window == 77 && m.timeout_ms == 5);
    CHECK_STR(m.provider_type, STR("openai"));
    CHECK(str_is_none(m.endpoint));
    CHECK(!str_is_none(m.key_encrypted) && m.key_encrypted.n == 0);
    CHECK_STR(m.body_json, STR("{\"a\":1}"));
}

TEST(proto_frame_waits_for_its_end)
{
    struct frame f;
    struct buf out;
    struct str bytes;

    buf_init_arena(&out, a);
    bytes = start_frame(&out);
    for (size_t n = 0; n < bytes.n; n++)
        CHECK_INT(frame_read(str_head(bytes, n), proto_payload_max, &f), 0);
}

TEST(proto_decoder_checks_every_length)
{
    struct msg_llm_start m;
    struct buf out;
    struct str payload;

    buf_init_arena(&out, a);
    payload = str_from_offset(start_frame(&out), FRAME_HEADER_SIZE);
    for (size_t n = 0; n < payload.n; n++)
        CHECK_INT(proto_get_llm_start(str_head(payload, n), &m), -EPROTO);
    buf_add_byte(&out, 'x');
    payload = str_from_offset(buf_str(&out), FRAME_HEADER_SIZE);
    CHECK_INT(proto_get_llm_start(payload, &m), -EPROTO);
}

TEST(proto_frame_is_bounded_by_its_type)
{
    struct frame f;

    CHECK_INT(frame_read(STR("\x01\x00\x10\x00\x08\x00"), proto_payload_max, &f), -EPROTO);
    CHECK_INT(frame_read(STR("\x00\x00\x10\x00\x08\x00"), proto_payload_max, &f), 0);
    CHECK_INT(frame_read(STR("\x01\x00\x00\x05\x07\x00"), proto_payload_max, &f), -EPROTO);
    CHECK_INT(frame_read(STR("\x00\x00\x00\x00\x00\x00"), proto_payload_max, &f), -EPROTO);
    CHECK_INT(frame_read(STR("\x00\x00\x00\x00\xff\xff"), proto_payload_max, &f), -EPROTO);
    CHECK_INT(proto_payload_max(PROTO_llm_start), PROTO_LARGE_MAX);
    CHECK_INT(proto_payload_max(PROTO_llm_delta), PROTO_SMALL_MAX);
    CHECK_INT(proto_payload_max(PROTO_TYPES), -1);
}

TEST(proto_names_and_hash)
{
    CHECK_STR(str_from(proto_name(PROTO_hello)), STR("hello"));
    CHECK_STR(str_from(proto_name(60000)), STR("?"));
    CHECK(proto_hash() != 0 && proto_hash() == proto_hash());
}
