/* Bodies of every kind: whatever comes, the answer is JSON, and accepted values are JSON or UTF-8 without
 * NUL. */
#include "handlers/resources/kinds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_json(struct arena *a, struct str text)
{
    const struct json *v = NULL;
    struct json_error e;

    if (json_parse(a, text, &v, &e) < 0)
        abort();
}

static void check_accepted(struct arena *a, const struct value *v)
{
    switch (v->column->type) {
    case COL_OBJECT:
    case COL_ARRAY:
    case COL_TEXTS:
    case COL_ANY:
        must_be_json(a, v->text);
        break;
    default:
        if (!str_is_utf8(v->text) || str_find_byte(v->text, '\0') >= 0)
            abort();
    }
}

static void check_body(struct arena *a, const struct body *b, const struct json *object)
{
    struct check *c = check_new(a, "body");
    const struct values *v = check_object(c, b, object);

    must_be_json(a, check_errors(c));
    if ((strcmp(arena_cstr(a, check_errors(c)), "[]") == 0) != check_is_clean(c))
        abort();
    for (size_t i = 0; check_is_clean(c) && i < v->count; i++) {
        if (!str_is_none(v->items[i].text))
            check_accepted(a, &v->items[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct json *object = NULL;
    struct json_error e;
    struct arena a;

    arena_init(&a);
    if (json_parse(&a, str_of((const char *)data, size), &object, &e) == 0 && json_is(object, JSON_OBJECT)) {
        for (size_t i = 0; i < resources_count; i++) {
            check_body(&a, &resources[i]->create, object);
            check_body(&a, &resources[i]->update, object);
        }
    }
    arena_fini(&a);
    return 0;
}
