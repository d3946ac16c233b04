#include "core/trim.h"

#include "tests/unit/test.h"

#include <malloc.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifndef HAS_ASAN
#define HAS_ASAN 0 /* whose allocator gives nothing back */
#endif

enum { PIECES = 8192, LARGE = 8192, SMALL = 64 };

/* The timer is fired by hand: how long the clock takes does not matter. */
static void fire(struct trim *t)
{
    ev_invoke(t->loop->ev, &t->timer, EV_TIMER);
}

static size_t resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *in = fopen("/proc/self/statm", "r");

    CHECK(in != NULL && fscanf(in, "%lu %lu", &size, &resident) == 2);
    (void)fclose(in);
    return resident * 4096;
}

/* 64 MB of large pieces between small ones that stay. */
TEST(trim_gives_back_what_lies_between)
{
    void **large = arena_alloc(a, PIECES * sizeof(*large)), **small = arena_alloc(a, PIECES * sizeof(*small));
    struct loop l;
    struct trim t;
    size_t before, after;

    loop_init(&l);
    trim_init(&t, &l);
    for (size_t i = 0; i < PIECES; i++) {
        large[i] = mem_alloc(LARGE);
        memset(large[i], 1, LARGE);
        small[i] = mem_alloc(SMALL);
    }
    for (size_t i = 0; i < PIECES; i++)
        free(large[i]);
    before = resident_bytes();
    trim_later(&t);
    CHECK(ev_is_active(&t.timer));
    l.switches += TRIM_SWITCHES + 1;
    fire(&t);
    CHECK(ev_is_active(&t.timer)); /* busy: later */
    fire(&t);
    CHECK(!ev_is_active(&t.timer));
    after = resident_bytes();
    CHECK(HAS_ASAN || after + (size_t)PIECES * LARGE / 3 < before);
    for (size_t i = 0; i < PIECES; i++)
        free(small[i]);
    trim_fini(&t);
    loop_fini(&l);
}
