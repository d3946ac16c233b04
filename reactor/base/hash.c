#include "base/hash.h"

#include "base/hex.h"

#include <sodium.h>

void hash_stream_init(struct hash_stream *s)
{
    br_sha256_init(&s->context);
}

void hash_stream_add(struct hash_stream *s, struct str piece)
{
    br_sha256_update(&s->context, piece.p, piece.n);
}

struct hash hash_stream_digest(const struct hash_stream *s)
{
    struct hash h;

    br_sha256_out(&s->context, h.bytes);
    return h;
}

struct hash hash_sha256(struct str text)
{
    struct hash_stream s;

    hash_stream_init(&s);
    hash_stream_add(&s, text);
    return hash_stream_digest(&s);
}

void hash_mac_init(struct hash_mac *m, struct str key)
{
    br_hmac_key_context prepared;

    br_hmac_key_init(&prepared, &br_sha256_vtable, key.p, key.n);
    br_hmac_init(&m->context, &prepared, 0);
    sodium_memzero(&prepared, sizeof(prepared));
}

void hash_mac_add(struct hash_mac *m, struct str piece)
{
    br_hmac_update(&m->context, piece.p, piece.n);
}

struct hash hash_mac_digest(const struct hash_mac *m)
{
    struct hash h;

    br_hmac_out(&m->context, h.bytes);
    return h;
}

struct hash hash_hmac(struct str key, struct str text)
{
    struct hash_mac m;
    struct hash h;

    hash_mac_init(&m, key);
    hash_mac_add(&m, text);
    h = hash_mac_digest(&m);
    sodium_memzero(&m, sizeof(m));
    return h;
}

struct str hash_sha256_hex(struct arena *a, struct str text)
{
    struct hash h = hash_sha256(text);

    return hex_encode(a, hash_str(&h));
}

struct str hash_hmac_hex(struct arena *a, struct str key, struct str text)
{
    struct hash h = hash_hmac(key, text);

    return hex_encode(a, hash_str(&h));
}
