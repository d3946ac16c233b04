/*
 * A validation at work; for json_schema_validate.c, which is the machine, and
 * json_schema_check.c, which has the operations that need no other schema.
 */
#ifndef BASE_JSON_SCHEMA_RUN_H
#define BASE_JSON_SCHEMA_RUN_H

#include "base/json_schema_parts.h"

/* What an operation answers. */
enum { DONE, FAILED, WAIT };

enum way { WAY_IN_PLACE, WAY_MEMBER, WAY_ELEMENT }; /* how a frame's value lies in its parent's */

struct frame {
    const struct schema *schema;
    const struct json *value;
    const struct json *item;
    uint64_t *evaluated; /* bit per member or element; NULL: none */
    const struct json *name;
    size_t place; /* of the element in its array */
    size_t op, step, index, matched;
    enum way way;
    bool verdict; /* of the last frame it waited for */
    bool is_quiet;
    bool collects; /* somebody needs to know what was evaluated */
    bool merges;   /* what it evaluated counts for its parent */
};

struct validation {
    struct arena *arena;
    struct frame *frames;
    size_t depth, capacity;
    size_t steps;
    struct json_schema_error *error;
    bool verdict;
};

/* These set the error, when the frame is not quiet, and answer FAILED. */
int schema_fail_frame(struct validation *v, const struct frame *f, const char *format, ...) PRINTF_LIKE(3, 4);
/* "<value> <text>" */
int schema_fail_value(struct validation *v, const struct frame *f, const char *text);
/* "<value> <text> <keyword's value>" */
int schema_fail_against(struct validation *v, const struct frame *f, const char *text,
                        const struct json *wanted);

/* What takes too long does not match. */
bool schema_pattern_matches(struct validation *v, const struct op_pattern *pattern, struct str text);

int schema_check_type(struct validation *v, struct frame *f, const struct op *op);
int schema_check_enum(struct validation *v, struct frame *f, const struct op *op);
int schema_check_const(struct validation *v, struct frame *f, const struct op *op);
int schema_check_minimum(struct validation *v, struct frame *f, const struct op *op);
int schema_check_maximum(struct validation *v, struct frame *f, const struct op *op);
int schema_check_exclusive_minimum(struct validation *v, struct frame *f, const struct op *op);
int schema_check_exclusive_maximum(struct validation *v, struct frame *f, const struct op *op);
int schema_check_multiple_of(struct validation *v, struct frame *f, const struct op *op);
int schema_check_min_length(struct validation *v, struct frame *f, const struct op *op);
int schema_check_max_length(struct validation *v, struct frame *f, const struct op *op);
int schema_check_pattern(struct validation *v, struct frame *f, const struct op *op);
int schema_check_format(struct validation *v, struct frame *f, const struct op *op);
int schema_check_min_items(struct validation *v, struct frame *f, const struct op *op);
int schema_check_max_items(struct validation *v, struct frame *f, const struct op *op);
int schema_check_unique_items(struct validation *v, struct frame *f, const struct op *op);
int schema_check_min_properties(struct validation *v, struct frame *f, const struct op *op);
int schema_check_max_properties(struct validation *v, struct frame *f, const struct op *op);

#endif
