/*
 * First the input as a token: without the key it must never verify. Then as claims
 * that are signed: they must open again to the same bytes, and reading them must end well.
 */
#include "base/jwt.h"

#include "base/base64.h"
#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct str key = STR_INIT("a key that the fuzzer does not know");

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void check_claims(struct arena *a, struct str claims)
{
    struct str token = jwt_sign(a, key, claims);
    struct jwt_access access;
    struct str payload;

    if (token.n > JWT_SIZE_MAX || claims.n == 0) {
        check(jwt_open(a, key, token, &payload) < 0);
        return;
    }
    check(jwt_open(a, key, token, &payload) == 0 && str_eq(payload, claims));
    if (jwt_access_verify(a, key, token, 1767225600, &access) == 0)
        check(access.email.n > 0);
}

/* The input as the header of a token with a good signature. */
static void check_header(struct arena *a, struct str header)
{
    struct str h = base64_encode(a, BASE64_URL_UNPADDED, header);
    struct str text = arena_strf(a, STR_FMT ".e30", STR_ARG(h));
    struct hash mac = hash_hmac(key, text);
    struct str m = base64_encode(a, BASE64_URL_UNPADDED, hash_str(&mac));
    struct str payload;

    if (jwt_open(a, key, arena_strf(a, STR_FMT "." STR_FMT, STR_ARG(text), STR_ARG(m)), &payload) == 0)
        check(str_find(header, STR("HS256")) >= 0 || str_find_byte(header, '\\') >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str payload, input;
    struct arena a;

    arena_init(&a);
    input = arena_str(&a, str_of((const char *)data, size));
    check(jwt_open(&a, key, input, &payload) < 0);
    check_claims(&a, input);
    check_header(&a, input);
    arena_fini(&a);
    return 0;
}
