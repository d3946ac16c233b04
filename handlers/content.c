#include "handlers/content.h"

enum part_type { PART_TEXT, PART_IMAGE, PART_AUDIO, PART_FILE, PART_UNKNOWN };

static const char *const part_names[] = {"text", "image", "audio", "file"};

static enum part_type part_type(const struct json *part)
{
    struct str name = json_get_text(part, STR("type"));

    for (size_t i = 0; i < nelem(part_names); i++) {
        if (str_eq(name, str_from(part_names[i])))
            return (enum part_type)i;
    }
    return PART_UNKNOWN;
}

/* One part under check; the first thing wrong with it is said in error. */
struct part_check {
    const struct json *part;
    ssize_t index;
    struct content_error *error;
};

static int refuse(struct part_check *c, const char *member, const char *type, const char *msg,
                  const struct json *input)
{
    c->error->type = type;
    c->error->msg = str_from(msg);
    c->error->index = c->index;
    c->error->member = member;
    c->error->input = input;
    return -EINVAL;
}

static bool has(const struct json *part, const char *member)
{
    const struct json *v = json_get(part, str_from(member));

    return v != NULL && json_type(v) != JSON_NULL;
}

static bool text_is_storable(struct str text)
{
    return str_find_byte(text, '\0') < 0;
}

static int check_text(struct part_check *c, const char *member, bool is_required)
{
    const struct json *v = json_get(c->part, str_from(member));

    if (!has(c->part, member))
        return is_required && v == NULL ? refuse(c, member, "missing", "Field required", c->part)
               : is_required ? refuse(c, member, "string_type", "Input should be a valid string", v)
                             : 0;
    if (json_type(v) != JSON_STRING)
        return refuse(c, member, "string_type", "Input should be a valid string", v);
    if (!text_is_storable(json_text(v)))
        return refuse(c, member, "value_error", "Value error, NUL characters are not allowed", v);
    return 0;
}

static bool is_format(struct str format)
{
    if (format.n < 1 || format.n > 10)
        return false;
    for (size_t i = 0; i < format.n; i++) {
        char ch = format.p[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')))
            return false;
    }
    return true;
}

static int check_image(struct part_check *c)
{
    static const char *const details[] = {"low", "high", "auto"};
    const struct json *detail = json_get(c->part, STR("detail"));
    struct str image;

    if (check_text(c, "image", true) < 0)
        return -EINVAL;
    image = json_get_text(c->part, STR("image"));
    if (!str_starts(image, STR("https://")) && !str_starts(image, STR("http://")) &&
        !str_starts(image, STR("data:")))
        return refuse(c, "image", "value_error", "Value error, image must be a URL or a data: URL",
                      json_get(c->part, STR("image")));
    for (size_t i = 0; has(c->part, "detail") && i <= nelem(details); i++) {
        if (i == nelem(details))
            return refuse(c, "detail", "literal_error", "Input should be 'low', 'high' or 'auto'", detail);
        if (str_eq(json_text(detail), str_from(details[i])))
            break;
    }
    return 0;
}

static int check_audio(struct part_check *c)
{
    if (check_text(c, "format", true) < 0 || check_text(c, "data", false) < 0 ||
        check_text(c, "url", false) < 0)
        return -EINVAL;
    if (!is_format(json_get_text(c->part, STR("format"))))
        return refuse(c, "format", "string_pattern_mismatch",
                      "String should match pattern '^[a-z0-9]{1,10}$'", json_get(c->part, STR("format")));
    if (!has(c->part, "data") && !has(c->part, "url"))
        return refuse(c, NULL, "value_error", "Value error, audio needs data or url", c->part);
    return 0;
}

static int check_file(struct part_check *c)
{
    static const char *const members[] = {"file_data", "file_url", "file_id", "filename", "mime_type"};

    for (size_t i = 0; i < nelem(members); i++) {
        if (check_text(c, members[i], false) < 0)
            return -EINVAL;
    }
    if (!has(c->part, "file_data") && !has(c->part, "file_url") && !has(c->part, "file_id"))
        return refuse(c, NULL, "value_error", "Value error, file needs file_data, file_url or file_id",
                      c->part);
    return 0;
}

static int check_part(struct part_check *c)
{
    if (json_is(c->part, JSON_STRING))
        return text_is_storable(json_text(c->part))
                   ? 0
                   : refuse(c, NULL, "value_error", "Value error, NUL characters are not allowed", c->part);
    if (!json_is(c->part, JSON_OBJECT))
        return refuse(c, NULL, "model_attributes_type",
                      "Input should be a valid dictionary or object to extract fields from", c->part);
    if (json_get(c->part, STR("type")) == NULL)
        return refuse(c, "type", "missing", "Field required", c->part);
    switch (part_type(c->part)) {
    case PART_TEXT:
        return check_text(c, "text", true);
    case PART_IMAGE:
        return check_image(c);
    case PART_AUDIO:
        return check_audio(c);
    case PART_FILE:
        return check_file(c);
    case PART_UNKNOWN:
        break;
    }
    return refuse(c, "type", "literal_error", "Input should be 'text', 'image', 'audio' or 'file'",
                  json_get(c->part, STR("type")));
}

/* ---- the stored and the live form ---- */

static void write_text_part(struct json_writer *w, struct str text)
{
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("text"));
    json_field_str(w, STR("text"), text);
    json_object_end(w);
}

static void write_part(struct json_writer *w, const struct json *part)
{
    if (json_is(part, JSON_STRING)) {
        write_text_part(w, json_text(part));
        return;
    }
    json_object_begin(w);
    json_each_member (m, part) {
        if (json_get(part, json_text(json_key(m))) != json_value(m) || json_is(json_value(m), JSON_NULL))
            continue; /* null, or overridden by a later member of that name */
        json_key_write(w, json_text(json_key(m)));
        json_write_value(w, json_value(m));
    }
    json_object_end(w);
}

/* The text that stands for inline data that is not stored, or STR_NONE when the part is stored as it is. */
static struct str stripped_text(struct arena *a, const struct json *part)
{
    switch (json_is(part, JSON_OBJECT) ? part_type(part) : PART_UNKNOWN) {
    case PART_IMAGE:
        if (str_starts(json_get_text(part, STR("image")), STR("data:")))
            return STR("[An image was sent inline and is no longer available.]");
        return STR_NONE;
    case PART_AUDIO:
        if (has(part, "data") && !has(part, "url"))
            return arena_strf(a, "[" STR_FMT " audio was sent inline and is no longer available.]",
                              STR_ARG(json_get_text(part, STR("format"))));
        return STR_NONE;
    case PART_FILE:
        if (has(part, "file_data") && !has(part, "file_url") && !has(part, "file_id"))
            return has(part, "filename")
                       ? arena_strf(a, "['" STR_FMT "' was sent inline and is no longer available.]",
                                    STR_ARG(json_get_text(part, STR("filename"))))
                       : STR("[A file was sent inline and is no longer available.]");
        return STR_NONE;
    case PART_TEXT:
    case PART_UNKNOWN:
        break;
    }
    return STR_NONE;
}

static struct str write_parts(struct arena *a, const struct json *parts, bool strip_inline)
{
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_array_begin(&w);
    json_each (part, parts) {
        struct str note = strip_inline ? stripped_text(a, part) : STR_NONE;

        if (str_is_none(note))
            write_part(&w, part);
        else
            write_text_part(&w, note);
    }
    json_array_end(&w);
    return buf_str(&b);
}

int content_parse(struct arena *a, const struct json *value, bool strip_inline, struct content *content,
                  struct content_error *error)
{
    struct part_check c = {.error = error};

    *error = (struct content_error){.index = -1, .input = value};
    if (json_is(value, JSON_STRING)) {
        *content = (struct content){.stored = json_text(value), .live = json_text(value)};
        if (text_is_storable(content->stored))
            return 0;
        error->type = "value_error";
        error->msg = STR("Value error, NUL characters are not allowed");
        return -EINVAL;
    }
    if (!json_is(value, JSON_ARRAY)) {
        error->type = "string_type";
        error->msg = STR("Input should be a valid string");
        return -EINVAL;
    }
    if (json_count(value) == 0) {
        error->type = "too_short";
        error->msg = STR("List should have at least 1 item after validation, not 0");
        return -EINVAL;
    }
    json_each (part, value) {
        c.part = part;
        if (check_part(&c) < 0)
            return -EINVAL;
        c.index++;
    }
    content->is_parts = true;
    content->live = write_parts(a, value, false);
    content->stored = strip_inline ? write_parts(a, value, true) : content->live;
    return 0;
}

bool content_looks_like_parts(struct arena *a, struct str text)
{
    const struct json *root;
    struct json_error error;

    if (text.n == 0 || text.p[0] != '[' || json_parse(a, text, &root, &error) < 0 || json_count(root) == 0)
        return false;
    json_each (part, root) {
        if (!json_is(part, JSON_OBJECT) || part_type(part) == PART_UNKNOWN)
            return false;
    }
    return true;
}

struct str content_storable(struct arena *a, struct str text)
{
    struct buf b;

    if (str_find_byte(text, '\0') < 0)
        return text;
    buf_init_arena(&b, a);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\0')
            buf_add(&b, STR("\xef\xbf\xbd"));
        else
            buf_add_byte(&b, text.p[i]);
    }
    return buf_str(&b);
}
