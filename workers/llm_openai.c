#include "workers/llm_openai.h"

#include "workers/llm_parts.h"
#include "workers/llm_stream.h"

/* ---- content parts ---- */

void llm_openai_text_part(struct json_writer *w, struct str text)
{
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("text"));
    json_field_str(w, STR("text"), str_is_none(text) ? STR("") : text);
    json_object_end(w);
}

static void part_image(struct json_writer *w, const struct llm_part *part)
{
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("image_url"));
    json_key_write(w, STR("image_url"));
    json_object_begin(w);
    json_field_str(w, STR("url"), part->url);
    json_field_str(w, STR("detail"), part->detail.n != 0 ? part->detail : STR("auto"));
    json_object_end(w);
    json_object_end(w);
}

static void part_audio(struct arena *a, struct json_writer *w, const struct llm_part *part)
{
    if (!str_eq(part->format, STR("wav")) && !str_eq(part->format, STR("mp3"))) {
        llm_openai_text_part(w, llm_part_lost_note(a, part));
        return;
    }
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("input_audio"));
    json_key_write(w, STR("input_audio"));
    json_object_begin(w);
    json_field_str(w, STR("data"), part->data);
    json_field_str(w, STR("format"), part->format);
    json_object_end(w);
    json_object_end(w);
}

static void part_file_id(struct json_writer *w, const struct llm_part *part)
{
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("file"));
    json_key_write(w, STR("file"));
    json_object_begin(w);
    json_field_str(w, STR("file_id"), part->file_id);
    json_object_end(w);
    json_object_end(w);
}

static void part_file_data(struct arena *a, struct json_writer *w, const struct llm_part *part)
{
    if (!llm_part_is_pdf(part)) {
        llm_openai_text_part(w, llm_part_as_text(a, part));
        return;
    }
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("file"));
    json_key_write(w, STR("file"));
    json_object_begin(w);
    json_field_str(w, STR("filename"), part->filename.n != 0 ? part->filename : STR("file.pdf"));
    json_field_str(w, STR("file_data"),
                   arena_strf(a, "data:application/pdf;base64," STR_FMT, STR_ARG(part->data)));
    json_object_end(w);
    json_object_end(w);
}

static void openai_part(struct arena *a, struct json_writer *w, const struct json *item)
{
    struct llm_part part = llm_part_read(item);

    switch (part.kind) {
    case LLM_PART_IMAGE_URL:
        part_image(w, &part);
        llm_openai_text_part(w, llm_part_url_note(a, &part));
        return;
    case LLM_PART_IMAGE_DATA:
        part_image(w, &part);
        return;
    case LLM_PART_AUDIO_DATA:
        part_audio(a, w, &part);
        return;
    case LLM_PART_FILE_ID:
        part_file_id(w, &part);
        return;
    case LLM_PART_FILE_DATA:
        part_file_data(a, w, &part);
        return;
    default:
        llm_openai_text_part(w, llm_part_as_text(a, &part));
    }
}

/* ---- messages ---- */

static void write_user_content(struct arena *a, struct json_writer *w,
                               const struct llm_openai_dialect *dialect, const struct json *content)
{
    if (!json_is(content, JSON_ARRAY)) {
        json_write_str(w, llm_content_text(a, content));
        return;
    }
    json_array_begin(w);
    json_each (item, content)
        dialect->part(a, w, item);
    json_array_end(w);
}

static void write_calls(struct arena *a, struct json_writer *w, const struct llm_openai_dialect *dialect,
                        const struct json *calls)
{
    json_key_write(w, STR("tool_calls"));
    json_array_begin(w);
    json_each (call, calls) {
        const struct json *function = json_get(call, STR("function"));
        const struct json *arguments = json_get(function, STR("arguments"));

        json_object_begin(w);
        json_field_str(w, STR("id"), dialect->call_id(a, json_get_text(call, STR("id"))));
        json_field_str(w, STR("type"), STR("function"));
        json_key_write(w, STR("function"));
        json_object_begin(w);
        json_field_str(w, STR("name"), json_get_text(function, STR("name")));
        json_field_str(w, STR("arguments"),
                       json_is(arguments, JSON_STRING) ? json_text(arguments)
                                                       : llm_arguments_object(a, arguments));
        json_object_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_assistant(struct arena *a, struct json_writer *w, const struct llm_openai_dialect *dialect,
                            const struct json *message)
{
    const struct json *content = json_get(message, STR("content"));
    const struct json *calls = json_get(message, STR("tool_calls"));

    json_key_write(w, STR("content"));
    if (json_type(content) == JSON_NULL && json_count(calls) > 0)
        json_write_null(w);
    else
        json_write_str(w, llm_content_text(a, content));
    if (json_count(calls) > 0)
        write_calls(a, w, dialect, calls);
}

static void write_message(struct arena *a, struct json_writer *w, const struct llm_openai_dialect *dialect,
                          const struct json *messages, const struct json *message)
{
    struct str role = json_get_text(message, STR("role"));
    const struct json *content = json_get(message, STR("content"));

    json_object_begin(w);
    json_field_str(w, STR("role"), role);
    if (str_eq(role, STR("assistant"))) {
        write_assistant(a, w, dialect, message);
    } else if (str_eq(role, STR("tool"))) {
        json_field_str(w, STR("tool_call_id"),
                       dialect->call_id(a, json_get_text(message, STR("tool_call_id"))));
        if (dialect->names_tool_rows)
            json_field_str(w, STR("name"), llm_tool_name(messages, message));
        json_field_str(w, STR("content"), llm_content_text(a, content));
    } else if (str_eq(role, STR("user"))) {
        json_key_write(w, STR("content"));
        write_user_content(a, w, dialect, content);
    } else {
        json_field_str(w, STR("content"), llm_content_text(a, content));
    }
    json_object_end(w);
}

/* ---- the request ---- */

static const struct json *max_tokens(const struct llm_ask *ask)
{
    const struct json *n = json_get(ask->body, STR("max_tokens"));

    return json_is(n, JSON_NUMBER) ? n : json_get(ask->config, STR("max_tokens"));
}

static bool wants_usage(const struct llm_ask *ask)
{
    const struct json *wish = json_get(ask->config, STR("stream_usage"));

    return (ask->quirks & LLM_NO_STREAM_OPTIONS) == 0 && (!json_is(wish, JSON_BOOL) || json_bool(wish));
}

static void write_numbers(struct json_writer *w, const struct llm_ask *ask)
{
    const struct json *temperature = json_get(ask->body, STR("temperature"));
    const struct json *limit = max_tokens(ask);

    if (json_is(temperature, JSON_NUMBER) && (ask->quirks & LLM_NO_TEMPERATURE) == 0)
        json_field_raw(w, STR("temperature"), json_raw(temperature));
    if (json_is(limit, JSON_NUMBER))
        json_field_raw(w,
                       (ask->quirks & LLM_MAX_COMPLETION_TOKENS) != 0 ? STR("max_completion_tokens")
                                                                      : STR("max_tokens"),
                       json_raw(limit));
}

static void write_tools(struct json_writer *w, const struct json *body)
{
    const struct json *choice = json_get(body, STR("tool_choice"));

    if (json_count(json_get(body, STR("tools"))) == 0)
        return;
    json_field_raw(w, STR("tools"), json_raw(json_get(body, STR("tools"))));
    json_field_raw(w, STR("tool_choice"), choice != NULL ? json_raw(choice) : STR("\"auto\""));
}

static void write_body(struct arena *a, struct json_writer *w, const struct llm_ask *ask,
                       const struct llm_openai_dialect *dialect)
{
    const struct json *messages = json_get(ask->body, STR("messages"));
    const struct json *format = json_get(ask->body, STR("response_format"));

    json_object_begin(w);
    json_field_str(w, STR("model"), json_get_text(ask->body, STR("model")));
    json_key_write(w, STR("messages"));
    json_array_begin(w);
    json_each (message, messages)
        write_message(a, w, dialect, messages, message);
    json_array_end(w);
    write_numbers(w, ask);
    write_tools(w, ask->body);
    json_field_bool(w, STR("stream"), true);
    if (dialect->is_openai && wants_usage(ask))
        json_field_raw(w, STR("stream_options"), STR("{\"include_usage\":true}"));
    if (json_is(format, JSON_OBJECT))
        json_field_raw(w, STR("response_format"), json_raw(format));
    json_object_end(w);
}

void llm_openai_request(struct arena *a, const struct llm_ask *ask, const struct llm_openai_dialect *dialect,
                        struct llm_http *http)
{
    struct str organization = json_get_text(ask->config, STR("organization_id"));
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    write_body(a, &w, ask, dialect);
    http->body = buf_str(&out);
    http->url = llm_url(a, ask->base, STR("/chat/completions"));
    llm_http_headers(a, http, ask->key);
    if (dialect->is_openai && organization.n != 0)
        llm_http_header(http, arena_strf(a, "OpenAI-Organization: " STR_FMT, STR_ARG(organization)));
}

static struct str same_id(struct arena *a UNUSED, struct str id)
{
    return id;
}

static void openai_request(struct arena *a, const struct llm_ask *ask, struct llm_http *http)
{
    static const struct llm_openai_dialect dialect = {
        .part = openai_part,
        .call_id = same_id,
        .is_openai = true,
    };

    llm_openai_request(a, ask, &dialect, http);
}

/* ---- the answer ---- */

int llm_openai_tools(struct llm_stream *s, const struct json *calls)
{
    json_each (call, calls) {
        const struct json *function = json_get(call, STR("function"));
        const struct json *arguments = json_get(function, STR("arguments"));
        struct llm_tool_part part = {
            .index = -1,
            .id = json_get_text(call, STR("id")),
            .name = json_get_text(function, STR("name")),
            .arguments = json_is(arguments, JSON_OBJECT) ? json_raw(arguments) : json_text(arguments),
        };

        if (json_i64(json_get(call, STR("index")), &part.index) < 0 || part.index < 0)
            part.index = -1;
        if (llm_stream_tool(s, &part) < 0)
            return -EPROTO;
    }
    return 0;
}

void llm_openai_usage(struct llm_stream *s, const struct json *usage)
{
    struct llm_usage *u = &s->usage;

    if (!json_is(usage, JSON_OBJECT))
        return;
    u->is_known = true;
    u->prompt = llm_token_count(usage, STR("prompt_tokens"));
    u->completion = llm_token_count(usage, STR("completion_tokens"));
    u->total = llm_token_count(usage, STR("total_tokens"));
    if (u->total == 0)
        u->total = u->prompt + u->completion;
}

int llm_openai_chunk_with(struct llm_stream *s, const struct json *chunk,
                          void (*content)(struct llm_stream *s, const struct json *content))
{
    const struct json *error = json_get(chunk, STR("error"));
    const struct json *choice = json_at(json_get(chunk, STR("choices")), 0);
    const struct json *delta = json_get(choice, STR("delta"));
    struct str reason = json_get_text(choice, STR("finish_reason"));

    if (json_type(error) != JSON_NULL)
        return llm_stream_fail(s, llm_error_text(chunk));
    llm_openai_usage(s, json_get(chunk, STR("usage")));
    content(s, json_get(delta, STR("content")));
    if (llm_openai_tools(s, json_get(delta, STR("tool_calls"))) < 0)
        return -EPROTO;
    if (reason.n != 0)
        s->finish = llm_finish_reason(reason);
    return 0;
}

static void openai_content(struct llm_stream *s, const struct json *content)
{
    llm_stream_text(s, json_text(content));
}

static int openai_chunk(struct llm_stream *s, const struct json *chunk)
{
    return llm_openai_chunk_with(s, chunk, openai_content);
}

const struct llm_codec llm_openai = {
    .type = STR_INIT("openai"),
    .base_default = STR_INIT("https://api.openai.com/v1"),
    .framing = LLM_SSE,
    .timeout_s = 600,
    .retries = 2,
    .retries_answers = true,
    .request = openai_request,
    .chunk = openai_chunk,
};
