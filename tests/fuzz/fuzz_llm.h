/*
 * What the fuzz targets of all providers' codecs do. The first byte says what follows: a stream that is cut
 * into pieces of its size (even), or the body of a request (odd).
 */
#ifndef TESTS_FUZZ_LLM_H
#define TESTS_FUZZ_LLM_H

#include "workers/llm_rules.h"
#include "workers/llm_stream.h"

static void fuzz_check(bool condition)
{
    if (!condition)
        abort();
}

static void fuzz_on_text(void *arg, struct str text)
{
    fuzz_check(text.n > 0 && text.n <= LLM_TEXT_MAX && str_is_utf8(text));
    buf_add(arg, text);
}

static void fuzz_on_tool(void *arg, struct str tool_json)
{
    const struct json *v;
    struct json_error error;
    struct arena a;

    arena_init(&a);
    fuzz_check(json_parse(&a, tool_json, &v, &error) == 0);
    fuzz_check(json_is(json_get(v, STR("index")), JSON_NUMBER));
    buf_add_byte(arg, 't');
    arena_fini(&a);
}

static void fuzz_stream(struct buf *seen, const struct llm_codec *codec, struct str bytes, size_t step)
{
    struct llm_sink sink = {.on_text = fuzz_on_text, .on_tool = fuzz_on_tool, .arg = seen};
    struct llm_result result;
    struct llm_stream s;
    struct arena a;
    int rc = 0;

    arena_init(&a);
    llm_stream_init(&s, codec, &sink);
    while (bytes.n > 0 && rc == 0) {
        size_t n = step < bytes.n ? step : bytes.n;

        rc = llm_stream_feed(&s, str_head(bytes, n));
        bytes = str_from_offset(bytes, n);
    }
    fuzz_check((rc < 0) == s.has_failed);
    if (rc >= 0 && llm_stream_finish(&s, &a, &result) == 0)
        buf_add(seen, result.finish);
    else
        fuzz_check(llm_message(&a, buf_str(&s.error), STR("secret")).n > 0);
    llm_stream_fini(&s);
    arena_fini(&a);
}

static void fuzz_answer(const struct llm_codec *codec, struct str bytes, size_t step)
{
    struct buf whole, pieces;

    buf_init(&whole);
    buf_init(&pieces);
    fuzz_stream(&whole, codec, bytes, SIZE_MAX);
    fuzz_stream(&pieces, codec, bytes, step);
    fuzz_check(str_eq(buf_str(&whole), buf_str(&pieces)));
    buf_fini(&whole);
    buf_fini(&pieces);
}

/* Whatever the messages hold, what is sent is JSON. */
static void fuzz_request(const struct llm_codec *codec, struct str bytes)
{
    struct llm_ask ask = {.base = STR("http://x"), .key = STR("k")};
    struct llm_http http = {0};
    const struct json *sent;
    struct json_error error;
    struct arena a;

    arena_init(&a);
    if (json_parse(&a, bytes, &ask.body, &error) == 0) {
        ask.config = json_get(ask.body, STR("config"));
        (void)llm_quirk_named(ask.body);
        codec->request(&a, &ask, &http);
        fuzz_check(json_parse(&a, http.body, &sent, &error) == 0);
    }
    arena_fini(&a);
}

static int fuzz_codec(const char *type, const uint8_t *data, size_t size)
{
    const struct llm_codec *codec = llm_codec_find(str_from(type));
    struct str bytes;

    if (size == 0)
        return 0;
    bytes = str_of((const char *)data + 1, size - 1);
    if (data[0] % 2 == 1)
        fuzz_request(codec, bytes);
    else
        fuzz_answer(codec, bytes, data[0] / 2 % 32 + 1u);
    return 0;
}

#endif
