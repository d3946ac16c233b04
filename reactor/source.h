/* The addresses that connections come from, and how many each has: one object per address, shared by its
 * connections. */
#ifndef REACTOR_SOURCE_H
#define REACTOR_SOURCE_H

#include "addr.h"

struct source {
    struct source *next; /* in its bucket */
    struct addr addr;
    unsigned connections;
    bool is_trusted; /* a proxy: may open any number */
};

struct sources {
    struct source **buckets;
    size_t buckets_count; /* a power of two */
    size_t count;
    uint64_t seed; /* so that nobody can choose addresses that share a bucket */
};

void sources_init(struct sources *s);
void sources_fini(struct sources *s);

/* How many connections it has. */
unsigned source_connections(const struct sources *s, const struct addr *a);
/* The object of an address, with one connection more; put it back when that one ends. */
struct source *source_get(struct sources *s, const struct addr *a);
void source_put(struct sources *s, struct source *source);

#endif
