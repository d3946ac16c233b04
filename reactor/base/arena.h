/*
 * A region of memory that is freed all at once: each request, turn and parsed
 * document has one. Not for long-lived objects: nothing is freed singly.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_block;
struct arena_deferred;

struct arena {
    struct arena_block *blocks; /* newest first; all but the newest are full */
    struct arena_deferred *deferred;
    size_t bytes; /* handed out so far, for limits and statistics */
};

void arena_init(struct arena *a);

/* Runs the deferred functions, newest first, then frees everything. May be used again afterwards. */
void arena_fini(struct arena *a);

/* The same, but keeps the first block: for work that is done again and again. */
void arena_clear(struct arena *a);

/* Memory aligned for any type. Never fails (see mem_alloc). */
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));
void *arena_zalloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));

/* For char data: no alignment. */
char *arena_bytes(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));

/*
 * Grows an earlier piece, in place where it is the newest. The old bytes are
 * copied otherwise. p may be NULL with old_size 0.
 */
void *arena_grow(struct arena *a, void *p, size_t old_size, size_t new_size) __attribute__((returns_nonnull));

/* A copy, terminated by NUL behind its n bytes. */
struct str arena_str(struct arena *a, struct str s);
char *arena_cstr(struct arena *a, struct str s);

char *arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
struct str arena_strf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
struct str arena_vstrf(struct arena *a, const char *format, va_list args) PRINTF_LIKE(2, 0);

/* What is not memory leaves with the arena: free_it(thing) is called by arena_fini(). It must not suspend. */
void arena_defer(struct arena *a, void (*free_it)(void *thing), void *thing);

#endif
