#include "base/base.h"

static void *mem_check(void *p)
{
    if (p == NULL) {
        static const char text[] = "sinas: out of memory\n";
        ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

        (void)n;
        abort();
    }
    return p;
}

void *mem_alloc(size_t size)
{
    return mem_check(malloc(size != 0 ? size : 1));
}

void *mem_zalloc(size_t size)
{
    return mem_check(calloc(1, size != 0 ? size : 1));
}

void *mem_realloc(void *p, size_t size)
{
    return mem_check(realloc(p, size != 0 ? size : 1));
}

char *mem_strdup(const char *text)
{
    return mem_check(strdup(text));
}
