/*
 * The fields of a request: its body, query and path are checked against tables of
 * columns (check.h) and become values, or the 422 answer that lists every
 * failing field (spec 10 §1.6).
 */
#ifndef HANDLERS_FIELDS_H
#define HANDLERS_FIELDS_H

#include "handlers/check.h"
#include "req.h"

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
int64_t body_i64(const struct req *r, const char *name); /* absent and null: 0 */
bool body_bool(const struct req *r, const char *name);   /* absent and null: false */
double body_double(const struct req *r, const char *name);
const struct json *body_json(const struct req *r,
                             const char *name); /* or the fallback, or NULL; null is a node */

bool query_has(const struct req *r, const char *name);
struct str query_str(const struct req *r, const char *name);
int64_t query_i64(const struct req *r, const char *name);
bool query_bool(const struct req *r, const char *name);

/* skip (default 0) and limit (1 to 1000): spread into a table of query fields. The limit's default differs:
 * 10 §1.4. */
#define QUERY_SKIP                                                                                           \
    {                                                                                                        \
        "skip", COL_BIGINT, .ge = "0", .fallback = "0"                                                       \
    }
#define QUERY_LIMIT(default_text)                                                                            \
    {                                                                                                        \
        "limit", COL_INT, .ge = "1", .le = "1000", .fallback = (default_text)                                \
    }

/* fail 422 with one value_error at ["body", field], input as received: for rules that only the database can
 * tell. */
int fail_field(struct req *r, const char *field, const char *text);

#endif
