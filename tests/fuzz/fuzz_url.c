/* Paths against a route table, and query strings. */
#include "route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int handler(struct req *r UNUSED)
{
    return 0;
}

#define ROW(text, bits)                                                                                      \
    {                                                                                                        \
        .method = HTTP_GET, .path = text, .rule = RULE_PUBLIC, .handler = handler, .flags = bits             \
    }

static const struct route rows[] = {
    ROW("/", 0),
    ROW("/agents/{namespace}/{name}", 0),
    ROW("/agents/default/x", 0),
    ROW("/w/{path}", ROUTE_TAIL),
    ROW("/w/{a}/{b}/c", 0),
};

static void check(struct str decoded)
{
    if (!str_is_utf8(decoded) || (decoded.n != 0 && memchr(decoded.p, 0, decoded.n) != NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct route_table *table;
    struct str path = str_of((const char *)data, size), query = path, name, value;
    struct route_match m;
    struct arena a;

    if (table == NULL)
        table = route_table_new(rows, nelem(rows));
    arena_init(&a);
    if (route_find(table, &a, HTTP_GET, path, &m) == 0) {
        for (size_t i = 0; i < m.params_count; i++)
            check(m.params[i]);
    }
    while (http_query_next(&a, &query, &name, &value) > 0) {
        check(name);
        check(value);
    }
    arena_fini(&a);
    return 0;
}
