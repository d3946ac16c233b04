#include "source.h"

#include "base/rand.h"

enum { BUCKETS_MIN = 64 };

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static struct source **source_bucket(const struct sources *s, const struct addr *a)
{
    uint64_t halves[2];

    memcpy(halves, a->bytes, sizeof(halves));
    return &s->buckets[mix(mix(halves[0] ^ s->seed) ^ halves[1]) & (s->buckets_count - 1)];
}

void sources_init(struct sources *s)
{
    *s = (struct sources){.buckets_count = BUCKETS_MIN};
    s->buckets = mem_zalloc(s->buckets_count * sizeof(struct source *));
    rand_bytes(&s->seed, sizeof(s->seed));
}

void sources_fini(struct sources *s)
{
    assert(s->count == 0);
    free(s->buckets);
}

static void sources_grow(struct sources *s)
{
    struct source **old = s->buckets;
    size_t old_count = s->buckets_count;

    s->buckets_count *= 2;
    s->buckets = mem_zalloc(s->buckets_count * sizeof(struct source *));
    for (size_t i = 0; i < old_count; i++) {
        for (struct source *source = old[i], *next; source != NULL; source = next) {
            struct source **bucket = source_bucket(s, &source->addr);

            next = source->next;
            source->next = *bucket;
            *bucket = source;
        }
    }
    free(old);
}

static struct source *source_find(const struct sources *s, const struct addr *a)
{
    struct source *source = *source_bucket(s, a);

    while (source != NULL && !addr_eq(&source->addr, a))
        source = source->next;
    return source;
}

unsigned source_connections(const struct sources *s, const struct addr *a)
{
    const struct source *source = source_find(s, a);

    return source != NULL ? source->connections : 0;
}

static struct source *source_new(struct sources *s, const struct addr *a)
{
    struct source *source = mem_zalloc(sizeof(*source));
    struct source **bucket;

    if (++s->count > s->buckets_count)
        sources_grow(s);
    bucket = source_bucket(s, a);
    source->addr = *a;
    source->next = *bucket;
    *bucket = source;
    return source;
}

struct source *source_get(struct sources *s, const struct addr *a)
{
    struct source *source = source_find(s, a);

    if (source == NULL)
        source = source_new(s, a);
    source->connections++;
    return source;
}

void source_put(struct sources *s, struct source *source)
{
    struct source **at = source_bucket(s, &source->addr);

    if (--source->connections > 0)
        return;
    while (*at != source)
        at = &(*at)->next;
    *at = source->next;
    s->count--;
    free(source);
}
