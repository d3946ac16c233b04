/*
 * What a field may hold: the one table type of JSON bodies, query strings and
 * resource kinds (spec 10 §1.3). check.h holds values against it, fields.h requests.
 *
 * A kind's table (resource.h) is the body of its create and its update at once;
 * other bodies have tables of their own. Tables are constant and live forever.
 */
#ifndef HANDLERS_COLUMN_H
#define HANDLERS_COLUMN_H

#include "base/json.h"

enum column_type {
    COL_TEXT = 1,
    COL_INT, /* 32 bits, as PostgreSQL's int */
    COL_BIGINT,
    COL_NUMBER, /* keeps the text it came with */
    COL_BOOL,
    COL_UUID,
    COL_TIME,
    COL_EMAIL,  /* trimmed, lower case */
    COL_ENUM,   /* one of .choices */
    COL_OBJECT, /* of .shape when that is set */
    COL_ARRAY,  /* each element as .item when that is set */
    COL_TEXTS,  /* an array of strings, each as .item (a COL_TEXT) when that is set */
    COL_ANY     /* any JSON value; null is JSON null, with COL_NULLABLE no value */
};

enum column_flags {
    COL_REQUIRED = 1 << 0,    /* must be there unless the body is partial */
    COL_NULLABLE = 1 << 1,    /* null is a value; in partial bodies it clears */
    COL_KEY = 1 << 2,         /* part of the row's address */
    COL_READ_ONLY = 1 << 3,   /* answered, never taken from a body */
    COL_SECRET = 1 << 4,      /* taken, stored encrypted, never answered */
    COL_CREATE_ONLY = 1 << 5, /* ignored in a partial body */
    COL_UPDATE_ONLY = 1 << 6, /* ignored unless the body is partial */
    COL_TRANSIENT = 1 << 7,   /* taken, but no column of the table */
    COL_ANY_CASE = 1 << 8     /* of COL_ENUM: any case is taken, the choice is stored */
};

struct check;

struct column {
    const char *name;
    enum column_type type;
    unsigned flags;
    size_t max, min;               /* length of text in code points, count of array elements; 0: no bound */
    const char *fallback;          /* JSON text that counts when the field is absent from a full body */
    const char *pattern;           /* regular expression, of text; shown in the error as it is written here */
    const char *ge, *le, *gt, *lt; /* bounds of numbers, as the error shows them */
    const char *choices;           /* of COL_ENUM, separated by '|' */
    const struct column *item;     /* of arrays; its name is not looked at */
    const struct body *shape;      /* of objects */
    /* What the table cannot say; only called for a value (not null) that has passed the rest. Reports with
     * check_rule(). */
    void (*check)(struct check *c, const struct json *v);
    /* The text to store where it differs from the one that came; STR_NONE stores null. Called after check. */
    struct str (*normal)(struct arena *a, const struct json *v);
    const char *sql; /* for resources: the expression to answer with, when it is not the column */
};

enum body_flags {
    BODY_PARTIAL = 1 << 0, /* an update: nothing is required, absent is unchanged */
    BODY_OPTIONAL = 1 << 1 /* no body and null count as {} */
};

struct body {
    const char *name; /* of the schema in OpenAPI */
    const struct column *columns;
    size_t columns_count;
    unsigned flags;
    /* A rule about several fields; only called when each of them has passed. */
    void (*check)(struct check *c, const struct json *object);
};

#define BODY(schema_name, table)                                                                             \
    {                                                                                                        \
        .name = (schema_name), .columns = (table), .columns_count = nelem(table)                             \
    }
#define BODY_UPDATE(schema_name, table)                                                                      \
    {                                                                                                        \
        .name = (schema_name), .columns = (table), .columns_count = nelem(table), .flags = BODY_PARTIAL      \
    }

#endif
