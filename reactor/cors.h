/* Which origins may read our answers from a browser (spec 10 §1.8). */
#ifndef REACTOR_CORS_H
#define REACTOR_CORS_H

#include "base/buf.h"

struct cors {
    struct str *origins;
    size_t count;
    bool allows_all;
    struct arena arena;
};

/* list is CORS_ORIGINS: empty means all. domain is DOMAIN, whose console is allowed too; may be empty. */
void cors_init(struct cors *c, struct str list, struct str domain);
void cors_fini(struct cors *c);

/* origin is the request's; STR_NONE without one. */
bool cors_allows(const struct cors *c, struct str origin);

/* Adds the header lines that every answer carries. */
void cors_headers(const struct cors *c, struct str origin, struct buf *out);

#endif
