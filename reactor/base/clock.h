/* Time. Durations are measured on the monotonic clock, dates on the real-time one. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

int64_t clock_mono_ns(void); /* since some fixed point */
int64_t clock_real_us(void); /* since 1970, UTC */

enum { CLOCK_TEXT_SIZE = 32 };

/*
 * Writes 2026-01-02T03:04:05Z, or with six digits of fraction when the
 * microseconds are not 0 (spec 10 §1.3), and returns it as a slice of out.
 */
struct str clock_text(char out[CLOCK_TEXT_SIZE], int64_t real_us);

#endif
