#include "test.h"

#include "base/table.h"

struct item {
    struct table_node node;
    char key[16];
};

TEST(table_finds_what_was_added_and_nothing_else)
{
    struct item *items = arena_zalloc(a, 1000 * sizeof(*items));
    struct table t;

    table_init(&t);
    CHECK(table_find(&t, STR("none")) == NULL);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(items[i].key, sizeof(items[i].key), "key %d", i);
        table_add(&t, &items[i].node, str_from(items[i].key));
    }
    for (int i = 0; i < 1000; i += 2)
        table_remove(&t, &items[i].node);
    for (int i = 0; i < 1000; i++)
        CHECK(table_find(&t, str_from(items[i].key)) == (i % 2 != 0 ? &items[i].node : NULL));
    CHECK_INT(t.count, 500);
    table_fini(&t);
}
