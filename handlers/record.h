/* A row that outlives its result: all columns of one row, copied into an arena. */
#ifndef HANDLERS_RECORD_H
#define HANDLERS_RECORD_H

#include "core/pg.h"

struct record {
    int count;
    const char **names;
    struct str *values;
};

void record_copy(struct arena *a, struct record *record, const struct rows *rows, int row);

/* As row_str() and friends. The column must exist. */
struct str record_str(const struct record *record, const char *column);
int64_t record_i64(const struct record *record, const char *column);
bool record_bool(const struct record *record, const char *column);
bool record_is_null(const struct record *record, const char *column);

#endif
