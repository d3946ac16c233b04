#include "base/arena.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
enum { ARENA_REDZONE = 16 }; /* poisoned bytes between pieces, so that overruns are seen */
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { ARENA_REDZONE = 0 };
#endif

enum {
    ARENA_ALIGN = 16,
    ARENA_BLOCK_MIN = 4096, /* first block, header included */
    ARENA_BLOCK_MAX = 65536 /* later blocks double up to this; larger pieces get a block of their own */
};

struct arena_block {
    struct arena_block *older;
    size_t size; /* of data */
    size_t used;
    _Alignas(ARENA_ALIGN) char data[];
};

struct arena_deferred {
    struct arena_deferred *older;
    void (*free_it)(void *thing);
    void *thing;
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

static void arena_run_deferred(struct arena *a)
{
    while (a->deferred != NULL) {
        struct arena_deferred *d = a->deferred;

        a->deferred = d->older;
        d->free_it(d->thing);
    }
}

/* The newest block goes. */
static void arena_free_block(struct arena *a)
{
    struct arena_block *block = a->blocks;

    a->blocks = block->older;
    UNPOISON(block->data, block->size);
    free(block);
}

void arena_fini(struct arena *a)
{
    arena_run_deferred(a);
    while (a->blocks != NULL)
        arena_free_block(a);
    a->bytes = 0;
}

void arena_clear(struct arena *a)
{
    arena_run_deferred(a);
    while (a->blocks != NULL && (a->blocks->older != NULL || a->blocks->size > ARENA_BLOCK_MAX))
        arena_free_block(a);
    if (a->blocks != NULL) {
        a->blocks->used = 0;
        POISON(a->blocks->data, a->blocks->size);
    }
    a->bytes = 0;
}

static struct arena_block *arena_block_new(struct arena *a, size_t need)
{
    size_t size = a->blocks != NULL ? a->blocks->size * 2 : ARENA_BLOCK_MIN - sizeof(struct arena_block);
    struct arena_block *block;

    if (size > ARENA_BLOCK_MAX)
        size = ARENA_BLOCK_MAX;
    if (size < need)
        size = need;
    block = mem_alloc(sizeof(*block) + size);
    block->size = size;
    block->used = 0;
    POISON(block->data, size);
    block->older = a->blocks;
    a->blocks = block;
    return block;
}

static char *arena_take(struct arena *a, size_t size, size_t align)
{
    struct arena_block *block = a->blocks;
    size_t start = block != NULL ? (block->used + align - 1) & ~(align - 1) : 0;

    if (block == NULL || start > block->size || block->size - start < size + ARENA_REDZONE) {
        if (size > SIZE_MAX / 2)
            abort();
        block = arena_block_new(a, size + ARENA_REDZONE);
        start = 0;
    }
    block->used = start + size + ARENA_REDZONE;
    a->bytes += size;
    UNPOISON(block->data + start, size);
    return block->data + start;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return arena_take(a, size, ARENA_ALIGN);
}

void *arena_zalloc(struct arena *a, size_t size)
{
    return memset(arena_take(a, size, ARENA_ALIGN), 0, size);
}

char *arena_bytes(struct arena *a, size_t size)
{
    return arena_take(a, size, 1);
}

void *arena_grow(struct arena *a, void *p, size_t old_size, size_t new_size)
{
    struct arena_block *block = a->blocks;
    void *copy;

    if (new_size <= old_size && p != NULL)
        return p;
    if (p != NULL && (char *)p + old_size + ARENA_REDZONE == block->data + block->used &&
        block->size - block->used >= new_size - old_size) {
        block->used += new_size - old_size;
        a->bytes += new_size - old_size;
        UNPOISON((char *)p + old_size, new_size - old_size);
        return p;
    }
    copy = arena_alloc(a, new_size);
    if (old_size != 0)
        memcpy(copy, p, old_size);
    return copy;
}

char *arena_cstr(struct arena *a, struct str s)
{
    char *copy = arena_bytes(a, s.n + 1);

    if (s.n != 0)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

struct str arena_str(struct arena *a, struct str s)
{
    return str_is_none(s) ? STR_NONE : str_of(arena_cstr(a, s), s.n);
}

struct str arena_vstrf(struct arena *a, const char *format, va_list args)
{
    va_list again;
    char *text;
    int n;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    if (n < 0)
        abort();
    text = arena_bytes(a, (size_t)n + 1);
    (void)vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return str_of(text, (size_t)n);
}

struct str arena_strf(struct arena *a, const char *format, ...)
{
    struct str text;
    va_list args;

    va_start(args, format);
    text = arena_vstrf(a, format, args);
    va_end(args);
    return text;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    struct str text;
    va_list args;

    va_start(args, format);
    text = arena_vstrf(a, format, args);
    va_end(args);
    return (char *)(uintptr_t)text.p;
}

void arena_defer(struct arena *a, void (*free_it)(void *thing), void *thing)
{
    struct arena_deferred *d = arena_alloc(a, sizeof(*d));

    d->free_it = free_it;
    d->thing = thing;
    d->older = a->deferred;
    a->deferred = d;
}
