#include "base/buf.h"

enum { BUF_MIN = 256, BUF_KEEP = 16384 };

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

void buf_init_arena(struct buf *b, struct arena *a)
{
    *b = (struct buf){.arena = a};
}

void buf_clear(struct buf *b)
{
    if (b->arena == NULL)
        free(b->p);
    *b = (struct buf){.arena = b->arena};
}

void buf_fini(struct buf *b)
{
    buf_clear(b);
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t used = buf_size(b);
    size_t capacity = b->capacity;

    if (capacity - b->end >= n)
        return b->p + b->end;
    if (n > SIZE_MAX / 4)
        abort();
    if (b->start > 0 && b->start >= used && capacity - used >= n) { /* cheap: less is moved than was read */
        memmove(b->p, b->p + b->start, used);
        b->start = 0;
        b->end = used;
        return b->p + used;
    }
    if (capacity < BUF_MIN)
        capacity = BUF_MIN;
    while (capacity - b->end < n)
        capacity *= 2;
    b->p = b->arena != NULL ? arena_grow(b->arena, b->p, b->capacity, capacity) : mem_realloc(b->p, capacity);
    b->capacity = capacity;
    return b->p + b->end;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= buf_size(b));
    b->start += n;
    if (b->start != b->end)
        return;
    if (b->arena == NULL && b->capacity > BUF_KEEP)
        buf_clear(b);
    b->start = b->end = 0;
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        abort();
    va_start(args, format);
    (void)vsnprintf(buf_reserve(b, (size_t)n + 1), (size_t)n + 1, format, args);
    va_end(args);
    buf_commit(b, (size_t)n);
}

void buf_add_i64(struct buf *b, int64_t value)
{
    buf_commit(b, str_put_i64(buf_reserve(b, STR_I64_MAX), value));
}
