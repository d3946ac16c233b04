#include "handlers/input.h"

#include "base/json_schema.h"

/* The text as a JSON value of its own, or NULL. */
static const struct json *parse_text(struct arena *a, struct str text)
{
    const struct json *value;
    struct json_error error;

    return json_parse(a, str_trim(text), &value, &error) == 0 ? value : NULL;
}

static bool is_whole(const struct json *number)
{
    int64_t value;

    return json_i64(number, &value) != -EINVAL;
}

static void write_coerced(struct arena *a, struct json_writer *w, struct str type, const struct json *value)
{
    static const char *const truths[] = {"true", "1", "yes"};
    const struct json *parsed = NULL;

    if (!json_is(value, JSON_STRING)) {
        json_write_value(w, value);
        return;
    }
    if (str_eq(type, STR("boolean"))) {
        bool truth = false;

        for (size_t i = 0; i < nelem(truths); i++)
            truth = truth || str_ieq(json_text(value), str_from(truths[i]));
        json_write_bool(w, truth);
        return;
    }
    if (str_eq(type, STR("number")) || str_eq(type, STR("integer"))) {
        parsed = parse_text(a, json_text(value));
        if (!json_is(parsed, JSON_NUMBER) || (str_eq(type, STR("integer")) && !is_whole(parsed)))
            parsed = NULL;
    } else if (str_eq(type, STR("array")) || str_eq(type, STR("object"))) {
        parsed = parse_text(a, json_text(value));
    }
    json_write_value(w, parsed != NULL ? parsed : value);
}

struct str input_coerce(struct arena *a, const struct json *schema, const struct json *input)
{
    const struct json *properties = json_get(schema, STR("properties"));
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_object_begin(&w);
    json_each_member (m, input) {
        struct str name = json_text(json_key(m));

        if (json_get(input, name) != json_value(m))
            continue; /* overridden by a later member */
        json_key_write(&w, name);
        write_coerced(a, &w, json_get_text(json_get(properties, name), STR("type")), json_value(m));
    }
    json_object_end(&w);
    return buf_str(&b);
}

int input_check(struct arena *a, struct str schema_json, const struct json *input, struct str *coerced,
                struct str *reason)
{
    static const struct json_schema_options options = {.assert_format = true};
    struct json_schema_error invalid;
    struct json_schema *compiled;
    struct json_error error;
    const struct json *schema, *value;
    int rc;

    if (json_parse(a, schema_json, &schema, &error) < 0) {
        *reason = STR("the agent's input_schema is not JSON");
        return -EINVAL;
    }
    *coerced = input_coerce(a, schema, input);
    if (json_count(schema) == 0)
        return 0;
    if (json_parse(a, *coerced, &value, &error) < 0)
        abort(); /* written above */
    if (json_schema_compile(a, schema, &options, &compiled, reason) < 0) {
        *reason = arena_strf(a, "the agent's input_schema is invalid: " STR_FMT, STR_ARG(*reason));
        return -EINVAL;
    }
    rc = json_schema_validate(a, compiled, value, &invalid);
    if (rc == -E2BIG)
        *reason = STR("validation by the agent's input_schema takes too long");
    else if (rc < 0)
        *reason = invalid.path.n != 0
                      ? arena_strf(a, STR_FMT ": " STR_FMT, STR_ARG(invalid.path), STR_ARG(invalid.message))
                      : invalid.message;
    return rc < 0 ? -EINVAL : 0;
}
