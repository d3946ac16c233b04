/*
 * The input as a token under a foreign key, then as the bytes of a token with a good
 * MAC, so that the fuzzer gets behind it, then as plain text.
 */
#include "base/fernet.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static const struct fernet_key key = {{1, 2, 3}, {4, 5, 6}};

static struct str signed_token(struct arena *a, struct str bytes)
{
    struct hash mac = hash_hmac(str_of((const char *)key.sign, sizeof(key.sign)), bytes);
    struct buf token;

    buf_init_arena(&token, a);
    buf_add(&token, bytes);
    buf_add(&token, hash_str(&mac));
    return base64_encode(a, BASE64_URL, buf_str(&token));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input, plain;
    struct fernet_key parsed;
    struct arena a;

    arena_init(&a);
    input = arena_str(&a, str_of((const char *)data, size));
    check(fernet_decrypt(&a, &key, input, &plain) < 0);
    if (fernet_decrypt(&a, &key, signed_token(&a, input), &plain) == 0)
        check(plain.n < input.n && plain.p[plain.n] == '\0');
    (void)!fernet_key_parse(&parsed, input);
    check(fernet_decrypt(&a, &key, fernet_encrypt(&a, &key, input), &plain) == 0 && str_eq(plain, input));
    arena_fini(&a);
    return 0;
}
