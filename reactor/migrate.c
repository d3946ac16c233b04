#include "migrate.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "serve.h"
#include "sql.h"

#include <libpq-fe.h>
#include <time.h>

enum { RETRY_MS = 50, COMPLAIN_EVERY_MS = 5000, CREATE_TRIES = 3 };

struct migrator {
    PGconn *pq;
    const struct migration *set;
    size_t set_count;
    size_t applied; /* of the set, found in the database */
};

static int complain(const struct migrator *m, const char *what)
{
    log_error("migrate", "%s: " STR_FMT, what, STR_ARG(str_trim(str_from(PQerrorMessage(m->pq)))));
    return -EIO;
}

static void clear(PGresult **result)
{
    PQclear(*result);
}

/* One of the statements of sql/migrate.sql. The result when it succeeded, else NULL. */
static PGresult *run(const struct migrator *m, const struct sql_stmt *s, const char *const *params)
{
    PGresult *result =
        PQexecParams(m->pq, s->text, (int)s->params_count, s->param_types, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return result;
    PQclear(result);
    return NULL;
}

static int run_only(const struct migrator *m, const struct sql_stmt *s, const char *const *params)
{
    PGresult *result = run(m, s, params);

    if (result == NULL)
        return complain(m, s->name);
    PQclear(result);
    return 0;
}

/* Any number of statements without parameters. */
static int run_text(const struct migrator *m, const char *text, const char *what)
{
    PGresult *result = PQexec(m->pq, text);
    ExecStatusType status = PQresultStatus(result);

    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : complain(m, what);
}

/* ---- connecting ---- */

static void sleep_ms(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

static PGconn *connect_once(const char *url)
{
    const char *keywords[] = {"connect_timeout",  "target_session_attrs", "dbname",
                              "application_name", "client_encoding",      NULL};
    const char *values[] = {"5", "primary", url, "sinas migrate", "UTF8", NULL};

    return PQconnectdbParams(keywords, values, 1);
}

static int connect_patiently(struct migrator *m, const struct migrate_options *options)
{
    int64_t started = clock_mono_ns() / 1000000;
    int64_t complained = started - COMPLAIN_EVERY_MS;

    for (;;) {
        int64_t now;

        m->pq = connect_once(options->url);
        if (PQstatus(m->pq) == CONNECTION_OK)
            return 0;
        now = clock_mono_ns() / 1000000;
        if (now - started >= options->startup_timeout_ms)
            return complain(m, "no connection to PostgreSQL");
        if (now - complained >= COMPLAIN_EVERY_MS) {
            log_warn("migrate", "waiting for PostgreSQL: " STR_FMT,
                     STR_ARG(str_trim(str_from(PQerrorMessage(m->pq)))));
            complained = now;
        }
        PQfinish(m->pq);
        sleep_ms(RETRY_MS);
    }
}

/* ---- what is there ---- */

static int check_applied(const struct migrator *m, size_t at, struct str name, struct str checksum)
{
    if (at >= m->set_count) {
        log_error("migrate", "the database is newer than this program: it has " STR_FMT, STR_ARG(name));
        return -EPROTO;
    }
    if (!str_eq(checksum, str_from(m->set[at].checksum))) {
        log_error("migrate", "the database has another form of %s than this program (" STR_FMT ")",
                  m->set[at].name, STR_ARG(name));
        return -EPROTO;
    }
    return 0;
}

/* Sets m->applied. */
static int load_applied(struct migrator *m)
{
    __attribute__((cleanup(clear))) PGresult *rows = run(m, &sql_stmt_schema_applied, NULL);

    if (rows == NULL)
        return complain(m, "schema_applied");
    m->applied = (size_t)PQntuples(rows);
    for (size_t i = 0; i < m->applied; i++) {
        int rc =
            check_applied(m, i, str_from(PQgetvalue(rows, (int)i, 1)), str_from(PQgetvalue(rows, (int)i, 2)));

        if (rc < 0)
            return rc;
    }
    return 0;
}

static int count_missing(struct migrator *m)
{
    __attribute__((cleanup(clear))) PGresult *rows = run(m, &sql_stmt_schema_exists, NULL);
    int rc = 0;

    if (rows == NULL)
        return complain(m, "schema_exists");
    if (str_eq(str_from(PQgetvalue(rows, 0, 0)), STR("t")))
        rc = load_applied(m);
    return rc < 0 ? rc : (int)(m->set_count - m->applied);
}

/* ---- applying ---- */

/* Several migrators may create the table at once, and "if not exists" alone does not keep them from tripping.
 */
static int create_bookkeeping(const struct migrator *m)
{
    for (int i = 1; i < CREATE_TRIES; i++) {
        PGresult *result = run(m, &sql_stmt_schema_create, NULL);

        if (result != NULL) {
            PQclear(result);
            return run_only(m, &sql_stmt_schema_create_lock, NULL);
        }
    }
    return run_only(m, &sql_stmt_schema_create, NULL);
}

static int apply(const struct migrator *m, const struct migration *migration)
{
    char number[16];
    const char *params[] = {number, migration->name, migration->checksum};
    int rc = run_text(m, migration->sql, migration->name);

    (void)snprintf(number, sizeof(number), "%u", migration->number);
    return rc < 0 ? rc : run_only(m, &sql_stmt_schema_record, params);
}

/* One transaction: the next migration, if one is missing. The number of applied ones or negative. */
static int apply_next(struct migrator *m)
{
    const struct migration *next;
    int rc = run_text(m, "begin", "begin");

    if (rc == 0)
        rc = run_only(m, &sql_stmt_schema_lock, NULL);
    if (rc == 0)
        rc = load_applied(m);
    if (rc < 0)
        return rc; /* the connection is closed, that rolls back */
    if (m->applied == m->set_count)
        return run_text(m, "commit", "commit");
    next = &m->set[m->applied];
    rc = apply(m, next);
    if (rc == 0)
        rc = run_text(m, "commit", next->name);
    if (rc == 0)
        log_info("migrate", "applied %s", next->name);
    return rc < 0 ? rc : 1;
}

static int apply_all(struct migrator *m)
{
    int rc = create_bookkeeping(m);
    int count = 0;

    while (rc == 0) {
        rc = apply_next(m);
        if (rc <= 0)
            break;
        count++;
        rc = 0;
    }
    return rc < 0 ? rc : count;
}

static void ignore_notice(void *arg UNUSED, const PGresult *notice UNUSED)
{
    /* "relation already exists, skipping" and the like. */
}

int migrate_run(const struct migrate_options *options)
{
    struct migrator m = {.set = options->set, .set_count = options->set_count};
    int rc;

    if (m.set == NULL) {
        m.set = migrations;
        m.set_count = migrations_count;
    }
    rc = connect_patiently(&m, options);
    if (rc == 0) {
        (void)PQsetNoticeReceiver(m.pq, ignore_notice, NULL);
        rc = options->only_check ? count_missing(&m) : apply_all(&m);
    }
    PQfinish(m.pq);
    return rc;
}

int command_migrate(int argc, char **argv)
{
    bool only_check = argc == 2 && strcmp(argv[1], "--check") == 0;
    struct migrate_options options = {.only_check = only_check};
    int rc;

    if (argc > 1 && !only_check) {
        fprintf(stderr, "usage: sinas migrate [--check]\n");
        return 2;
    }
    if (settings_load() < 0)
        return 2;
    options.url = arena_cstr(&conf.arena, conf.database_direct_url);
    options.startup_timeout_ms = conf.startup_timeout * 1000;
    rc = migrate_run(&options);
    if (rc < 0)
        return 2;
    printf(only_check ? "%d migrations to apply\n" : "%d migrations applied\n", rc);
    return only_check && rc > 0;
}
