/*
 * The database schema: numbered files under sql/schema, embedded in the program
 * by sql/generate. Blocking; runs before any loop does (`sinas migrate`, and the
 * supervisor before it forks).
 *
 * Each file is one transaction. Migrators take turns by a row lock in
 * schema_migrations, which works through any pooler. A file that was applied
 * must not change (its checksum is kept), and a database that is newer than the program is refused.
 */
#ifndef REACTOR_MIGRATE_H
#define REACTOR_MIGRATE_H

#include "base/str.h"

struct migration {
    unsigned number;
    const char *name;     /* 0001_base */
    const char *checksum; /* SHA-256 in hex */
    const char *sql;
};

/* In order of their numbers, which start at 1 and have no gap. */
extern const struct migration migrations[];
extern const size_t migrations_count;

struct migrate_options {
    const char *url;             /* postgresql://… */
    int64_t startup_timeout_ms;  /* how long a server that cannot be reached is tried again */
    bool only_check;             /* says what would be done, in the result */
    const struct migration *set; /* NULL: the program's own */
    size_t set_count;
};

/* The number of migrations that were applied (or would be, with only_check), or negative after a line in the
 * log. */
MUST_USE int migrate_run(const struct migrate_options *options);

/* `sinas migrate [--check]`. 0: up to date; 1: --check found something to do; 2: failed. */
int command_migrate(int argc, char **argv);

#endif
