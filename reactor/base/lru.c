#include "base/lru.h"

void lru_init(struct lru *t, size_t count_max, void (*evict)(struct lru_link *item))
{
    size_t buckets_count = 16;

    assert(count_max != 0);
    while (buckets_count < count_max)
        buckets_count *= 2;
    *t = (struct lru){
        .buckets = mem_alloc(buckets_count * sizeof(*t->buckets)),
        .buckets_count = buckets_count,
        .count_max = count_max,
        .evict = evict,
    };
    for (size_t i = 0; i < buckets_count; i++)
        list_init(&t->buckets[i]);
    list_init(&t->ages);
}

void lru_remove(struct lru *t, struct lru_link *item)
{
    list_remove(&item->bucket);
    list_remove(&item->age);
    t->count--;
}

static void lru_evict(struct lru *t, struct lru_link *item)
{
    lru_remove(t, item);
    t->evict(item);
}

void lru_fini(struct lru *t)
{
    list_each (item, &t->ages, struct lru_link, age)
        lru_evict(t, item);
    free(t->buckets);
}

static struct list *lru_bucket(const struct lru *t, const struct hash *key)
{
    uint64_t number;

    memcpy(&number, key->bytes, sizeof(number));
    return &t->buckets[number & (t->buckets_count - 1)];
}

struct lru_link *lru_find(struct lru *t, const struct hash *key)
{
    list_each (item, lru_bucket(t, key), struct lru_link, bucket) {
        if (memcmp(item->key.bytes, key->bytes, HASH_SIZE) == 0) {
            list_move(&t->ages, &item->age);
            return item;
        }
    }
    return NULL;
}

void lru_add(struct lru *t, struct lru_link *item, const struct hash *key)
{
    struct lru_link *same = lru_find(t, key);

    if (same != NULL)
        lru_evict(t, same);
    else if (t->count == t->count_max)
        lru_evict(t, list_entry(t->ages.next, struct lru_link, age));
    item->key = *key;
    list_append(lru_bucket(t, key), &item->bucket);
    list_append(&t->ages, &item->age);
    t->count++;
}
