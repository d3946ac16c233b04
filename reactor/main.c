/* The program: `sinas COMMAND`. Each command is a row; each process of `serve` is another entry of the same file. */
#include "base/str.h"

static int command_version(int argc UNUSED, char **argv UNUSED)
{
    puts("sinas 1.0.0");
    return 0;
}

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"version", command_version, "print the version"},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < nelem(commands); i++) {
        if (str_eq(str_from(argv[1]), str_from(commands[i].name)))
            return commands[i].run(argc - 1, argv + 1);
    }
    for (size_t i = 0; i < nelem(commands); i++)
        fprintf(stderr, "  sinas %-16s %s\n", commands[i].name, commands[i].help);
    return 2;
}
