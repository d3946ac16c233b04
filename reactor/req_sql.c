/* Statements of requests: what PostgreSQL's failures mean for whoever asked. */
#include "server.h"

/* 0 and more, and what handlers tell apart, go up as they are; the rest becomes an answer. */
static int answer_failure(struct req *r, int rc)
{
    switch (rc) {
    case -EEXIST:
    case -EINVAL:
    case -EAGAIN:
    case -ECANCELED:
        return rc;
    case -ENOTCONN:
    case -ETIMEDOUT:
        return fail(r, 503, "Service temporarily unavailable");
    default:
        return rc >= 0 ? rc : fail(r, 500, "Internal Server Error");
    }
}

/* The statement travels with the check that the caller's grants are current; its rows count only if they are.
 */
static int read_and_confirm_await(struct req *r, struct rows *rows, const struct sql_stmt *s,
                                  const struct str *params)
{
    struct pg_call *call = pg_start(r->server->db, s, params);
    int rc = r->confirm(r);

    if (rc < 0) {
        pg_forget(call);
        return rc;
    }
    return answer_failure(r, pg_finish_await(call, &r->arena, rows));
}

int sql_exec_await(struct req *r, struct rows *rows, const struct sql_stmt *s, const struct str *params)
{
    int rc;

    *rows = (struct rows){0};
    if (r->confirm != NULL && r->tx == NULL && s->lane == SQL_READ)
        return read_and_confirm_await(r, rows, s, params);
    if (r->confirm != NULL && (rc = r->confirm(r)) < 0)
        return rc;
    return answer_failure(r, pg_exec_await(r->server->db, r->tx, s, params, &r->arena, rows));
}

int sql_begin_await(struct req *r)
{
    int rc;

    assert(r->tx == NULL);
    if (r->confirm != NULL && (rc = r->confirm(r)) < 0)
        return rc;
    return answer_failure(r, pg_begin_await(r->server->db, &r->tx));
}

int sql_commit_await(struct req *r)
{
    struct pg_tx *tx = r->tx;

    assert(tx != NULL);
    r->tx = NULL;
    return answer_failure(r, pg_commit_await(tx));
}

void sql_rollback(struct req *r)
{
    struct pg_tx *tx = r->tx;

    r->tx = NULL;
    if (tx != NULL)
        pg_rollback(tx);
}
