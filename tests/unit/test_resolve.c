#include "servers.h"

#include "core/resolve.h"

struct look_up {
    bool is_done;
    bool is_loopback;
};

static void on_resolved(void *arg, const char *address)
{
    struct look_up *l = arg;

    l->is_done = true;
    l->is_loopback = str_eq(str_from(address), STR("127.0.0.1")) || str_eq(str_from(address), STR("::1"));
}

static bool is_done(void *arg)
{
    return ((struct look_up *)arg)->is_done;
}

static void localhost_body(void *arg)
{
    struct look_up *l = arg;

    for (unsigned turn = 0; turn < 3; turn++) {
        *l = (struct look_up){0};
        CHECK(resolve_start(servers_loop(), "localhost", turn, on_resolved, l) != NULL);
        CHECK(!l->is_done);
        CHECK(servers_wait_await(is_done, l));
        CHECK(l->is_loopback);
    }
}

TEST(resolve_localhost)
{
    struct look_up l;

    servers_run_task(localhost_body, &l);
}

static void cancel_body(void *arg)
{
    struct look_up *l = arg;

    for (int i = 0; i < 50; i++) {
        struct resolve *r = resolve_start(servers_loop(), "localhost", 0, on_resolved, l);

        CHECK(r != NULL);
        if (i % 2 != 0)
            CHECK_INT(task_yield_await(), 0); /* often finished by then, and not yet told */
        if (!l->is_done)
            resolve_cancel(r);
        *l = (struct look_up){0};
    }
}

TEST(resolve_cancelled)
{
    struct look_up l = {0};

    servers_run_task(cancel_body, &l);
}

TEST(resolve_only_names)
{
    CHECK(resolve_is_needed("localhost"));
    CHECK(resolve_is_needed("db.example.com"));
    CHECK(resolve_is_needed("10.0.0"));
    CHECK(!resolve_is_needed("10.0.0.1"));
    CHECK(!resolve_is_needed("::1"));
    CHECK(!resolve_is_needed("fe80::1%eth0"));
    CHECK(!resolve_is_needed("/run/postgresql"));
    CHECK(!resolve_is_needed("@abstract"));
    CHECK(!resolve_is_needed(""));
    CHECK(!resolve_is_needed(NULL));
}
