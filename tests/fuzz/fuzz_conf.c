/*
 * A .env file: it parses or the line is told; what parses survives being written again
 * in double quotes; and the settings made of it either work or name a variable.
 */
#include "base/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void write_again(struct buf *out, const struct conf_variables *variables)
{
    for (size_t i = 0; i < variables->count; i++) {
        struct str value = variables->items[i].value;

        buf_add(out, variables->items[i].name);
        buf_add(out, STR("=\""));
        for (size_t k = 0; k < value.n; k++) {
            if (value.p[k] == '"' || value.p[k] == '\\')
                buf_add_byte(out, '\\');
            buf_add_byte(out, value.p[k]);
        }
        buf_add(out, STR("\"\n"));
    }
}

static void check_again(struct arena *a, const struct conf_variables *variables)
{
    struct conf_variables again;
    unsigned line;
    struct buf out;

    buf_init_arena(&out, a);
    write_again(&out, variables);
    check(conf_file_parse(a, buf_str(&out), &again, &line) == 0 && again.count == variables->count);
    for (size_t i = 0; i < again.count; i++) {
        check(str_eq(again.items[i].name, variables->items[i].name));
        check(str_eq(again.items[i].value, variables->items[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conf c;
    struct conf_variables variables, none = {NULL, 0};
    struct str reason = STR_NONE;
    unsigned line = 0;
    struct arena a;

    arena_init(&a);
    if (conf_file_parse(&a, arena_str(&a, str_of((const char *)data, size)), &variables, &line) < 0) {
        check(line >= 1);
    } else {
        check_again(&a, &variables);
        if (conf_read(&c, &none, &variables, &reason) < 0)
            check(reason.n > 0);
        else
            check(c.database_url.n > 0 && c.port >= 1 && c.port <= 65535);
        conf_fini(&c);
    }
    arena_fini(&a);
    return 0;
}
