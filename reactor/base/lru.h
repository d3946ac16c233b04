/*
 * A bounded table of items by a 32-byte key that forgets the least recently used
 * one when it is full. Links are embedded in the items; the table owns neither
 * their memory nor its keys, which must be spread evenly (hashes, random ids).
 */
#ifndef BASE_LRU_H
#define BASE_LRU_H

#include "base/hash.h"
#include "base/list.h"

struct lru_link {
    struct list bucket, age;
    struct hash key;
};

struct lru {
    struct list *buckets;
    size_t buckets_count; /* a power of two */
    struct list ages;     /* oldest first */
    size_t count, count_max;
    void (*evict)(struct lru_link *item); /* is off the table already */
};

/* count_max must not be 0. */
void lru_init(struct lru *t, size_t count_max, void (*evict)(struct lru_link *item));
/* Evicts everything. */
void lru_fini(struct lru *t);

/* The item of that key, which becomes the youngest, or NULL. */
struct lru_link *lru_find(struct lru *t, const struct hash *key);

/* Adds an item under its key; one of the same key, or else the oldest of a full table, is evicted. */
void lru_add(struct lru *t, struct lru_link *item, const struct hash *key);

/* Takes an item off without evict(). */
void lru_remove(struct lru *t, struct lru_link *item);

#endif
