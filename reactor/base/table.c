#include "base/table.h"

#include <sodium.h>

enum { TABLE_SLOTS_MIN = 16 };

void table_init(struct table *t)
{
    static_assert(sizeof(t->secret) == crypto_shorthash_KEYBYTES, "SipHash key");
    *t = (struct table){0};
    randombytes_buf(t->secret, sizeof(t->secret));
}

void table_fini(struct table *t)
{
    free(t->slots);
    *t = (struct table){0};
}

static uint64_t table_hash(const struct table *t, struct str key)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t hash;

    (void)crypto_shorthash(out, (const unsigned char *)key.p, key.n, t->secret);
    memcpy(&hash, out, sizeof(hash));
    return hash;
}

static struct table_node **table_slot(const struct table *t, uint64_t hash)
{
    return &t->slots[hash & (t->slots_count - 1)];
}

static void table_grow(struct table *t)
{
    struct table bigger = *t;

    bigger.slots_count = t->slots_count != 0 ? t->slots_count * 2 : TABLE_SLOTS_MIN;
    bigger.slots = mem_zalloc(bigger.slots_count * sizeof(*bigger.slots));
    for (size_t i = 0; i < t->slots_count; i++) {
        struct table_node *node = t->slots[i];

        while (node != NULL) {
            struct table_node *next = node->next;
            struct table_node **slot = table_slot(&bigger, node->hash);

            node->next = *slot;
            *slot = node;
            node = next;
        }
    }
    free(t->slots);
    *t = bigger;
}

void table_add(struct table *t, struct table_node *node, struct str key)
{
    struct table_node **slot;

    if (t->count >= t->slots_count)
        table_grow(t);
    node->key = key;
    node->hash = table_hash(t, key);
    slot = table_slot(t, node->hash);
    node->next = *slot;
    *slot = node;
    t->count++;
}

void table_remove(struct table *t, struct table_node *node)
{
    struct table_node **at = table_slot(t, node->hash);

    while (*at != node) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    t->count--;
}

struct table_node *table_find(const struct table *t, struct str key)
{
    uint64_t hash;

    if (t->count == 0)
        return NULL;
    hash = table_hash(t, key);
    for (struct table_node *node = *table_slot(t, hash); node != NULL; node = node->next) {
        if (node->hash == hash && str_eq(node->key, key))
            return node;
    }
    return NULL;
}
