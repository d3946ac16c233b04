/*
 * What every file of the project may use: the few macros, the functions that
 * are forbidden, and nothing else. Includes only the C library's headers, so
 * that the poisoned names are poisoned after their declarations.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define nelem(array) (sizeof(array) / sizeof((array)[0]))

/* The struct of the given type whose member is at pointer. */
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define MUST_USE                 __attribute__((warn_unused_result))
#define NORETURN                 __attribute__((noreturn))
#define UNUSED                   __attribute__((unused))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* The negative value of an expression goes up; anything else goes on. Only handlers/ may use it. */
#define TRY(expression)                                                                                      \
    do {                                                                                                     \
        int try_rc_ = (expression);                                                                          \
        if (try_rc_ < 0)                                                                                     \
            return try_rc_;                                                                                  \
    } while (0)

static inline void auto_close_(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* A descriptor that closes itself when its variable goes out of scope; see fd_take(). */
#define AUTO_CLOSE __attribute__((cleanup(auto_close_)))

/* Hands a descriptor out of an AUTO_CLOSE variable. */
static inline int fd_take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

/* Allocations that fail end the process: limits refuse politely long before. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *p, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));

/* Some of them are macros in some C libraries. */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef alloca
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll atof gets alloca

#endif
