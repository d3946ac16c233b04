/*
 * Unit tests: TEST(name) { CHECK(…); } registers itself; the program "unit" runs all,
 * or those whose name starts with an argument. Each test has a fresh arena. Without
 * servers, those that need them are left out, and the last line says so.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include "base/arena.h"

struct test {
    const char *name;
    void (*run)(struct arena *a);
    bool needs_servers;
    struct test *next;
};

void test_register(struct test *t);
void test_failed(const char *file, int line, const char *format, ...) PRINTF_LIKE(3, 4);

/* Path of a file below ../shared/suites (or $SUITES), in the arena. */
const char *test_suite_path(struct arena *a, const char *relative);
/* The whole file, in the arena; ends the run when it cannot be read. */
struct str test_read_file(struct arena *a, const char *path);

#define TEST(test_name) TEST_DEFINE(test_name, false)
/* One that needs PostgreSQL and Redis: TEST_DATABASE_URL and TEST_REDIS_URL are set (tests/servers). */
#define TEST_SERVERS(test_name) TEST_DEFINE(test_name, true)

#define TEST_DEFINE(test_name, needs)                                                                        \
    static void test_run_##test_name(struct arena *a UNUSED);                                                \
    __attribute__((constructor)) static void test_register_##test_name(void)                                 \
    {                                                                                                        \
        static struct test t = {.name = #test_name, .run = test_run_##test_name, .needs_servers = needs};    \
        test_register(&t);                                                                                   \
    }                                                                                                        \
    static void test_run_##test_name(struct arena *a UNUSED)

/* Says what failed and goes on, so that one run shows every failure. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            test_failed(__FILE__, __LINE__, "%s", #condition);                                               \
    } while (0)

#define CHECK_STR(got, wanted)                                                                               \
    do {                                                                                                     \
        struct str got_ = (got), wanted_ = (wanted);                                                         \
        if (!str_eq(got_, wanted_))                                                                          \
            test_failed(__FILE__, __LINE__, "%s is '" STR_FMT "', wanted '" STR_FMT "'", #got,               \
                        STR_ARG(got_), STR_ARG(wanted_));                                                    \
    } while (0)

#define CHECK_INT(got, wanted)                                                                               \
    do {                                                                                                     \
        long long got_ = (long long)(got), wanted_ = (long long)(wanted);                                    \
        if (got_ != wanted_)                                                                                 \
            test_failed(__FILE__, __LINE__, "%s is %lld, wanted %lld", #got, got_, wanted_);                 \
    } while (0)

#endif
