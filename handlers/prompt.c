#include "handlers/prompt.h"

#include "base/json_schema.h"

static void add_paragraph(struct buf *b, struct str text)
{
    if (text.n == 0)
        return;
    if (buf_size(b) != 0)
        buf_add(b, STR("\n\n"));
    buf_add(b, text);
}

static void add_skills(struct arena *a, struct buf *b, struct str skills)
{
    const struct json *list;
    struct json_error error;

    if (skills.n == 0 || json_parse(a, arena_strf(a, "[" STR_FMT "]", STR_ARG(skills)), &list, &error) < 0)
        return;
    add_paragraph(b, STR("# Skills"));
    json_each (skill, list) {
        add_paragraph(b, arena_strf(a, "## " STR_FMT, STR_ARG(json_get_text(skill, STR("name")))));
        add_paragraph(b, json_get_text(skill, STR("content")));
    }
}

static void add_line(struct buf *b, unsigned depth)
{
    buf_add_byte(b, '\n');
    for (unsigned i = 0; i < depth; i++)
        buf_add(b, STR("  "));
}

/* Indented JSON. The parser bounds the depth, but not the frames: a place per level on the arena. */
static void add_pretty(struct arena *a, struct buf *b, const struct json *root)
{
    struct level {
        const struct json *parent, *next;
    } *levels = arena_alloc(a, (JSON_DEPTH_MAX + 1) * sizeof(*levels));
    unsigned depth = 0;
    const struct json *v = root;

    for (;;) {
        bool is_object = json_is(v, JSON_OBJECT);

        if ((is_object || json_is(v, JSON_ARRAY)) && json_count(v) != 0) {
            buf_add_byte(b, is_object ? '{' : '[');
            levels[depth++] = (struct level){v, json_first(v)};
        } else {
            struct json_writer w;

            json_write_init(&w, b);
            json_write_value(&w, v);
        }
        while (depth > 0 && levels[depth - 1].next == NULL) {
            bool was_object = json_is(levels[depth - 1].parent, JSON_OBJECT);

            depth--;
            add_line(b, depth);
            buf_add_byte(b, was_object ? '}' : ']');
        }
        if (depth == 0)
            return;
        {
            struct level *level = &levels[depth - 1];
            const struct json *item = level->next;
            bool in_object = json_is(level->parent, JSON_OBJECT);

            if (item != json_first(level->parent))
                buf_add_byte(b, ',');
            add_line(b, depth);
            if (in_object) {
                json_quote(b, json_text(json_key(item)));
                buf_add(b, STR(": "));
            }
            level->next = json_next(level->parent, item);
            v = in_object ? json_value(item) : item;
        }
    }
}

static void add_output_schema(struct arena *a, struct buf *b, struct str schema)
{
    const struct json *root;
    struct json_error error;

    if (schema.n == 0 || json_parse(a, schema, &root, &error) < 0)
        return;
    add_paragraph(
        b, STR("Answer only with JSON that is valid for this JSON Schema, without any other text:\n\n"));
    add_pretty(a, b, root);
}

struct str prompt_system(struct arena *a, const struct prompt *p)
{
    struct buf b;

    buf_init_arena(&b, a);
    add_paragraph(&b, p->system_prompt);
    add_skills(a, &b, p->preloaded_skills);
    add_output_schema(a, &b, p->output_schema);
    return buf_str(&b);
}

static bool lists_all(const struct json *required, const struct json *properties)
{
    json_each_member (property, properties) {
        bool is_listed = false;

        json_each (name, required)
            is_listed = is_listed || str_eq(json_text(name), json_text(json_key(property)));
        if (!is_listed)
            return false;
    }
    return true;
}

static bool object_is_strict(const struct json *schema, bool is_root)
{
    const struct json *additional = json_get(schema, STR("additionalProperties"));
    const struct json *properties = json_get(schema, STR("properties"));

    if (properties == NULL && !str_eq(json_get_text(schema, STR("type")), STR("object")))
        return true;
    if (additional == NULL ? !is_root : !json_is(additional, JSON_BOOL) || json_bool(additional))
        return false;
    return lists_all(json_get(schema, STR("required")), properties);
}

/* Every object level closed and complete (§8.5): each node that looks like an object schema is asked. */
static bool schema_is_strict(struct arena *a, const struct json *root)
{
    struct level {
        const struct json *parent, *next;
    } *levels = arena_alloc(a, (JSON_DEPTH_MAX + 1) * sizeof(*levels));
    unsigned depth = 0;
    const struct json *v = root;

    for (;;) {
        if (json_is(v, JSON_OBJECT) && !object_is_strict(v, v == root))
            return false;
        if (json_count(v) != 0)
            levels[depth++] = (struct level){v, json_first(v)};
        while (depth > 0 && levels[depth - 1].next == NULL)
            depth--;
        if (depth == 0)
            return true;
        {
            struct level *level = &levels[depth - 1];
            const struct json *item = level->next;

            level->next = json_next(level->parent, item);
            v = json_is(level->parent, JSON_OBJECT) ? json_value(item) : item;
        }
    }
}

static struct str format_name(struct arena *a, struct str agent_name)
{
    struct buf b;

    buf_init_arena(&b, a);
    for (size_t i = 0; i < agent_name.n; i++) {
        char c = agent_name.p[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        buf_add_byte(&b, (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_');
    }
    buf_add(&b, STR("_response"));
    return buf_str(&b);
}

struct str prompt_response_format(struct arena *a, struct str agent_name, struct str output_schema)
{
    const struct json *schema;
    struct json_error error;
    struct json_writer w;
    struct buf b;

    if (json_parse(a, output_schema, &schema, &error) < 0)
        return STR_NONE;
    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, STR("type"), STR("json_schema"));
    json_key_write(&w, STR("json_schema"));
    json_object_begin(&w);
    json_field_str(&w, STR("name"), format_name(a, agent_name));
    json_field_bool(&w, STR("strict"), schema_is_strict(a, schema));
    json_key_write(&w, STR("schema"));
    json_object_begin(&w);
    json_each_member (m, schema) {
        json_key_write(&w, json_text(json_key(m)));
        json_write_value(&w, json_value(m));
    }
    if (json_get(schema, STR("additionalProperties")) == NULL)
        json_field_bool(&w, STR("additionalProperties"), false);
    json_object_end(&w);
    json_object_end(&w);
    json_object_end(&w);
    return buf_str(&b);
}

/* Models like to put ```json … ``` around an answer. */
static struct str without_fence(struct str answer)
{
    ssize_t at;

    answer = str_trim(answer);
    if (!str_starts(answer, STR("```")) || !str_ends(answer, STR("```")) || answer.n < 6)
        return answer;
    answer.n -= 3;
    at = str_find_byte(answer, '\n');
    return str_trim(str_from_offset(answer, at >= 0 ? (size_t)at : 3));
}

int prompt_output_check(struct arena *a, struct str output_schema, struct str answer, struct str *reason)
{
    static const struct json_schema_options options = {.assert_format = true};
    struct json_schema_error invalid;
    struct json_schema *compiled;
    struct json_error error;
    const struct json *schema, *value;
    int rc;

    if (json_parse(a, output_schema, &schema, &error) < 0 ||
        json_schema_compile(a, schema, &options, &compiled, reason) < 0)
        return 0; /* a schema that cannot be checked asks for nothing */
    if (json_parse(a, without_fence(answer), &value, &error) < 0) {
        *reason = arena_strf(a, "it is not JSON (%s at byte %zu)", error.reason, error.offset);
        return -EINVAL;
    }
    rc = json_schema_validate(a, compiled, value, &invalid);
    if (rc == -EINVAL)
        *reason = arena_strf(a, STR_FMT "%s" STR_FMT, STR_ARG(invalid.path), invalid.path.n != 0 ? ": " : "",
                             STR_ARG(invalid.message));
    return rc == -EINVAL ? rc : 0;
}

bool prompt_is_template(struct str text)
{
    return str_find(text, STR("{{")) >= 0 || str_find(text, STR("{%")) >= 0;
}
