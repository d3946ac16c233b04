/* The program: `sinas COMMAND`. Each command is a row; each process of `serve` is another entry of the same
 * file. */
#include "base/conf.h"
#include "handlers/api_key_command.h"
#include "handlers/routes_command.h"
#include "migrate.h"
#include "proc.h"
#include "serve.h"

#include <fcntl.h>

static int command_version(int argc UNUSED, char **argv UNUSED)
{
    puts("sinas 1.0.0");
    return 0;
}

static int write_all(int fd, struct str text)
{
    while (text.n > 0) {
        ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text = str_from_offset(text, (size_t)n);
    }
    return 0;
}

/* A new file with fresh keys; an existing one is never touched: its keys may be all that opens a database. */
static int write_environment(const char *path)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct buf text;
    int rc;

    if (fd < 0)
        return -errno;
    buf_init(&text);
    conf_init_text(&text);
    rc = write_all(fd, buf_str(&text));
    buf_fini(&text);
    if (rc == 0 && fsync(fd) < 0)
        rc = -errno;
    if (rc < 0)
        (void)unlink(path);
    return rc;
}

static int command_init(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : ".env";
    int rc = write_environment(path);

    if (rc < 0) {
        fprintf(stderr, "sinas: %s: %s\n", path, strerror(-rc));
        return 1;
    }
    printf("%s written; keep it safe, it holds the keys\n", path);
    return 0;
}

static int command_help(int argc, char **argv);

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", command_serve,
     "[--print-config]: run the server; or print every setting, where it comes from, and stop"},
    {"migrate", command_migrate,
     "[--check]: bring the database to this program's schema; or say whether it is (status 0)"},
    {"init", command_init, "[FILE]: write an environment file with fresh keys (default .env)"},
    {"create-api-key", command_create_api_key,
     "[--name N] [--permission P] … [--minutes N]: print a new key of the superadmin"},
    {"routes", command_routes, "print the route table as JSON: every path with the rule of who may use it"},
    {"help", command_help, "print this list"},
    {"version", command_version, "print the version"},
};

static void print_commands(FILE *out)
{
    for (size_t i = 0; i < nelem(commands); i++)
        fprintf(out, "  sinas %-16s %s\n", commands[i].name, commands[i].help);
}

static int command_help(int argc UNUSED, char **argv UNUSED)
{
    print_commands(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && str_eq(str_from(argv[1]), STR("--process")))
        return process_main(argc - 1, argv + 1);
    for (size_t i = 0; argc > 1 && i < nelem(commands); i++) {
        if (str_eq(str_from(argv[1]), str_from(commands[i].name)))
            return commands[i].run(argc - 1, argv + 1);
    }
    print_commands(stderr);
    return 2;
}
