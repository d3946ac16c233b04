/*
 * JSON Schema, draft 2020-12 and draft 7 (chosen by "$schema"; 2020-12 is the
 * default). A schema is compiled once and may be used any number of times.
 * "$ref" is never fetched: other documents are found only among those that
 * the caller hands in. "format" is asserted for the formats the contract lists.
 * "pattern" is PCRE2 in UTF mode with match and depth limits; a pattern that exceeds
 * them counts as not matching.
 */
#ifndef BASE_JSON_SCHEMA_H
#define BASE_JSON_SCHEMA_H

#include "base/json.h"

enum { JSON_SCHEMA_STEPS_MAX = 4000000 }; /* of one validation; about 10 ns each */

struct json_schema;

struct json_schema_document {
    struct str uri;
    const struct json *value;
};

struct json_schema_options {
    const struct json_schema_document *documents; /* that "$ref" may reach */
    size_t documents_count;
    bool draft7;        /* default dialect when the schema names none */
    bool assert_format; /* the contract's rule for user schemas; the suite's required cases run without */
};

/*
 * Compiles. 0, or -EINVAL with a text for people in *reason (in the arena).
 * The schema's nodes must live as long as the arena.
 */
MUST_USE int json_schema_compile(struct arena *a, const struct json *schema,
                                 const struct json_schema_options *options, struct json_schema **compiled,
                                 struct str *reason);

struct json_schema_error {
    struct str path;    /* JSON pointer into the instance, "" for its root */
    struct str message; /* one sentence, e.g. "'age' is a required property" */
};

/*
 * 0 when value is valid, else -EINVAL and the first error met (in a). NULL is
 * taken for null; of equal names in an object every member must be valid.
 * Work is bounded: -E2BIG when a hostile schema would take more than
 * JSON_SCHEMA_STEPS_MAX steps.
 */
MUST_USE int json_schema_validate(struct arena *a, const struct json_schema *s, const struct json *value,
                                  struct json_schema_error *error);

#endif
