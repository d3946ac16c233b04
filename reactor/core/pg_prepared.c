/* Which statements a connection has prepared: a hash table by the statement's address. */
#include "core/pg_conn.h"

static unsigned slot_of(const struct pg_prepared_set *set, const struct sql_stmt *stmt)
{
    uint64_t hash = (uint64_t)(uintptr_t)stmt * UINT64_C(0x9E3779B97F4A7C15);
    unsigned at = (unsigned)(hash >> 32) & (set->capacity - 1);

    while (set->slots[at].stmt != NULL && set->slots[at].stmt != stmt)
        at = (at + 1) & (set->capacity - 1);
    return at;
}

static void grow(struct pg_prepared_set *set)
{
    struct pg_prepared_set bigger = {.capacity = set->capacity != 0 ? set->capacity * 2 : 32};

    bigger.slots = mem_zalloc(bigger.capacity * sizeof(*bigger.slots));
    for (unsigned i = 0; i < set->capacity; i++) {
        if (set->slots[i].stmt != NULL)
            bigger.slots[slot_of(&bigger, set->slots[i].stmt)] = set->slots[i];
    }
    bigger.count = set->count;
    free(set->slots);
    *set = bigger;
}

enum pg_prepared_state pg_prepared_get(const struct pg_prepared_set *set, const struct sql_stmt *stmt)
{
    const struct pg_prepared *slot;

    if (set->capacity == 0)
        return PREPARED_NOT;
    slot = &set->slots[slot_of(set, stmt)]; /* an empty one says PREPARED_NOT */
    if (slot->strikes >= PG_STRIKES_MAX)
        return PREPARED_NEVER;
    return slot->is_prepared ? PREPARED_YES : PREPARED_NOT;
}

static struct pg_prepared *slot_for(struct pg_prepared_set *set, const struct sql_stmt *stmt)
{
    struct pg_prepared *slot;

    if (set->count * 2 >= set->capacity)
        grow(set);
    slot = &set->slots[slot_of(set, stmt)];
    if (slot->stmt == NULL) {
        slot->stmt = stmt;
        set->count++;
    }
    return slot;
}

void pg_prepared_put(struct pg_prepared_set *set, const struct sql_stmt *stmt)
{
    slot_for(set, stmt)->is_prepared = true;
}

void pg_prepared_forget(struct pg_prepared_set *set, const struct sql_stmt *stmt)
{
    slot_for(set, stmt)->is_prepared = false;
}

void pg_prepared_lost(struct pg_prepared_set *set, const struct sql_stmt *stmt)
{
    struct pg_prepared *slot = slot_for(set, stmt);

    slot->is_prepared = false;
    slot->strikes++;
}

void pg_prepared_avoid(struct pg_prepared_set *set, const struct sql_stmt *stmt)
{
    slot_for(set, stmt)->strikes = PG_STRIKES_MAX;
}

void pg_prepared_fini(struct pg_prepared_set *set)
{
    free(set->slots);
    *set = (struct pg_prepared_set){0};
}
