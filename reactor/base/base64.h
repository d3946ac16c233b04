/*
 * Base64 (RFC 4648), both alphabets. Decoding is strict: no blanks, padding
 * exactly as the form says, and unused bits of the last digit must be 0, so
 * that every sequence of bytes has one text only.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/arena.h"

enum base64_form {
    BASE64_STANDARD, /* + and /, padded */
    BASE64_STANDARD_UNPADDED,
    BASE64_URL,          /* - and _, padded */
    BASE64_URL_UNPADDED, /* JWT and our own tokens */
};

size_t base64_encoded_size(enum base64_form form, size_t n);
/* The most bytes that n characters can stand for. */
static inline size_t base64_decoded_max(size_t n)
{
    return n / 4 * 3 + 3;
}

/* Writes base64_encoded_size() characters, without NUL, and returns that number. */
size_t base64_encode_to(char *out, enum base64_form form, struct str bytes);
struct str base64_encode(struct arena *a, enum base64_form form, struct str bytes);

/* The number of bytes written to out (of size bytes), or -EINVAL, -ENOSPC. */
MUST_USE ssize_t base64_decode_to(void *out, size_t size, enum base64_form form, struct str text);
/* 0 or -EINVAL. */
MUST_USE int base64_decode(struct arena *a, enum base64_form form, struct str text, struct str *bytes);

#endif
