/* What results mean, and their values. */
#include "core/pg_conn.h"

/* SQLSTATEs by their beginning; the first match counts. */
static const struct {
    const char *prefix;
    int rc;
} codes[] = {
    {"23505", -EEXIST},    /* unique_violation */
    {"23P01", -EEXIST},    /* exclusion_violation */
    {"23", -EINVAL},       /* not null, foreign key, check */
    {"40001", -EAGAIN},    /* serialization_failure */
    {"40P01", -EAGAIN},    /* deadlock_detected */
    {"57014", -ETIMEDOUT}, /* query_canceled: statement_timeout */
    {"55P03", -ETIMEDOUT}, /* lock_not_available: lock_timeout */
    {"25P03", -ENOTCONN},  /* idle_in_transaction_session_timeout */
    {"57P", -ENOTCONN},    /* the server or the backend is being shut down */
    {"08", -ENOTCONN},
};

const char *pg_result_sqlstate(const PGresult *result)
{
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return code != NULL ? code : "";
}

bool pg_result_is(const PGresult *result, const char *code)
{
    return str_eq(str_from(pg_result_sqlstate(result)), str_from(code));
}

int pg_result_rc(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    struct str code;

    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return 0;
    code = str_from(pg_result_sqlstate(result));
    if (status == PGRES_FATAL_ERROR && code.n == 0)
        return -ENOTCONN; /* libpq's own words: the connection broke */
    for (size_t i = 0; i < nelem(codes); i++) {
        if (str_starts(code, str_from(codes[i].prefix)))
            return codes[i].rc;
    }
    return -EIO;
}

static const PGresult *rows_result(const struct rows *rows)
{
    return rows->result;
}

static int column_of(const struct rows *rows, const char *column)
{
    int at = PQfnumber(rows_result(rows), column);

    assert(at >= 0);
    return at;
}

struct str row_str_at(const struct rows *rows, int row, int column)
{
    const PGresult *result = rows_result(rows);

    assert(row >= 0 && row < rows->count && column >= 0 && column < PQnfields(result));
    if (PQgetisnull(result, row, column))
        return STR_NONE;
    return str_of(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

struct str row_str(const struct rows *rows, int row, const char *column)
{
    return row_str_at(rows, row, column_of(rows, column));
}

int64_t row_i64(const struct rows *rows, int row, const char *column)
{
    struct str text = row_str(rows, row, column);
    int64_t value = 0;

    if (!str_is_none(text) && str_to_i64(text, &value) < 0)
        assert(!"the column is no integer");
    return value;
}

bool row_bool(const struct rows *rows, int row, const char *column)
{
    return str_eq(row_str(rows, row, column), STR("t"));
}

double row_double(const struct rows *rows, int row, const char *column)
{
    struct str text = row_str(rows, row, column);

    return str_is_none(text) ? 0 : strtod(text.p, NULL); /* libpq terminates its values */
}

bool row_is_null(const struct rows *rows, int row, const char *column)
{
    return str_is_none(row_str(rows, row, column));
}

int rows_columns(const struct rows *rows)
{
    return PQnfields(rows_result(rows));
}

const char *rows_column_name(const struct rows *rows, int column)
{
    return PQfname(rows_result(rows), column);
}
