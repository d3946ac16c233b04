/*
 * How a parsed value lies in memory; for the json_*.c files only.
 *
 * Nodes of 16 bytes in document order. Containers and strings with escapes
 * have a second slot behind them that says what the first has no room for:
 * the number of children, or the decoded text. The span is the number of slots
 * of a value with everything inside it, so the next value is at v + span.
 */
#ifndef BASE_JSON_NODE_H
#define BASE_JSON_NODE_H

#include "base/json.h"

struct json {
    const char *p; /* first source byte; in a second slot the decoded text */
    uint32_t n;    /* source bytes; in a second slot the children or the decoded bytes */
    uint32_t info; /* type, flag, span */
};

enum {
    JSON_TYPE_MASK = 7,
    JSON_FLAG = 8, /* bool: true; number: has a fraction or an exponent; string: has escapes */
    JSON_SPAN_SHIFT = 4,
    JSON_TEXT_MAX = (1 << 28) - 1 /* a value never has more slots than bytes, so that spans fit */
};

static inline uint32_t json_info(enum json_type type, uint32_t span)
{
    return (uint32_t)type | span << JSON_SPAN_SHIFT;
}

static inline enum json_type json_node_type(const struct json *v)
{
    return (enum json_type)(v->info & JSON_TYPE_MASK);
}

static inline uint32_t json_span(const struct json *v)
{
    return v->info >> JSON_SPAN_SHIFT;
}

static inline bool json_is_container(const struct json *v)
{
    return json_node_type(v) >= JSON_ARRAY;
}

/* The decoded text of a string node. */
static inline struct str json_node_text(const struct json *v)
{
    return (v->info & JSON_FLAG) != 0 ? str_of(v[1].p, v[1].n) : str_of(v->p + 1, v->n - 2);
}

/*
 * A number taken apart: sign, digits × 10^exponent, without leading and
 * trailing zeros; zero has no digits. The digits may be interrupted by one dot.
 */
struct json_decimal {
    struct str digits;
    size_t count;     /* digits without the dot */
    int64_t exponent; /* saturates far outside of any use */
    bool is_negative;
};

void json_decimal_read(struct json_decimal *d, struct str number);
/* <0, 0, >0 as a is less than, equal to or greater than b. */
int json_decimal_compare(const struct json_decimal *a, const struct json_decimal *b);

/* The shortest text that reads back; n is finite. */
void json_number_write(struct buf *out, double n);

/*
 * A total order of all values in which those that json_equal() are equal.
 * Adds to *steps about one for each value looked at.
 */
int json_compare(const struct json *a, const struct json *b, size_t *steps);

/* Members of an object, equal names counted once. */
size_t json_count_names(const struct json *object);

#endif
