#include "base/clock.h"

#include <time.h>

int64_t clock_mono_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_real_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct str clock_text(char out[CLOCK_TEXT_SIZE], int64_t real_us)
{
    int64_t micro = real_us % 1000000;
    time_t seconds = (time_t)(real_us / 1000000);
    struct tm tm;
    size_t n;

    if (micro < 0) {
        micro += 1000000;
        seconds--;
    }
    if (gmtime_r(&seconds, &tm) == NULL)
        return STR_NONE;
    n = strftime(out, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    if (micro != 0)
        n += (size_t)snprintf(out + n, CLOCK_TEXT_SIZE - n, ".%06d", (int)micro);
    out[n++] = 'Z';
    return str_of(out, n);
}
