/*
 * A schema and a value, split by a byte 0xff (which is no JSON); its first byte
 * chooses the options. Valid or not, it ends, and twice with the same answer.
 */
#include "base/json_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void validate(struct arena *a, const struct json_schema *schema, const struct json *value)
{
    struct json_schema_error error = {STR_NONE, STR_NONE}, again = {STR_NONE, STR_NONE};
    int rc = json_schema_validate(a, schema, value, &error);

    check(rc == 0 || rc == -EINVAL || rc == -E2BIG);
    check(rc == json_schema_validate(a, schema, value, &again));
    check(str_eq(error.message, again.message) && str_eq(error.path, again.path));
    check(rc == 0 || (error.message.n > 0 && str_is_utf8(error.message) && str_is_utf8(error.path)));
}

static void run(struct arena *a, struct str schema_text, struct str value_text, unsigned flags)
{
    const struct json *schema, *value;
    struct json_error error;
    struct json_schema *compiled;
    struct str reason = STR_NONE;
    struct json_schema_document document = {STR("http://other/"), NULL};
    struct json_schema_options options = {.draft7 = (flags & 1) != 0, .assert_format = (flags & 2) != 0};

    if (json_parse(a, schema_text, &schema, &error) < 0 || json_parse(a, value_text, &value, &error) < 0)
        return;
    document.value = value;
    options.documents = &document;
    options.documents_count = (flags & 4) != 0;
    if (json_schema_compile(a, schema, &options, &compiled, &reason) < 0)
        check(reason.n > 0);
    else
        validate(a, compiled, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size), schema;
    struct arena a;

    if (size < 2)
        return 0;
    arena_init(&a);
    text = str_from_offset(text, 1);
    schema = str_cut(&text, '\xff');
    if (!str_is_none(text))
        run(&a, schema, text, data[0]);
    arena_fini(&a);
    return 0;
}
