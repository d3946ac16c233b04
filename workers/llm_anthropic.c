#include "workers/llm_anthropic.h"

#include "workers/llm_anthropic_turns.h"
#include "workers/llm_stream.h"

/* ---- the request ---- */

static bool wants_caching(const struct llm_ask *ask)
{
    const struct json *override =
        json_get(json_get(ask->body, STR("provider_overrides")), STR("prompt_caching"));

    return json_bool(json_get(ask->config, STR("prompt_caching"))) &&
           !(json_is(override, JSON_BOOL) && !json_bool(override));
}

static void write_cache_mark(struct json_writer *w)
{
    json_field_raw(w, STR("cache_control"), STR("{\"type\":\"ephemeral\"}"));
}

static void write_system(struct json_writer *w, struct str system, bool is_cached)
{
    if (system.n == 0)
        return;
    if (!is_cached) {
        json_field_str(w, STR("system"), system);
        return;
    }
    json_key_write(w, STR("system"));
    json_array_begin(w);
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("text"));
    json_field_str(w, STR("text"), system);
    write_cache_mark(w);
    json_object_end(w);
    json_array_end(w);
}

static void write_tool(struct json_writer *w, const struct json *function, bool is_marked)
{
    const struct json *schema = json_get(function, STR("parameters"));

    json_object_begin(w);
    json_field_str(w, STR("name"), json_get_text(function, STR("name")));
    if (json_is(json_get(function, STR("description")), JSON_STRING))
        json_field_str(w, STR("description"), json_get_text(function, STR("description")));
    json_field_raw(w, STR("input_schema"),
                   json_is(schema, JSON_OBJECT) ? json_raw(schema)
                                                : STR("{\"type\":\"object\",\"properties\":{}}"));
    if (is_marked)
        write_cache_mark(w);
    json_object_end(w);
}

static void write_tools(struct json_writer *w, const struct json *tools, bool is_cached)
{
    size_t left = json_is(tools, JSON_ARRAY) ? json_count(tools) : 0;

    if (left == 0)
        return;
    json_key_write(w, STR("tools"));
    json_array_begin(w);
    json_each (tool, tools)
        write_tool(w, json_get(tool, STR("function")), is_cached && --left == 0);
    json_array_end(w);
}

static void write_numbers(struct json_writer *w, const struct llm_ask *ask)
{
    const struct json *temperature = json_get(ask->body, STR("temperature"));
    const struct json *limit = json_get(ask->body, STR("max_tokens"));
    double t;

    if (!json_is(limit, JSON_NUMBER))
        limit = json_get(ask->config, STR("max_tokens"));
    json_field_raw(w, STR("max_tokens"), json_is(limit, JSON_NUMBER) ? json_raw(limit) : STR("16384"));
    if ((ask->quirks & LLM_NO_TEMPERATURE) == 0 && json_double(temperature, &t) == 0)
        json_field_raw(w, STR("temperature"), t > 1 ? STR("1") : json_raw(temperature));
}

static void write_body(struct arena *a, struct json_writer *w, const struct llm_ask *ask)
{
    const struct json *messages = json_get(ask->body, STR("messages"));
    bool is_cached = wants_caching(ask);

    json_object_begin(w);
    json_field_str(w, STR("model"), json_get_text(ask->body, STR("model")));
    write_numbers(w, ask);
    write_system(w, anthropic_system(a, messages), is_cached);
    json_key_write(w, STR("messages"));
    anthropic_messages_write(a, w, messages);
    write_tools(w, json_get(ask->body, STR("tools")), is_cached);
    json_field_bool(w, STR("stream"), true);
    json_object_end(w);
}

static void anthropic_request(struct arena *a, const struct llm_ask *ask, struct llm_http *http)
{
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    write_body(a, &w, ask);
    http->body = buf_str(&out);
    http->url =
        llm_url(a, ask->base, str_ends(ask->base, STR("/v1")) ? STR("/messages") : STR("/v1/messages"));
    llm_http_headers(a, http, STR_NONE);
    llm_http_header(http, STR("anthropic-version: 2023-06-01"));
    if (ask->key.n != 0)
        llm_http_header(http, arena_strf(a, "x-api-key: " STR_FMT, STR_ARG(ask->key)));
}

/* ---- the answer ---- */

static void usage_in(struct llm_stream *s, const struct json *usage)
{
    s->usage.is_known = json_is(usage, JSON_OBJECT);
    s->usage.prompt = llm_token_count(usage, STR("input_tokens")) +
                      llm_token_count(usage, STR("cache_read_input_tokens")) +
                      llm_token_count(usage, STR("cache_creation_input_tokens"));
    s->usage.total = s->usage.prompt;
}

static void message_delta(struct llm_stream *s, const struct json *event)
{
    const struct json *usage = json_get(event, STR("usage"));
    struct str reason = json_get_text(json_get(event, STR("delta")), STR("stop_reason"));

    if (reason.n != 0)
        s->finish = llm_finish_reason(reason);
    if (!json_is(usage, JSON_OBJECT))
        return;
    s->usage.is_known = true;
    s->usage.completion = llm_token_count(usage, STR("output_tokens"));
    s->usage.total = s->usage.prompt + s->usage.completion;
}

static int64_t block_index(const struct json *event)
{
    int64_t index;

    return json_i64(json_get(event, STR("index")), &index) == 0 && index >= 0 ? index : -1;
}

static int block_start(struct llm_stream *s, const struct json *event)
{
    const struct json *block = json_get(event, STR("content_block"));
    const struct json *input = json_get(block, STR("input"));
    struct llm_tool_part part = {.index = block_index(event),
                                 .id = json_get_text(block, STR("id")),
                                 .name = json_get_text(block, STR("name"))};

    if (str_eq(json_get_text(block, STR("type")), STR("text")))
        llm_stream_text(s, json_get_text(block, STR("text")));
    if (!str_eq(json_get_text(block, STR("type")), STR("tool_use")))
        return 0;
    if (json_is(input, JSON_OBJECT) && json_count(input) > 0)
        part.arguments = json_raw(input);
    return llm_stream_tool(s, &part);
}

static int block_delta(struct llm_stream *s, const struct json *event)
{
    const struct json *delta = json_get(event, STR("delta"));
    struct str type = json_get_text(delta, STR("type"));
    struct llm_tool_part part = {.index = block_index(event),
                                 .arguments = json_get_text(delta, STR("partial_json"))};

    if (str_eq(type, STR("text_delta")))
        llm_stream_text(s, json_get_text(delta, STR("text")));
    return str_eq(type, STR("input_json_delta")) ? llm_stream_tool(s, &part) : 0;
}

/* A call without any arguments is one with none. */
static int block_stop(struct llm_stream *s, const struct json *event)
{
    struct llm_tool_part part = {.index = block_index(event), .arguments = STR("{}")};

    return llm_tools_has_arguments(&s->tools, part.index) == 0 ? llm_stream_tool(s, &part) : 0;
}

static int anthropic_chunk(struct llm_stream *s, const struct json *event)
{
    struct str type = json_get_text(event, STR("type"));

    if (str_eq(type, STR("content_block_delta")))
        return block_delta(s, event);
    if (str_eq(type, STR("content_block_start")))
        return block_start(s, event);
    if (str_eq(type, STR("content_block_stop")))
        return block_stop(s, event);
    if (str_eq(type, STR("error")))
        return llm_stream_fail(s, llm_error_text(event));
    if (str_eq(type, STR("message_start")))
        usage_in(s, json_get(json_get(event, STR("message")), STR("usage")));
    else if (str_eq(type, STR("message_delta")))
        message_delta(s, event);
    else if (str_eq(type, STR("message_stop")))
        s->is_done = true;
    return 0;
}

const struct llm_codec llm_anthropic = {
    .type = STR_INIT("anthropic"),
    .base_default = STR_INIT("https://api.anthropic.com"),
    .framing = LLM_SSE,
    .timeout_s = 600,
    .retries = 2,
    .retries_answers = true,
    .request = anthropic_request,
    .chunk = anthropic_chunk,
};
