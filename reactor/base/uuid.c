#include "base/uuid.h"

#include "base/hex.h"
#include "base/rand.h"

#include <sodium.h>

/* Number of bytes in each group of the hyphenated form. */
static const unsigned char group_bytes[] = {4, 2, 2, 2, 6};

/*
 * Each request has an id: the kernel is asked for many at once. No process is
 * forked without being executed afresh, so no two hand out the same ones.
 */
static struct {
    struct uuid fresh[64];
    size_t left;
} pool;

struct uuid uuid_new(void)
{
    struct uuid u;

    if (pool.left == 0) {
        rand_bytes(pool.fresh, sizeof(pool.fresh));
        pool.left = nelem(pool.fresh);
    }
    u = pool.fresh[--pool.left];
    sodium_memzero(&pool.fresh[pool.left], sizeof(u)); /* what memory says of the past */
    u.bytes[6] = (u.bytes[6] & 0x0f) | 0x40;
    u.bytes[8] = (u.bytes[8] & 0x3f) | 0x80;
    return u;
}

static int uuid_parse_hyphenated(struct str text, struct uuid *u)
{
    size_t at = 0;
    size_t byte = 0;

    if (text.n != UUID_TEXT_SIZE)
        return -EINVAL;
    for (size_t i = 0; i < nelem(group_bytes); i++) {
        size_t n = group_bytes[i];

        if (i > 0 && text.p[at++] != '-')
            return -EINVAL;
        if (hex_decode_to(u->bytes + byte, n, str_of(text.p + at, n * 2)) < 0)
            return -EINVAL;
        at += n * 2;
        byte += n;
    }
    return 0;
}

int uuid_parse(struct str text, struct uuid *u, const char **reason)
{
    static const struct str urn = STR_INIT("urn:uuid:");
    const char *ignored;

    reason = reason != NULL ? reason : &ignored;
    *reason = "invalid character or group length";
    if (text.n == sizeof(u->bytes) * 2)
        return hex_decode_to(u->bytes, sizeof(u->bytes), text);
    if (text.n == UUID_TEXT_SIZE)
        return uuid_parse_hyphenated(text, u);
    if (text.n == UUID_TEXT_SIZE + 2 && text.p[0] == '{' && text.p[text.n - 1] == '}')
        return uuid_parse_hyphenated(str_of(text.p + 1, UUID_TEXT_SIZE), u);
    if (text.n == UUID_TEXT_SIZE + urn.n && str_ieq(str_head(text, urn.n), urn))
        return uuid_parse_hyphenated(str_from_offset(text, urn.n), u);
    *reason = "invalid length: expected length 32 for simple format";
    return -EINVAL;
}

void uuid_write(char out[UUID_TEXT_SIZE], const struct uuid *u)
{
    size_t byte = 0;

    for (size_t i = 0; i < nelem(group_bytes); i++) {
        size_t n = group_bytes[i];

        if (i > 0)
            *out++ = '-';
        hex_encode_to(out, str_of((const char *)u->bytes + byte, n));
        out += n * 2;
        byte += n;
    }
}

struct str uuid_text(struct arena *a, const struct uuid *u)
{
    char *out = arena_bytes(a, UUID_TEXT_SIZE + 1);

    uuid_write(out, u);
    out[UUID_TEXT_SIZE] = '\0';
    return str_of(out, UUID_TEXT_SIZE);
}
