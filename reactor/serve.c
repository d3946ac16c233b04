#include "serve.h"

#include "base/conf.h"
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
            is_set = conf.environment.items[k].value.n != 0 && str_ieq(conf.environment.items[k].name, v->name);
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
    if (database_prepare() < 0)
        return EXIT_FAILURE;
    return supervisor_run();
}
