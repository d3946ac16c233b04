/* SHA-256 and HMAC-SHA256 (BearSSL). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/arena.h"

#include <bearssl/bearssl_hash.h>
#include <bearssl/bearssl_hmac.h>

enum { HASH_SIZE = 32, HASH_HEX_SIZE = 64 };

/* A digest as bytes; hash_str() to compare it with str_eq_secret() or to encode it. */
struct hash {
    unsigned char bytes[HASH_SIZE];
};

static inline struct str hash_str(const struct hash *h)
{
    return str_of((const char *)h->bytes, HASH_SIZE);
}

struct hash hash_sha256(struct str text);
struct hash hash_hmac(struct str key, struct str text);

/* As 64 lower-case digits in the arena: the form in which tokens and keys are stored. */
struct str hash_sha256_hex(struct arena *a, struct str text);
struct str hash_hmac_hex(struct arena *a, struct str key, struct str text);

/* Piece by piece: init, add any number of times, then the digest so far. */
struct hash_stream {
    br_sha256_context context;
};

void hash_stream_init(struct hash_stream *s);
void hash_stream_add(struct hash_stream *s, struct str piece);
struct hash hash_stream_digest(const struct hash_stream *s);

/* The same for an HMAC. Wipe it with sodium_memzero() when the key is a secret. */
struct hash_mac {
    br_hmac_context context;
};

void hash_mac_init(struct hash_mac *m, struct str key);
void hash_mac_add(struct hash_mac *m, struct str piece);
struct hash hash_mac_digest(const struct hash_mac *m);

#endif
