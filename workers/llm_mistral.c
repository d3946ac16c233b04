#include "workers/llm_mistral.h"

#include "workers/llm_openai.h"
#include "workers/llm_parts.h"
#include "workers/llm_stream.h"

enum { CALL_ID_SIZE = 9 };

/* {"type": name, name: value} */
static void part_simple(struct json_writer *w, struct str name, struct str value)
{
    json_object_begin(w);
    json_field_str(w, STR("type"), name);
    json_field_str(w, name, value);
    json_object_end(w);
}

/* The provider cannot reach what only our own containers can. */
static bool is_our_own_url(struct str url)
{
    ssize_t host = str_find(url, STR("://"));

    return host >= 0 && str_starts(str_from_offset(url, (size_t)host + 3), STR("host.docker.internal"));
}

static void part_file_url(struct arena *a, struct json_writer *w, const struct llm_part *part)
{
    if (!is_our_own_url(part->url)) {
        json_object_begin(w);
        json_field_str(w, STR("type"), STR("document_url"));
        json_field_str(w, STR("document_url"), part->url);
        if (part->filename.n != 0)
            json_field_str(w, STR("document_name"), part->filename);
        json_object_end(w);
    }
    llm_openai_text_part(w, llm_part_url_note(a, part));
}

static void mistral_part(struct arena *a, struct json_writer *w, const struct json *item)
{
    struct llm_part part = llm_part_read(item);

    switch (part.kind) {
    case LLM_PART_IMAGE_URL:
        part_simple(w, STR("image_url"), part.url);
        llm_openai_text_part(w, llm_part_url_note(a, &part));
        return;
    case LLM_PART_IMAGE_DATA:
        part_simple(w, STR("image_url"), part.url);
        return;
    case LLM_PART_AUDIO_DATA:
        part_simple(w, STR("input_audio"), part.data);
        return;
    case LLM_PART_FILE_URL:
        part_file_url(a, w, &part);
        return;
    default:
        llm_openai_text_part(w, llm_part_as_text(a, &part));
    }
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Nine letters or digits; ids of other providers, after a switch, become such. */
static struct str mistral_call_id(struct arena *a, struct str id)
{
    bool is_fit = id.n == CALL_ID_SIZE;

    for (size_t i = 0; i < id.n && is_fit; i++)
        is_fit = is_alphanumeric(id.p[i]);
    return is_fit ? id : llm_id_hashed(a, id, CALL_ID_SIZE);
}

static void mistral_request(struct arena *a, const struct llm_ask *ask, struct llm_http *http)
{
    static const struct llm_openai_dialect dialect = {
        .part = mistral_part,
        .call_id = mistral_call_id,
        .names_tool_rows = true,
    };

    llm_openai_request(a, ask, &dialect, http);
}

/* A text, or typed chunks of which only texts are for the user. */
static void mistral_content(struct llm_stream *s, const struct json *content)
{
    if (!json_is(content, JSON_ARRAY)) {
        llm_stream_text(s, json_text(content));
        return;
    }
    json_each (chunk, content) {
        if (str_eq(json_get_text(chunk, STR("type")), STR("text")))
            llm_stream_text(s, json_get_text(chunk, STR("text")));
    }
}

static int mistral_chunk(struct llm_stream *s, const struct json *chunk)
{
    return llm_openai_chunk_with(s, chunk, mistral_content);
}

const struct llm_codec llm_mistral = {
    .type = STR_INIT("mistral"),
    .base_default = STR_INIT("https://api.mistral.ai/v1"),
    .framing = LLM_SSE,
    .timeout_s = 600,
    .retries = 2,
    .retries_answers = true,
    .request = mistral_request,
    .chunk = mistral_chunk,
};
