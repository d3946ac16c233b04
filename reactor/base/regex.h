/*
 * Regular expressions of strangers, over PCRE2. The dialect is close to
 * ECMAScript's (what JSON Schema asks for): UTF-8, \d \w \b are ASCII, \p{…}
 * takes the long names too, "$" is the very end.
 *
 * Nothing here is unbounded: patterns are limited in length and nesting, and a
 * search in the work it may do, whatever the pattern and the subject. A pattern
 * is compiled to machine code once it has shown to be used often.
 */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include "base/arena.h"

struct regex; /* leaves with its arena */

enum { REGEX_PATTERN_MAX = 8192 }; /* bytes */

enum regex_flag {
    REGEX_IGNORE_CASE = 1,
    REGEX_WHOLE = 2, /* must match the subject from end to end */
};

/* 0, or -EINVAL with a text for people in *reason (in the arena). */
MUST_USE int regex_compile(struct arena *a, struct str pattern, unsigned flags, struct regex **compiled,
                           struct str *reason);

struct regex_match {
    size_t start, end; /* byte offsets of what was found */
    size_t steps;      /* what the search cost, found or not; 10 ns each at most */
};

/* The first match at or behind from: 1, 0 when there is none, -E2BIG when the limit was reached before. */
MUST_USE int regex_search(struct regex *r, struct str subject, size_t from, struct regex_match *match);

#endif
