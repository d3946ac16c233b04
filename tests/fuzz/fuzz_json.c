/* What parses is written back, parses again to the same value, and does so in steps of any size. */
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static const struct json *written_again(struct arena *a, const struct json *v)
{
    const struct json *again = NULL;
    struct json_error error;
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_write_value(&w, v);
    check(json_parse(a, buf_str(&out), &again, &error) == 0);
    return again;
}

static void check_numbers(struct arena *a, const struct json *v)
{
    struct json_writer w;
    struct buf out;
    const struct json *again;
    struct json_error error;
    double n, back;
    int64_t i;

    if (json_i64(v, &i) == 0)
        check(json_double(v, &n) == 0 && n == (double)i);
    if (json_double(v, &n) != 0 || n - n != 0)
        return;
    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_write_double(&w, n);
    check(json_parse(a, buf_str(&out), &again, &error) == 0);
    check(json_double(again, &back) == 0 && back == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of the exact size, so that the sanitizer sees reads behind the end. */
    char *copy = mem_alloc(size);
    const struct json *v = NULL, *stepped = NULL;
    struct json_error error = {0}, step_error = {0};
    struct json_parser *p;
    struct arena a;
    struct str text;
    int rc, step_rc;

    if (size != 0)
        memcpy(copy, data, size);
    text = str_of(copy, size);
    arena_init(&a);
    rc = json_parse(&a, text, &v, &error);
    p = json_parse_start(&a, text);
    do
        step_rc = json_parse_step(p, size % 7, &stepped, &step_error);
    while (step_rc > 0);
    check(rc == step_rc && (rc == 0 || (error.offset == step_error.offset && error.offset <= size)));
    if (rc == 0) {
        check(json_equal(v, stepped));
        check(json_equal(v, written_again(&a, v)));
        check_numbers(&a, v);
        if (json_is(v, JSON_STRING))
            check(str_is_utf8(json_text(v)));
    }
    arena_fini(&a);
    free(copy);
    return 0;
}
