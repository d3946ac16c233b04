/*
 * Rate limits (spec 10 §2.8): fixed windows that start with the first hit, counted
 * in Redis for all nodes. While Redis is away each node counts for itself,
 * in a bounded table that forgets the longest unused key first.
 */
#ifndef HANDLERS_LIMIT_H
#define HANDLERS_LIMIT_H

#include "req.h"

enum { LIMIT_KEYS_MAX = 65536 };

struct limits;
struct limits *limits_new(void);
void limits_free(struct limits *l);

struct limit {
    struct str key; /* "login:ip:192.0.2.1" */
    int64_t max;    /* hits that pass */
    int64_t window_s;
};

/* Counts a hit. 0, or -1 with 429 and Retry-After set: it was one too many. */
MUST_USE int limit_hit_await(struct req *r, const struct limit *limit);

/*
 * For limits on failed attempts: limit_check() before the attempt costs nothing, since a node remembers which
 * keys it saw exceed their limit; after a failure limit_hit_await() counts it. 0, or -1 with 429 set.
 */
MUST_USE int limit_check(struct req *r, const struct limit *limit);

#endif
