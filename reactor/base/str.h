/*
 * Text as a slice, passed by value. A slice does not own its bytes: whoever
 * made it says how long they live. Bytes need not be terminated and may hold
 * NUL. {NULL, 0} is "absent"; STR("") is empty and present.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/base.h"

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_INIT(literal)                                                                                    \
    {                                                                                                        \
        "" literal, sizeof(literal) - 1                                                                      \
    } /* for static initialisers */
#define STR_NONE   ((struct str){NULL, 0})
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p != NULL ? (s).p : ""

static inline struct str str_of(const char *p, size_t n)
{
    return (struct str){p, n};
}

/* A terminated string as a slice; NULL becomes STR_NONE. */
static inline struct str str_from(const char *terminated)
{
    return (struct str){terminated, terminated != NULL ? strlen(terminated) : 0};
}

static inline bool str_is_none(struct str s)
{
    return s.p == NULL;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline struct str str_from_offset(struct str s, size_t offset)
{
    assert(offset <= s.n);
    return (struct str){offset != 0 ? s.p + offset : s.p, s.n - offset}; /* NULL + 0 is undefined in C */
}

static inline struct str str_head(struct str s, size_t n)
{
    assert(n <= s.n);
    return (struct str){s.p, n};
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_head(s, prefix.n), prefix);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_from_offset(s, s.n - suffix.n), suffix);
}

/* ASCII case is ignored, other bytes compare as they are. */
bool str_ieq(struct str a, struct str b);

/* memcmp order, shorter first when one is the other's head. */
int str_cmp(struct str a, struct str b);

/* Offset of the first (last) occurrence, or -1. */
ssize_t str_find_byte(struct str s, char byte);
ssize_t str_rfind_byte(struct str s, char byte);
ssize_t str_find(struct str s, struct str needle);

/* Without leading and trailing ASCII white space. */
struct str str_trim(struct str s);

/*
 * Cuts at the first separator: returns what is before it and leaves what is
 * behind it in *rest. Without a separator returns all and leaves STR_NONE.
 */
struct str str_cut(struct str *rest, char separator);

/* The whole slice as a decimal number, optional '-', no blanks, no '+'. 0 or -EINVAL, -ERANGE. */
MUST_USE int str_to_i64(struct str s, int64_t *value);

/* The digits of a number at out, without a NUL; their number. */
enum { STR_I64_MAX = 20 };
size_t str_put_i64(char *out, int64_t value);

/* Whether the bytes are valid UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(struct str s);

/* Bytes of the valid UTF-8 sequence at the head of s, or 0. */
size_t str_utf8_sequence(struct str s);

/* Number of code points of valid UTF-8. */
size_t str_utf8_length(struct str s);

/* The longest head of at most max bytes that ends on a UTF-8 boundary. */
struct str str_utf8_head(struct str s, size_t max);

/* Equal lengths and bytes, in time that depends on the lengths only. */
bool str_eq_secret(struct str a, struct str b);

#endif
