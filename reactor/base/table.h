/*
 * Hash table of embedded nodes by a text key. The key's bytes belong to the
 * item and must not change while it is in the table. Hashing is SipHash with a
 * random key: others choose some of the keys.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include "base/str.h"

struct table_node {
    struct table_node *next;
    uint64_t hash;
    struct str key;
};

struct table {
    struct table_node **slots;
    size_t slots_count; /* a power of two, or 0 */
    size_t count;
    unsigned char secret[16];
};

void table_init(struct table *t);
void table_fini(struct table *t); /* the items are the caller's */

/* Adds the node under key; the key must not be in the table yet. */
void table_add(struct table *t, struct table_node *node, struct str key);
void table_remove(struct table *t, struct table_node *node);
struct table_node *table_find(const struct table *t, struct str key); /* or NULL */

#endif
