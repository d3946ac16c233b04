/* What providers turned out not to support, per provider and model, for as long as the process lives.
 * Bounded. */
#ifndef WORKERS_LLM_MEMORY_H
#define WORKERS_LLM_MEMORY_H

#include "base/hash.h"

enum { LLM_MEMORY_SLOTS = 512 };

struct llm_memory {
    struct llm_memory_slot {
        struct hash who;
        unsigned quirks; /* 0: free */
    } slots[LLM_MEMORY_SLOTS];
    unsigned next; /* the oldest is replaced when all are taken */
};

unsigned llm_memory_get(const struct llm_memory *m, struct str provider_id, struct str model);
void llm_memory_add(struct llm_memory *m, struct str provider_id, struct str model, unsigned quirk);

#endif
