/*
 * A growable run of bytes, on the heap (buf_init, buf_fini) or in an arena
 * (buf_init_arena; nothing to free). Reads take from the front, writes add at
 * the end. An empty buffer holds no memory.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/arena.h"

struct buf {
    char *p;         /* start of the storage */
    size_t start;    /* first unread byte */
    size_t end;      /* behind the last byte */
    size_t capacity; /* of the storage */
    struct arena *arena;
};

void buf_init(struct buf *b);
void buf_init_arena(struct buf *b, struct arena *a);
void buf_fini(struct buf *b);

static inline size_t buf_size(const struct buf *b)
{
    return b->end - b->start;
}

/* What is unread. Valid until the next write. */
static inline struct str buf_str(const struct buf *b)
{
    return b->p != NULL ? str_of(b->p + b->start, b->end - b->start) : STR("");
}

/* Room for n bytes at the returned place; buf_commit() says how many were written. */
char *buf_reserve(struct buf *b, size_t n) __attribute__((returns_nonnull));

static inline void buf_commit(struct buf *b, size_t n)
{
    assert(b->capacity - b->end >= n);
    b->end += n;
}

/* Drops n bytes from the front. A heap buffer that becomes empty gives its memory back above 16 KiB. */
void buf_consume(struct buf *b, size_t n);

/* Drops everything and, on the heap, all memory. */
void buf_clear(struct buf *b);

static inline void buf_add(struct buf *b, struct str s)
{
    if (s.n != 0) {
        memcpy(buf_reserve(b, s.n), s.p, s.n);
        buf_commit(b, s.n);
    }
}

static inline void buf_add_byte(struct buf *b, char byte)
{
    *buf_reserve(b, 1) = byte;
    buf_commit(b, 1);
}

void buf_addf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* A decimal number, faster than buf_addf. */
void buf_add_i64(struct buf *b, int64_t value);

#endif
