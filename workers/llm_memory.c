#include "workers/llm_memory.h"

static struct hash who_is(struct str provider_id, struct str model)
{
    struct hash_stream s;

    hash_stream_init(&s);
    hash_stream_add(&s, provider_id);
    hash_stream_add(&s, str_of("", 1)); /* NUL is in neither */
    hash_stream_add(&s, model);
    return hash_stream_digest(&s);
}

static int slot_find(const struct llm_memory *m, const struct hash *who)
{
    for (int i = 0; i < LLM_MEMORY_SLOTS; i++) {
        if (m->slots[i].quirks != 0 && str_eq(hash_str(&m->slots[i].who), hash_str(who)))
            return i;
    }
    return -1;
}

unsigned llm_memory_get(const struct llm_memory *m, struct str provider_id, struct str model)
{
    struct hash who = who_is(provider_id, model);
    int i = slot_find(m, &who);

    return i >= 0 ? m->slots[i].quirks : 0;
}

void llm_memory_add(struct llm_memory *m, struct str provider_id, struct str model, unsigned quirk)
{
    struct hash who = who_is(provider_id, model);
    int i = slot_find(m, &who);

    if (i < 0) {
        i = (int)m->next;
        m->next = (m->next + 1) % LLM_MEMORY_SLOTS;
        m->slots[i] = (struct llm_memory_slot){.who = who};
    }
    m->slots[i].quirks |= quirk;
}
