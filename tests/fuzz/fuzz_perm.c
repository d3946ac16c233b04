/*
 * Lines of permissions. The fast matcher must agree with the slow reference on
 * every pair, and a permission must cover itself.
 */
#include "handlers/perm.h"

#include "tests/fuzz/perm_reference.h"

enum { LINES_MAX = 8, LINE_MAX_BYTES = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pair(struct arena *a, struct str granted, struct str required)
{
    struct perm_set *set = perm_set_new(a, &granted, 1);

    if (perm_set_has(set, required) != reference_has(a, granted, required))
        abort();
    if (!perm_set_has(set, granted))
        abort();
    (void)perm_is_valid(granted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_of((const char *)data, size);
    struct str lines[LINES_MAX];
    size_t count = 0;
    struct arena a;

    arena_init(&a);
    while (count < LINES_MAX && !str_is_none(rest)) {
        struct str line = str_cut(&rest, '\n');

        /* copies, so that reading behind a line is seen */
        lines[count++] = arena_str(&a, str_head(line, line.n < LINE_MAX_BYTES ? line.n : LINE_MAX_BYTES));
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++)
            check_pair(&a, lines[i], lines[k]);
    }
    arena_fini(&a);
    return 0;
}
