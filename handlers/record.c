#include "handlers/record.h"

void record_copy(struct arena *a, struct record *record, const struct rows *rows, int row)
{
    record->count = rows_columns(rows);
    record->names = arena_alloc(a, (size_t)record->count * sizeof(*record->names));
    record->values = arena_alloc(a, (size_t)record->count * sizeof(*record->values));
    for (int i = 0; i < record->count; i++) {
        record->names[i] = arena_cstr(a, str_from(rows_column_name(rows, i)));
        record->values[i] = arena_str(a, row_str_at(rows, row, i));
    }
}

struct str record_str(const struct record *record, const char *column)
{
    for (int i = 0; i < record->count; i++) {
        if (strcmp(record->names[i], column) == 0)
            return record->values[i];
    }
    abort(); /* a column that the statement does not select */
}

int64_t record_i64(const struct record *record, const char *column)
{
    int64_t value = 0;

    return str_to_i64(record_str(record, column), &value) == 0 ? value : 0;
}

bool record_bool(const struct record *record, const char *column)
{
    return str_eq(record_str(record, column), STR("t"));
}

bool record_is_null(const struct record *record, const char *column)
{
    return str_is_none(record_str(record, column));
}
