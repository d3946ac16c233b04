#include "workers/llm_ollama.h"

#include "workers/llm_parts.h"
#include "workers/llm_stream.h"

/* ---- messages ---- */

/* Text and images apart: images go beside the text. */
static void write_images(struct json_writer *w, const struct json *content)
{
    bool has_any = false;

    json_each (item, content) {
        struct llm_part part = llm_part_read(item);

        if (part.kind != LLM_PART_IMAGE_DATA)
            continue;
        if (!has_any) {
            json_key_write(w, STR("images"));
            json_array_begin(w);
        }
        has_any = true;
        json_write_str(w, part.data);
    }
    if (has_any)
        json_array_end(w);
}

static struct str user_text(struct arena *a, const struct json *content)
{
    struct buf text;

    if (!json_is(content, JSON_ARRAY))
        return llm_content_text(a, content);
    buf_init_arena(&text, a);
    json_each (item, content) {
        struct llm_part part = llm_part_read(item);

        if (part.kind == LLM_PART_IMAGE_DATA)
            continue;
        if (buf_size(&text) > 0)
            buf_add_byte(&text, '\n');
        buf_add(&text, llm_part_as_text(a, &part));
    }
    return buf_str(&text);
}

static void write_calls(struct arena *a, struct json_writer *w, const struct json *calls)
{
    if (json_count(calls) == 0)
        return;
    json_key_write(w, STR("tool_calls"));
    json_array_begin(w);
    json_each (call, calls) {
        const struct json *function = json_get(call, STR("function"));

        json_object_begin(w);
        json_key_write(w, STR("function"));
        json_object_begin(w);
        json_field_str(w, STR("name"), json_get_text(function, STR("name")));
        json_field_raw(w, STR("arguments"), llm_arguments_object(a, json_get(function, STR("arguments"))));
        json_object_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_message(struct arena *a, struct json_writer *w, const struct json *messages,
                          const struct json *message)
{
    struct str role = json_get_text(message, STR("role"));
    const struct json *content = json_get(message, STR("content"));

    json_object_begin(w);
    json_field_str(w, STR("role"), role);
    if (str_eq(role, STR("user"))) {
        json_field_str(w, STR("content"), user_text(a, content));
        if (json_is(content, JSON_ARRAY))
            write_images(w, content);
    } else {
        json_field_str(w, STR("content"), llm_content_text(a, content));
    }
    if (str_eq(role, STR("tool")))
        json_field_str(w, STR("tool_name"), llm_tool_name(messages, message));
    write_calls(a, w, json_get(message, STR("tool_calls")));
    json_object_end(w);
}

/* ---- the request ---- */

static void write_options(struct json_writer *w, const struct llm_ask *ask)
{
    const struct json *temperature = json_get(ask->body, STR("temperature"));
    const struct json *limit = json_get(ask->body, STR("max_tokens"));

    if (!json_is(limit, JSON_NUMBER))
        limit = json_get(ask->config, STR("max_tokens"));
    json_key_write(w, STR("options"));
    json_object_begin(w);
    if (json_is(temperature, JSON_NUMBER) && (ask->quirks & LLM_NO_TEMPERATURE) == 0)
        json_field_raw(w, STR("temperature"), json_raw(temperature));
    if (json_is(limit, JSON_NUMBER))
        json_field_raw(w, STR("num_predict"), json_raw(limit));
    json_object_end(w);
}

static void write_format(struct json_writer *w, const struct json *format)
{
    const struct json *schema = json_get(json_get(format, STR("json_schema")), STR("schema"));

    if (json_is(schema, JSON_OBJECT))
        json_field_raw(w, STR("format"), json_raw(schema));
    else if (str_eq(json_get_text(format, STR("type")), STR("json_object")))
        json_field_str(w, STR("format"), STR("json"));
}

static void ollama_request(struct arena *a, const struct llm_ask *ask, struct llm_http *http)
{
    const struct json *messages = json_get(ask->body, STR("messages"));
    const struct json *tools = json_get(ask->body, STR("tools"));
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_object_begin(&w);
    json_field_str(&w, STR("model"), json_get_text(ask->body, STR("model")));
    json_key_write(&w, STR("messages"));
    json_array_begin(&w);
    json_each (message, messages)
        write_message(a, &w, messages, message);
    json_array_end(&w);
    json_field_bool(&w, STR("stream"), true);
    write_options(&w, ask);
    if (json_count(tools) > 0)
        json_field_raw(&w, STR("tools"), json_raw(tools));
    write_format(&w, json_get(ask->body, STR("response_format")));
    json_object_end(&w);
    http->body = buf_str(&out);
    http->url = llm_url(a, ask->base, STR("/api/chat"));
    llm_http_headers(a, http, ask->key);
}

/* ---- the answer ---- */

/* Calls come whole, each in an element of its own, without ids. */
static int ollama_tools(struct llm_stream *s, const struct json *calls)
{
    json_each (call, calls) {
        const struct json *function = json_get(call, STR("function"));
        const struct json *arguments = json_get(function, STR("arguments"));
        struct llm_tool_part part = {
            .index = -1,
            .is_whole = true,
            .name = json_get_text(function, STR("name")),
            .arguments = json_is(arguments, JSON_OBJECT) ? json_raw(arguments) : json_text(arguments),
        };

        if (llm_stream_tool(s, &part) < 0)
            return -EPROTO;
    }
    return 0;
}

static void ollama_done(struct llm_stream *s, const struct json *chunk)
{
    s->is_done = true;
    s->finish = llm_finish_reason(json_get_text(chunk, STR("done_reason")));
    if (json_get(chunk, STR("eval_count")) == NULL && json_get(chunk, STR("prompt_eval_count")) == NULL)
        return;
    s->usage.is_known = true;
    s->usage.prompt = llm_token_count(chunk, STR("prompt_eval_count"));
    s->usage.completion = llm_token_count(chunk, STR("eval_count"));
    s->usage.total = s->usage.prompt + s->usage.completion;
}

static int ollama_chunk(struct llm_stream *s, const struct json *chunk)
{
    const struct json *message = json_get(chunk, STR("message"));

    if (json_type(json_get(chunk, STR("error"))) != JSON_NULL)
        return llm_stream_fail(s, llm_error_text(chunk));
    llm_stream_text(s, json_get_text(message, STR("content")));
    if (ollama_tools(s, json_get(message, STR("tool_calls"))) < 0)
        return -EPROTO;
    if (json_bool(json_get(chunk, STR("done"))))
        ollama_done(s, chunk);
    return 0;
}

const struct llm_codec llm_ollama = {
    .type = STR_INIT("ollama"),
    .base_default = STR_INIT("http://localhost:11434"),
    .framing = LLM_NDJSON,
    .timeout_s = 300,
    .retries = 2,
    .retries_answers = false,
    .request = ollama_request,
    .chunk = ollama_chunk,
};
