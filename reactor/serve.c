#include "serve.h"

#include "base/conf.h"
#include "core/redis.h"
#include "handlers/seed.h"
#include "migrate.h"
#include "proc.h"
#include "supervisor.h"

int settings_load(void)
{
    struct str text;

    if (conf_init(&text) < 0) {
        fprintf(stderr, "sinas: " STR_FMT "\n", STR_ARG(text));
        return -1;
    }
    log_init("sinas", conf.log_least);
    return 0;
}

/*
 * Every process reads the settings for itself, a respawned one perhaps after
 * somebody edited .env. What the file said at the start goes into the
 * environment, which wins over it, so that all processes agree.
 */
static void settings_pin(void)
{
    for (size_t i = 0; i < conf.file.count; i++) {
        const struct conf_variable *v = &conf.file.items[i];
        bool is_set = false;

        for (size_t k = 0; k < conf.environment.count && !is_set; k++)
            is_set =
                conf.environment.items[k].value.n != 0 && str_ieq(conf.environment.items[k].name, v->name);
        if (!is_set)
            (void)setenv(arena_cstr(&conf.arena, v->name), arena_cstr(&conf.arena, v->value), 1);
    }
}

static int settings_check(void)
{
    struct str complaint;
    int rc = conf_check(&conf, &complaint);

    if (rc < 0)
        fprintf(stderr, "sinas: " STR_FMT "\n", STR_ARG(complaint));
    else if (!str_is_none(complaint))
        log_warn("conf", STR_FMT, STR_ARG(complaint));
    return rc;
}

static int database_prepare(void)
{
    struct migrate_options options = {
        .url = arena_cstr(&conf.arena, conf.database_direct_url),
        .startup_timeout_ms = conf.startup_timeout * 1000,
    };
    int rc = migrate_run(&options);

    if (rc > 0)
        log_info("migrate", "%d migrations applied", rc);
    return rc < 0 ? rc : seed_run(options.url);
}

struct redis_wait {
    struct loop loop;
    struct redis *redis;
    int rc;
};

static void redis_wait_task(void *arg)
{
    struct redis_wait *w = arg;

    w->rc = redis_ready_await(w->redis, conf.startup_timeout * 1000);
    loop_stop(&w->loop);
}

/* In a loop of its own, which is gone before anything is forked. */
static int redis_wait(void)
{
    struct redis_wait w;

    loop_init(&w.loop);
    w.redis = redis_open(&w.loop, conf.redis_url);
    (void)task_spawn(&w.loop, "wait for Redis", redis_wait_task, &w);
    loop_run(&w.loop);
    redis_close(w.redis);
    loop_fini(&w.loop);
    if (w.rc < 0)
        log_error("redis", "not reached within %d s", (int)conf.startup_timeout);
    return w.rc;
}

int command_serve(int argc, char **argv)
{
    bool prints = argc == 2 && strcmp(argv[1], "--print-config") == 0;

    if (argc > 1 && !prints) {
        fprintf(stderr, "usage: sinas serve [--print-config]\n");
        return 2;
    }
    if (settings_load() < 0)
        return EXIT_FAILURE;
    if (prints) {
        conf_print(stdout, &conf);
        return EXIT_SUCCESS;
    }
    if (settings_check() < 0)
        return EXIT_FAILURE;
    process_harden();
    settings_pin();
    if (database_prepare() < 0 || redis_wait() < 0)
        return EXIT_FAILURE;
    return supervisor_run();
}
