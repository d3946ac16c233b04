#include "base/lru.h"
#include "test.h"

struct thing {
    struct lru_link link;
    bool was_evicted;
};

static void on_evict(struct lru_link *item)
{
    container_of(item, struct thing, link)->was_evicted = true;
}

static struct hash key_of(unsigned char n)
{
    struct hash key = {{n}};

    return key;
}

static bool has(struct lru *t, unsigned char n)
{
    struct hash key = key_of(n);

    return lru_find(t, &key) != NULL;
}

static void add(struct lru *t, struct thing *thing, unsigned char n)
{
    struct hash key = key_of(n);

    lru_add(t, &thing->link, &key);
}

TEST(lru_evicts_the_least_recently_used)
{
    struct lru t;
    struct thing things[4] = {0};

    lru_init(&t, 3, on_evict);
    for (unsigned char i = 0; i < 3; i++)
        add(&t, &things[i], i);
    CHECK(has(&t, 0)); /* now the youngest */
    add(&t, &things[3], 3);
    CHECK(things[1].was_evicted && !has(&t, 1));
    CHECK(has(&t, 0) && has(&t, 2) && has(&t, 3));
    CHECK(t.count == 3);
    lru_fini(&t);
    CHECK(things[0].was_evicted && things[2].was_evicted && things[3].was_evicted);
}

TEST(lru_replaces_the_item_of_the_same_key)
{
    struct lru t;
    struct thing old = {0}, new = {0};
    struct hash key = key_of(7);

    lru_init(&t, 3, on_evict);
    add(&t, &old, 7);
    add(&t, &new, 7);
    CHECK(old.was_evicted && !new.was_evicted);
    CHECK(lru_find(&t, &key) == &new.link);
    CHECK(t.count == 1);
    lru_remove(&t, &new.link);
    CHECK(!new.was_evicted &&t.count == 0 && !has(&t, 7));
    lru_fini(&t);
}

TEST(lru_keeps_keys_of_one_bucket_apart)
{
    struct lru t;
    struct thing one = {0}, other = {0};
    struct hash key_a = {{1}}, key_b = {{1}};

    key_b.bytes[31] = 1; /* the first 8 bytes choose the bucket */
    lru_init(&t, 8, on_evict);
    lru_add(&t, &one.link, &key_a);
    lru_add(&t, &other.link, &key_b);
    CHECK(lru_find(&t, &key_a) == &one.link);
    CHECK(lru_find(&t, &key_b) == &other.link);
    lru_fini(&t);
}
