#include "handlers/seed.h"

#include "base/buf.h"
#include "base/conf.h"
#include "base/log.h"
#include "handlers/perm_defaults.h"
#include "sql.h"

#include <libpq-fe.h>

/* One statement; its result is cleared with the arena, NULL after a line in the log. */
struct seed {
    PGconn *connection;
    struct arena arena;
};

enum { SEED_PARAMS_MAX = 4 };

static void result_clear(void *result)
{
    PQclear(result);
}

static PGresult *seed_exec(struct seed *s, const struct sql_stmt *statement, const char *const *params)
{
    PGresult *result = PQexecParams(s->connection, statement->text, (int)statement->params_count,
                                    statement->param_types, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);

    arena_defer(&s->arena, result_clear, result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return result;
    log_error("seed", "%s: %s", statement->name, PQerrorMessage(s->connection));
    return NULL;
}

static int seed_do(struct seed *s, const struct sql_stmt *statement, const char *const *params)
{
    return seed_exec(s, statement, params) != NULL ? 0 : -EIO;
}

static int seed_plain(struct seed *s, const char *command)
{
    PGresult *result = PQexec(s->connection, command);
    bool is_ok = PQresultStatus(result) == PGRES_COMMAND_OK;

    PQclear(result);
    if (is_ok)
        return 0;
    log_error("seed", "%s: %s", command, PQerrorMessage(s->connection));
    return -EIO;
}

/* A text[]; keys hold neither quotes nor backslashes. */
static char *array_text(struct arena *a, const char *const *items, size_t count)
{
    struct buf out;

    buf_init_arena(&out, a);
    buf_add_byte(&out, '{');
    for (size_t i = 0; i < count; i++)
        buf_addf(&out, "%s\"%s\"", i == 0 ? "" : ",", items[i]);
    buf_add_byte(&out, '}');
    return arena_cstr(a, buf_str(&out));
}

static int seed_role(struct seed *s, const struct perm_role *role)
{
    const char *const names[] = {role->name, role->description};
    const char *const grants[] = {role->name,
                                  array_text(&s->arena, role->permissions, role->permissions_count)};

    TRY(seed_do(s, &sql_stmt_seed_role, names));
    return seed_do(s, &sql_stmt_seed_role_permissions, grants);
}

/* sinas.*:all cannot be taken from the Admins. */
static int seed_admins(struct seed *s)
{
    const char *params[1];
    const PGresult *row = seed_exec(s, &sql_stmt_seed_admins_weakened, NULL);

    if (row == NULL)
        return -EIO;
    if (PQntuples(row) == 0)
        return 0;
    params[0] = PQgetvalue(row, 0, 0);
    log_warn("seed", "Admins had lost sinas.*:all; it is granted again");
    return seed_do(s, &sql_stmt_seed_admins_restore, params);
}

static int seed_roles(struct seed *s)
{
    for (size_t i = 0; i < perm_roles_count; i++)
        TRY(seed_role(s, &perm_roles[i]));
    return seed_admins(s);
}

/* Only while nobody is an admin: changing the setting later adds nobody. */
static int seed_superadmin(struct seed *s, const char *email)
{
    const char *const params[] = {email};
    const PGresult *row;

    if (email == NULL)
        return 0;
    row = seed_exec(s, &sql_stmt_seed_admins_count, NULL);
    if (row == NULL)
        return -EIO;
    if (!str_eq(str_from(PQgetvalue(row, 0, 0)), STR("0")))
        return 0;
    TRY(seed_do(s, &sql_stmt_seed_superadmin, params));
    TRY(seed_do(s, &sql_stmt_seed_superadmin_join, params));
    log_info("seed", "the superadmin was made an admin");
    return 0;
}

/* Once per database: deleting the agent is for good. */
static int seed_default_agent(struct seed *s, const char *email)
{
    const char *const marker[] = {"default_agent"};
    const char *const agent[] = {
        email,
        "General assistant",
        "You are a helpful assistant. Answer clearly and concisely, in the language of the person you are "
        "talking to. "
        "If you do not know something or cannot do it, say so.",
    };
    const PGresult *row = seed_exec(s, &sql_stmt_seed_marker, marker);

    if (row == NULL)
        return -EIO;
    return PQntuples(row) == 0 ? 0 : seed_do(s, &sql_stmt_seed_default_agent, agent);
}

static int seed_all(struct seed *s)
{
    const char *email =
        str_is_none(conf.superadmin_email) ? NULL : arena_cstr(&s->arena, conf.superadmin_email);

    TRY(seed_plain(s, "begin"));
    TRY(seed_do(s, &sql_stmt_seed_lock_row, NULL));
    TRY(seed_do(s, &sql_stmt_seed_lock, NULL));
    TRY(seed_roles(s));
    TRY(seed_superadmin(s, email));
    TRY(seed_default_agent(s, email));
    return seed_plain(s, "commit");
}

static int seed_transaction(struct seed *s)
{
    int rc = seed_all(s);

    if (rc < 0 && PQtransactionStatus(s->connection) != PQTRANS_IDLE)
        PQclear(PQexec(s->connection, "rollback"));
    return rc;
}

int seed_run(const char *url)
{
    const char *const keys[] = {"dbname", "application_name", NULL};
    const char *const values[] = {url, "sinas seed", NULL};
    struct seed s = {.connection = PQconnectdbParams(keys, values, 1)};
    int rc = -EIO;

    arena_init(&s.arena);
    if (PQstatus(s.connection) == CONNECTION_OK)
        rc = seed_transaction(&s);
    else
        log_error("seed", "%s", PQerrorMessage(s.connection));
    arena_fini(&s.arena);
    PQfinish(s.connection);
    return rc;
}
