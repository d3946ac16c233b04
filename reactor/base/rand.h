/* Random numbers from the kernel's generator: the only source of keys, tokens, codes and ids. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include "base/arena.h"

void rand_bytes(void *out, size_t n);

/* Each of 0 … n-1 with the same probability; n must not be 0. */
uint32_t rand_below(uint32_t n);

enum { RAND_TOKEN_SIZE = 43, RAND_CODE_MAX = 9 };

/* 256 random bits as 43 URL-safe characters: refresh tokens, API keys. */
struct str rand_token(struct arena *a);

/* So many decimal digits (1 to RAND_CODE_MAX), leading zeros kept: one-time codes. */
struct str rand_code(struct arena *a, unsigned digits);

#endif
