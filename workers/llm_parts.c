#include "workers/llm_parts.h"

#include "base/base64.h"

/* data:<mime>;base64,<data> taken apart; false: another kind of URL. */
static bool data_url(struct str url, struct str *mime, struct str *data)
{
    struct str rest = url, head;

    if (!str_starts(url, STR("data:")))
        return false;
    head = str_cut(&rest, ',');
    head = str_from_offset(head, 5);
    *mime = str_cut(&head, ';');
    *data = str_is_none(rest) ? STR("") : rest;
    return true;
}

static struct llm_part part_image(const struct json *v)
{
    const struct json *image = json_get(v, STR("image_url"));
    struct llm_part part = {.kind = LLM_PART_IMAGE_URL};

    part.url = json_get_text(v, STR("image"));
    part.detail = json_get_text(v, STR("detail"));
    if (json_is(image, JSON_STRING))
        part.url = json_text(image);
    if (json_is(image, JSON_OBJECT)) {
        part.url = json_get_text(image, STR("url"));
        part.detail = json_get_text(image, STR("detail"));
    }
    if (data_url(part.url, &part.mime, &part.data))
        part.kind = LLM_PART_IMAGE_DATA;
    return part;
}

static struct llm_part part_audio(const struct json *v)
{
    const struct json *inner = json_get(v, STR("input_audio"));
    struct llm_part part = {.kind = LLM_PART_AUDIO_DATA};
    struct str mime;

    if (inner == NULL)
        inner = v;
    part.format = json_get_text(inner, STR("format"));
    part.data = json_get_text(inner, STR("data"));
    part.url = json_get_text(inner, STR("url"));
    (void)data_url(part.data, &mime, &part.data);
    if (part.data.n == 0)
        part.kind = LLM_PART_AUDIO_URL;
    return part;
}

static struct llm_part part_file(const struct json *v)
{
    const struct json *inner = json_get(v, STR("file"));
    struct llm_part part = {.kind = LLM_PART_FILE_DATA};

    if (!json_is(inner, JSON_OBJECT))
        inner = v;
    part.url = json_get_text(inner, STR("file_url"));
    part.file_id = json_get_text(inner, STR("file_id"));
    part.data = json_get_text(inner, STR("file_data"));
    part.filename = json_get_text(inner, STR("filename"));
    part.mime = json_get_text(inner, STR("mime_type"));
    (void)data_url(part.data, &part.mime, &part.data);
    if (part.url.n != 0)
        part.kind = LLM_PART_FILE_URL;
    else if (part.file_id.n != 0)
        part.kind = LLM_PART_FILE_ID;
    return part;
}

struct llm_part llm_part_read(const struct json *v)
{
    struct str type = json_get_text(v, STR("type"));

    if (json_is(v, JSON_STRING))
        return (struct llm_part){.kind = LLM_PART_TEXT, .text = json_text(v)};
    if (str_eq(type, STR("text")))
        return (struct llm_part){.kind = LLM_PART_TEXT, .text = json_get_text(v, STR("text"))};
    if (str_eq(type, STR("image")) || str_eq(type, STR("image_url")))
        return part_image(v);
    if (str_eq(type, STR("audio")) || str_eq(type, STR("input_audio")))
        return part_audio(v);
    if (str_eq(type, STR("file")))
        return part_file(v);
    return (struct llm_part){.kind = LLM_PART_UNKNOWN, .text = type};
}

static struct str part_name(const struct llm_part *part)
{
    return part->filename.n != 0 ? part->filename : STR("without a name");
}

struct str llm_part_url_note(struct arena *a, const struct llm_part *part)
{
    switch (part->kind) {
    case LLM_PART_IMAGE_URL:
        return arena_strf(a, "Image URL: " STR_FMT, STR_ARG(part->url));
    case LLM_PART_AUDIO_URL:
        return arena_strf(a, "Audio (" STR_FMT ") URL: " STR_FMT, STR_ARG(part->format), STR_ARG(part->url));
    default:
        if (part->filename.n == 0)
            return arena_strf(a, "File URL: " STR_FMT, STR_ARG(part->url));
        return arena_strf(a, "File '" STR_FMT "' URL: " STR_FMT, STR_ARG(part->filename), STR_ARG(part->url));
    }
}

struct str llm_part_lost_note(struct arena *a, const struct llm_part *part)
{
    switch (part->kind) {
    case LLM_PART_IMAGE_URL:
    case LLM_PART_IMAGE_DATA:
        return STR("(An image was attached, but this model cannot take it.)");
    case LLM_PART_AUDIO_URL:
    case LLM_PART_AUDIO_DATA:
        return arena_strf(a,
                          "(An audio recording (" STR_FMT ") was attached, but this model cannot take it.)",
                          STR_ARG(part->format));
    case LLM_PART_UNKNOWN:
    case LLM_PART_TEXT:
        return STR("(Something was attached that this model cannot take.)");
    default:
        return arena_strf(a, "(A file " STR_FMT " was attached, but this model cannot take it.)",
                          STR_ARG(part_name(part)));
    }
}

bool llm_part_is_pdf(const struct llm_part *part)
{
    return str_ieq(part->mime, STR("application/pdf")) || str_starts(part->data, STR("JVBERi0"));
}

struct str llm_part_file_text(struct arena *a, const struct llm_part *part)
{
    struct str bytes;

    if (base64_decode(a, BASE64_STANDARD, part->data, &bytes) < 0 &&
        base64_decode(a, BASE64_STANDARD_UNPADDED, part->data, &bytes) < 0)
        return STR_NONE;
    if (!str_is_utf8(bytes) || str_find_byte(bytes, '\0') >= 0)
        return STR_NONE;
    return arena_strf(a, "File " STR_FMT ":\n" STR_FMT, STR_ARG(part_name(part)), STR_ARG(bytes));
}

struct str llm_part_as_text(struct arena *a, const struct llm_part *part)
{
    struct str text;

    switch (part->kind) {
    case LLM_PART_TEXT:
        return part->text;
    case LLM_PART_IMAGE_URL:
    case LLM_PART_AUDIO_URL:
    case LLM_PART_FILE_URL:
        return llm_part_url_note(a, part);
    case LLM_PART_FILE_DATA:
        text = llm_part_file_text(a, part);
        return str_is_none(text) ? llm_part_lost_note(a, part) : text;
    default:
        return llm_part_lost_note(a, part);
    }
}

struct str llm_content_text(struct arena *a, const struct json *content)
{
    struct buf text;

    if (!json_is(content, JSON_ARRAY))
        return json_is(content, JSON_STRING) ? json_text(content) : STR("");
    buf_init_arena(&text, a);
    json_each (item, content) {
        struct llm_part part = llm_part_read(item);

        if (buf_size(&text) > 0)
            buf_add_byte(&text, '\n');
        buf_add(&text, llm_part_as_text(a, &part));
    }
    return buf_str(&text);
}

struct str llm_tool_name(const struct json *messages, const struct json *row)
{
    struct str name = json_get_text(row, STR("name"));
    struct str id = json_get_text(row, STR("tool_call_id"));

    if (name.n != 0)
        return name;
    json_each (message, messages) {
        json_each (call, json_get(message, STR("tool_calls"))) {
            if (str_eq(json_get_text(call, STR("id")), id))
                name = json_get_text(json_get(call, STR("function")), STR("name"));
        }
    }
    return name;
}

struct str llm_arguments_object(struct arena *a, const struct json *arguments)
{
    const struct json *value = arguments;
    struct json_error error;
    struct json_writer w;
    struct buf out;

    if (json_is(arguments, JSON_STRING) && json_parse(a, json_text(arguments), &value, &error) < 0)
        return STR("{}");
    if (!json_is(value, JSON_OBJECT))
        return STR("{}");
    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_write_value(&w, value);
    return buf_str(&out);
}
