/*
 * Values held against tables of columns: what they are in their one stored form,
 * or the list of every failing one, as a 422 answer shows it (spec 10 §1.6). Knows no request.
 */
#ifndef HANDLERS_CHECK_H
#define HANDLERS_CHECK_H

#include "handlers/column.h"

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

/* ---- the check; c and all that it makes lives in the arena ---- */

/* root is the first element of every loc: "body". */
struct check *check_new(struct arena *a, const char *root);
/* Values of object as b says; failures are in c. object must be a JSON object. */
struct values *check_object(struct check *c, const struct body *b, const struct json *object);
bool check_is_clean(const struct check *c);
/* The answer's list: [{"type":…,"loc":[…],"msg":…,"input":…}, …]. */
struct str check_errors(const struct check *c);
/* A value that came as text (query, path) against a scalar column; fills in v. */
bool check_text(struct check *c, const struct column *col, struct str text, struct value *v);

/* The value of an absent field: from its column's fallback. */
void check_fallback(struct check *c, struct value *v);

/* Goes into a member or an element for the errors that follow, and back. */
void check_enter(struct check *c, const char *name);
void check_enter_str(struct check *c, struct str name);
void check_enter_index(struct check *c, size_t index);
void check_leave(struct check *c);

/* One failing value. ctx is a JSON object, or STR_NONE for none. input NULL is written as null. */
void check_error(struct check *c, const char *type, const struct json *input, struct str ctx, const char *msg,
                 ...) PRINTF_LIKE(5, 6);
/* value_error "Value error, <text>" with ctx {"error":{}}. */
void check_rule(struct check *c, const struct json *input, const char *text, ...) PRINTF_LIKE(3, 4);
/* A value against one column, at the place where c is. Whether it has passed. */
bool check_value(struct check *c, const struct column *col, const struct json *v);
/* For a column's check: an http or https URL with a host, without blanks and control characters. */
void check_http_url(struct check *c, const struct json *v);

#endif
