/* Bytes as hexadecimal digits: written in lower case, read in either. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include "base/arena.h"

/* Writes 2 * bytes.n digits, without NUL. */
void hex_encode_to(char *out, struct str bytes);
struct str hex_encode(struct arena *a, struct str bytes);

/* Reads exactly 2 * n digits. 0 or -EINVAL. */
MUST_USE int hex_decode_to(void *out, size_t n, struct str text);

/* The value of one digit, or -1. */
int hex_digit(char c);

#endif
