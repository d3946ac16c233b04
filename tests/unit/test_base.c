#include "test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"

TEST(str_to_i64_reads_the_whole_range)
{
    int64_t v;

    CHECK(str_to_i64(STR("9223372036854775807"), &v) == 0 && v == INT64_MAX);
    CHECK(str_to_i64(STR("-9223372036854775808"), &v) == 0 && v == INT64_MIN);
    CHECK_INT(str_to_i64(STR("9223372036854775808"), &v), -ERANGE);
    CHECK_INT(str_to_i64(STR(""), &v), -EINVAL);
    CHECK_INT(str_to_i64(STR("-"), &v), -EINVAL);
    CHECK_INT(str_to_i64(STR("+1"), &v), -EINVAL);
    CHECK_INT(str_to_i64(STR("1 "), &v), -EINVAL);
}

TEST(str_is_utf8_refuses_what_rfc3629_refuses)
{
    CHECK(str_is_utf8(STR("plain ascii, longer than eight")));
    CHECK(str_is_utf8(STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    CHECK(!str_is_utf8(STR("\xc0\xaf")));
    CHECK(!str_is_utf8(STR("\xed\xa0\x80")));
    CHECK(!str_is_utf8(STR("\xf4\x90\x80\x80")));
    CHECK(!str_is_utf8(STR("aaaaaaaa\xe2\x82")));
    CHECK_INT(str_utf8_length(STR("a\xe2\x82\xac")), 2);
    CHECK_STR(str_utf8_head(STR("a\xe2\x82\xac"), 3), STR("a"));
}

TEST(str_cut_leaves_the_rest)
{
    struct str rest = STR("a,b,,c");

    CHECK_STR(str_cut(&rest, ','), STR("a"));
    CHECK_STR(str_cut(&rest, ','), STR("b"));
    CHECK_STR(str_cut(&rest, ','), STR(""));
    CHECK_STR(str_cut(&rest, ','), STR("c"));
    CHECK(str_is_none(rest));
}

TEST(arena_grow_keeps_the_bytes)
{
    char *p = arena_bytes(a, 3);

    memcpy(p, "abc", 3);
    p = arena_grow(a, p, 3, 100000);
    CHECK(memcmp(p, "abc", 3) == 0);
    memset(p, 'x', 100000);
}

static void count_up(void *thing)
{
    ++*(int *)thing;
}

TEST(arena_fini_runs_what_was_deferred)
{
    struct arena own;
    int count = 0;

    arena_init(&own);
    arena_defer(&own, count_up, &count);
    arena_defer(&own, count_up, &count);
    arena_fini(&own);
    CHECK_INT(count, 2);
}

TEST(buf_moves_what_is_unread)
{
    struct buf b;

    buf_init(&b);
    for (int i = 0; i < 1000; i++) {
        buf_addf(&b, "%04d", i);
        if (i % 2 != 0) {
            char wanted[16];

            (void)snprintf(wanted, sizeof(wanted), "%04d", i / 2);
            CHECK_STR(str_head(buf_str(&b), 4), str_from(wanted));
            buf_consume(&b, 4);
        }
    }
    CHECK_INT(buf_size(&b), 2000);
    buf_add_i64(&b, INT64_MIN);
    CHECK(str_ends(buf_str(&b), STR("-9223372036854775808")));
    buf_fini(&b);
}

TEST(list_each_allows_removal)
{
    struct item {
        struct list link;
        int n;
    } items[3];
    struct list l = LIST_INIT(l);
    int sum = 0;

    for (int i = 0; i < 3; i++) {
        items[i].n = i + 1;
        list_init(&items[i].link);
        list_append(&l, &items[i].link);
    }
    list_each (item, &l, struct item, link) {
        sum += item->n;
        list_remove(&item->link);
    }
    CHECK_INT(sum, 6);
    CHECK(list_is_empty(&l));
}

TEST(clock_text_has_six_digits_or_none)
{
    char out[CLOCK_TEXT_SIZE];

    CHECK_STR(clock_text(out, INT64_C(1767323045) * 1000000), STR("2026-01-02T03:04:05Z"));
    CHECK_STR(clock_text(out, INT64_C(1767323045) * 1000000 + 120000), STR("2026-01-02T03:04:05.120000Z"));
}

TEST(str_put_i64_writes_every_number)
{
    static const int64_t numbers[] = {0, 1, -1, 9, 10, -10, 1234567890123, INT64_MAX, INT64_MIN};

    for (size_t i = 0; i < nelem(numbers); i++) {
        char out[STR_I64_MAX];
        struct str text = str_of(out, str_put_i64(out, numbers[i]));

        CHECK_STR(text, arena_strf(a, "%" PRId64, numbers[i]));
    }
}

static void count_freed(void *count)
{
    ++*(int *)count;
}

TEST(arena_clear_keeps_the_first_block)
{
    struct arena again;
    int freed = 0;
    char *first;

    arena_init(&again);
    first = arena_bytes(&again, 10);
    arena_defer(&again, count_freed, &freed);
    (void)arena_alloc(&again, 100000);
    arena_clear(&again);
    CHECK(freed == 1);
    CHECK(again.bytes == 0);
    CHECK(arena_bytes(&again, 10) == first);
    arena_clear(&again);
    CHECK(freed == 1);
    arena_fini(&again);
}
