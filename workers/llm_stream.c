#include "workers/llm_stream.h"

#include "workers/llm_repair.h"

void llm_stream_init(struct llm_stream *s, const struct llm_codec *codec, const struct llm_sink *sink)
{
    *s = (struct llm_stream){.codec = codec, .sink = sink};
    sse_client_init(&s->sse);
    ndjson_init(&s->lines);
    llm_tools_init(&s->tools);
    buf_init(&s->error);
}

void llm_stream_fini(struct llm_stream *s)
{
    sse_client_fini(&s->sse);
    ndjson_fini(&s->lines);
    llm_tools_fini(&s->tools);
    buf_fini(&s->error);
}

int llm_stream_fail(struct llm_stream *s, struct str words)
{
    if (!s->has_failed)
        buf_add(&s->error, str_utf8_head(words.n != 0 ? words : STR("unknown error"), LLM_ERROR_MAX));
    s->has_failed = true;
    return -EPROTO;
}

void llm_stream_text(struct llm_stream *s, struct str text)
{
    while (text.n > 0) {
        struct str head = str_utf8_head(text, LLM_TEXT_MAX);

        s->sink->on_text(s->sink->arg, head);
        text = str_from_offset(text, head.n);
    }
}

int llm_stream_tool(struct llm_stream *s, const struct llm_tool_part *part)
{
    struct buf delta;
    int rc;

    buf_init(&delta);
    rc = llm_tools_add(&s->tools, part, &delta);
    if (rc < 0 || buf_size(&delta) > LLM_TOOL_JSON_MAX)
        rc = llm_stream_fail(s, STR("the model's tool calls are too large"));
    else if (rc > 0)
        s->sink->on_tool(s->sink->arg, buf_str(&delta));
    buf_fini(&delta);
    return rc < 0 ? rc : 0;
}

static const struct {
    struct str word, reason;
} finish_reasons[] = {
    {STR_INIT("stop"), STR_INIT("stop")},
    {STR_INIT("tool_calls"), STR_INIT("tool_calls")},
    {STR_INIT("function_call"), STR_INIT("tool_calls")},
    {STR_INIT("tool_use"), STR_INIT("tool_calls")},
    {STR_INIT("length"), STR_INIT("length")},
    {STR_INIT("max_tokens"), STR_INIT("length")},
    {STR_INIT("model_length"), STR_INIT("length")},
    {STR_INIT("model_context_window_exceeded"), STR_INIT("length")},
    {STR_INIT("content_filter"), STR_INIT("content_filter")},
    {STR_INIT("refusal"), STR_INIT("content_filter")},
};

struct str llm_finish_reason(struct str word)
{
    for (size_t i = 0; i < nelem(finish_reasons); i++) {
        if (str_ieq(word, finish_reasons[i].word))
            return finish_reasons[i].reason;
    }
    return STR("stop");
}

int64_t llm_token_count(const struct json *object, struct str name)
{
    int64_t n;

    return json_i64(json_get(object, name), &n) == 0 && n > 0 && n < INT32_MAX ? n : 0;
}

static const struct json *parse_chunk(struct arena *a, struct str text)
{
    const struct json *chunk;
    struct json_error error;

    if (json_parse(a, text, &chunk, &error) < 0 && json_parse(a, llm_repair(a, text), &chunk, &error) < 0)
        return NULL;
    return json_is(chunk, JSON_OBJECT) ? chunk : NULL;
}

/* One framed piece. What is no JSON is skipped: vendors send such things, and a broken stream shows at its
 * end. */
static int on_piece(void *arg, struct str text)
{
    struct llm_stream *s = arg;
    const struct json *chunk;
    struct arena a;
    int rc = 0;

    if (s->is_done)
        return 0;
    if (s->codec->framing == LLM_SSE && str_eq(str_trim(text), STR("[DONE]"))) {
        s->is_done = true;
        return 0;
    }
    arena_init(&a);
    chunk = parse_chunk(&a, text);
    if (chunk != NULL) {
        s->chunks++;
        rc = s->codec->chunk(s, chunk);
    }
    arena_fini(&a);
    return rc;
}

int llm_stream_feed(struct llm_stream *s, struct str bytes)
{
    int rc = s->codec->framing == LLM_SSE ? sse_client_feed(&s->sse, bytes, on_piece, s)
                                          : ndjson_feed(&s->lines, bytes, on_piece, s);

    if (rc == -EMSGSIZE)
        rc = llm_stream_fail(s, STR("a piece of the provider's answer is too large"));
    return rc < 0 ? rc : s->is_done;
}

/* What a model calls a normal end although it wants tools, or the other way round. */
static struct str stream_reason(const struct llm_stream *s, bool has_calls)
{
    struct str reason = str_is_none(s->finish) ? STR("stop") : s->finish;

    if (has_calls && str_eq(reason, STR("stop")))
        return STR("tool_calls");
    if (!has_calls && str_eq(reason, STR("tool_calls")))
        return STR("stop");
    return reason;
}

int llm_stream_finish(struct llm_stream *s, struct arena *a, struct llm_result *result)
{
    struct buf calls;
    bool has_calls;
    int rc = s->codec->framing == LLM_SSE ? sse_client_finish(&s->sse, on_piece, s)
                                          : ndjson_finish(&s->lines, on_piece, s);

    if (rc < 0)
        return llm_stream_fail(s, STR("a piece of the provider's answer is too large"));
    if (!s->is_done && str_is_none(s->finish))
        return llm_stream_fail(s, s->chunks == 0 ? STR("the provider's answer is not the expected stream")
                                                 : STR("the provider's stream broke off"));
    buf_init_arena(&calls, a);
    has_calls = llm_tools_write(&s->tools, &calls) > 0;
    if (buf_size(&calls) > LLM_TOOL_JSON_MAX)
        return llm_stream_fail(s, STR("the model's tool calls are too large"));
    *result = (struct llm_result){
        .finish = stream_reason(s, has_calls),
        .tool_calls = has_calls ? buf_str(&calls) : STR_NONE,
        .usage = s->usage,
    };
    return 0;
}
