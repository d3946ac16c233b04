/*
 * The fields of JSON bodies, query strings and resource kinds: one table type
 * that says what a field may hold, and the check that turns a request into
 * values or into the 422 answer that lists every failing field (spec 10 §1.3, §1.6).
 *
 * A kind's table (resource.h) is the body of its create and its update at once;
 * other bodies have tables of their own. Tables are constant and live forever.
 */
#ifndef HANDLERS_FIELDS_H
#define HANDLERS_FIELDS_H

#include "req.h"

enum column_type {
    COL_TEXT = 1,
    COL_INT,    /* 32 bits, as PostgreSQL's int */
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
    COL_ANY     /* any JSON value; null is a value only with COL_NULLABLE */
};

enum column_flags {
    COL_REQUIRED = 1 << 0,    /* must be there unless the body is partial */
    COL_NULLABLE = 1 << 1,    /* null is a value; in partial bodies it clears */
    COL_KEY = 1 << 2,         /* part of the row's address */
    COL_READ_ONLY = 1 << 3,   /* answered, never taken from a body */
    COL_SECRET = 1 << 4,      /* taken, stored encrypted, never answered */
    COL_CREATE_ONLY = 1 << 5, /* ignored in a partial body */
    COL_UPDATE_ONLY = 1 << 6, /* ignored unless the body is partial */
    COL_TRANSIENT = 1 << 7    /* taken, but no column of the table */
};

struct check;

struct column {
    const char *name;
    enum column_type type;
    unsigned flags;
    size_t max, min;           /* length of text in code points, count of array elements; 0: no bound */
    const char *fallback;      /* JSON text that counts when the field is absent from a full body */
    const char *pattern;       /* PCRE2, of text; shown in the error as it is written here */
    const char *ge, *le, *gt, *lt; /* bounds of numbers, as the error shows them */
    const char *choices;       /* of COL_ENUM, separated by '|' */
    const struct column *item; /* of arrays; its name is not looked at */
    const struct body *shape;  /* of objects */
    /* What the table cannot say; only called for a value (not null) that has passed the rest. Reports with check_rule(). */
    void (*check)(struct check *c, const struct json *v);
    /* The text to store where it differs from the one that came; STR_NONE stores null. Called after check. */
    struct str (*normal)(struct arena *a, const struct json *v);
    const char *sql;           /* for resources: the expression to answer with, when it is not the column */
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

#define BODY(schema_name, table) {.name = (schema_name), .columns = (table), .columns_count = nelem(table)}
#define BODY_UPDATE(schema_name, table) \
    {.name = (schema_name), .columns = (table), .columns_count = nelem(table), .flags = BODY_PARTIAL}

/* ---- values: what a checked request holds ---- */

struct value {
    const struct column *column;
    const struct json *json; /* as received, or parsed from the fallback; NULL when absent and in queries */
    bool is_given;           /* named by the caller (null counts, unless it means "unchanged") */
    bool is_set;             /* given, or filled in by the fallback */
    /*
     * Canonical, also as a statement's parameter: text decoded, numbers as written, t or f, a UUID or time in
     * its one form, compact JSON for objects, arrays and COL_ANY. STR_NONE: null, or not set.
     */
    struct str text;
};

struct values {
    struct value *items; /* one per column of the body, in its order */
    size_t count;
};

/* NULL when the body has no such column. */
struct value *values_find(const struct values *v, const char *name);

/* ---- checking a request; 0, or -1 with the 422 answer set ---- */

/* Parses r->body, sets r->json and r->fields. May suspend between the parts of a long text. */
MUST_USE int body_check(struct req *r, const struct body *b);
/* Checks the query string, sets r->query_fields. The last of equal names counts. */
MUST_USE int query_check(struct req *r, const struct body *b);
/* A path parameter that must be a UUID, in its canonical form. */
MUST_USE int path_uuid(struct req *r, const char *name, struct str *id);

/* ---- what was asked, after the check; name must be a column ---- */

bool body_has(const struct req *r, const char *name);     /* given, null included */
bool body_is_null(const struct req *r, const char *name); /* given as null */
struct str body_str(const struct req *r, const char *name);
int64_t body_i64(const struct req *r, const char *name);  /* absent and null: 0 */
bool body_bool(const struct req *r, const char *name);    /* absent and null: false */
double body_double(const struct req *r, const char *name);
const struct json *body_json(const struct req *r, const char *name); /* NULL when absent; JSON null stays a node */

bool query_has(const struct req *r, const char *name);
struct str query_str(const struct req *r, const char *name);
int64_t query_i64(const struct req *r, const char *name);
bool query_bool(const struct req *r, const char *name);

/* skip (default 0) and limit (1 to 1000): spread into a table of query fields. The limit's default differs: 10 §1.4. */
#define QUERY_SKIP {"skip", COL_BIGINT, .ge = "0", .fallback = "0"}
#define QUERY_LIMIT(default_text) {"limit", COL_INT, .ge = "1", .le = "1000", .fallback = (default_text)}

/* ---- the check itself, for documents that are no request and for column hooks ---- */

/* root is the first element of every loc: "body". */
struct check *check_new(struct arena *a, const char *root);
/* Values of object as b says; failures are in c. object must be a JSON object. */
struct values *check_object(struct check *c, const struct body *b, const struct json *object);
bool check_is_clean(const struct check *c);
/* The answer's list: [{"type":…,"loc":[…],"msg":…,"input":…}, …]. */
struct str check_errors(const struct check *c);
/* fail_json(r, 422, check_errors(c)). */
int check_fail(struct req *r, const struct check *c);

/* Goes into a member or an element for the errors that follow, and back. */
void check_enter(struct check *c, const char *name);
void check_enter_str(struct check *c, struct str name);
void check_enter_index(struct check *c, size_t index);
void check_leave(struct check *c);

/* One failing value. ctx is a JSON object, or STR_NONE for none. input NULL is written as null. */
void check_error(struct check *c, const char *type, const struct json *input, struct str ctx, const char *msg, ...)
    PRINTF_LIKE(5, 6);
/* value_error "Value error, <text>" with ctx {"error":{}}. */
void check_rule(struct check *c, const struct json *input, const char *text, ...) PRINTF_LIKE(3, 4);
/* A value against one column, at the place where c is. Whether it has passed. */
bool check_value(struct check *c, const struct column *col, const struct json *v);

/* fail 422 with one value_error at ["body", field], input as received: for rules that only the database can tell. */
int fail_field(struct req *r, const char *field, const char *text);

#endif
