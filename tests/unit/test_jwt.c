#include "test.h"

#include "base/base64.h"
#include "base/fernet.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/jwt.h"
#include "base/scalar.h"

static const struct str key = STR_INIT("contract-test-secret");
enum { NOW = 1767225600 };

static const struct json *read_suite(struct arena *a, const char *path)
{
    const struct json *v = NULL;
    struct json_error error;

    if (json_parse(a, test_read_file(a, test_suite_path(a, path)), &v, &error) < 0)
        test_failed(__FILE__, __LINE__, "%s: %s", path, error.reason);
    return v;
}

static struct str hex_bytes(struct arena *a, struct str text)
{
    char *bytes = arena_bytes(a, text.n / 2 + 1);

    if (hex_decode_to(bytes, text.n / 2, text) < 0)
        test_failed(__FILE__, __LINE__, "no hex: " STR_FMT, STR_ARG(text));
    return str_of(bytes, text.n / 2);
}

/* Spec 10 §2.2. */
TEST(jwt_has_the_vector_of_the_contract)
{
    static const char wanted[] =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
        "eyJzdWIiOiIxMTExMTExMS0yMjIyLTQzMzMtODQ0NC01NTU1NTU1NTU1NTUiLCJlbWFpbCI6ImFkYUBleGFtcGxlLmNvbSIs"
        "ImlhdCI6MTc2NzIyNTYwMCwiZXhwIjoxNzY3MjI2NTAwfQ."
        "3Uq5yiWzLqcBGwhjj14LEoSn2INE1XMUbnm1_Gyx97g";
    struct jwt_access access = {.email = STR("ada@example.com")};
    struct jwt_access back;

    CHECK(uuid_parse(STR("11111111-2222-4333-8444-555555555555"), &access.user, NULL) == 0);
    CHECK_STR(jwt_access_sign(a, key, &access, NOW, 900), str_from(wanted));
    CHECK_INT(jwt_access_verify(a, key, str_from(wanted), NOW, &back), 0);
    CHECK(uuid_eq(&back.user, &access.user) && !back.has_api_key);
    CHECK_STR(back.email, STR("ada@example.com"));
    CHECK_INT(jwt_access_verify(a, STR("another-key"), str_from(wanted), NOW, &back), -EBADMSG);
}

TEST(jwt_access_expires_without_leeway)
{
    struct jwt_access access = {.user = uuid_new(), .email = STR("a@b.c")}, back;
    struct str token = jwt_access_sign(a, key, &access, NOW, 900);

    CHECK_INT(jwt_access_verify(a, key, token, NOW + 899, &back), 0);
    CHECK_INT(jwt_access_verify(a, key, token, NOW + 900, &back), -ETIME);
}

TEST(jwt_access_carries_an_api_key)
{
    struct jwt_access access = {uuid_new(), STR("a@b.c"), true, uuid_new()}, back;

    CHECK_INT(jwt_access_verify(a, key, jwt_access_sign(a, key, &access, NOW, 900), NOW, &back), 0);
    CHECK(back.has_api_key && uuid_eq(&back.api_key, &access.api_key));
}

#define SUB "\"sub\":\"11111111-2222-4333-8444-555555555555\""
#define EXP "\"exp\":1767225601"

TEST(jwt_access_verify_checks_every_claim)
{
    static const struct {
        const char *claims;
        int rc;
    } cases[] = {
        {"{" SUB ",\"email\":\"a@b.c\"," EXP "}", 0},
        {"{" SUB ",\"email\":\"a@b.c\"," EXP ",\"nbf\":1767225600}", 0},
        {"{" SUB ",\"email\":\"a@b.c\"," EXP ",\"nbf\":1767225601}", -ETIME},
        {"{" SUB ",\"email\":\"a@b.c\"," EXP ",\"nbf\":\"0\"}", -EINVAL},
        {"{" SUB ",\"email\":\"a@b.c\"," EXP ",\"nbf\":null}", -EINVAL},
        {"{" SUB ",\"email\":\"a@b.c\"}", -EINVAL},
        {"{" SUB ",\"email\":\"a@b.c\",\"exp\":\"9999999999\"}", -EINVAL},
        {"{" SUB ",\"email\":\"a@b.c\",\"exp\":1767225600}", -ETIME},
        {"{" SUB ",\"email\":\"a@b.c\",\"exp\":-1}", -ETIME},
        {"{\"email\":\"a@b.c\"," EXP "}", -EPROTO},
        {"{\"sub\":\"ada\",\"email\":\"a@b.c\"," EXP "}", -EPROTO},
        {"{\"sub\":5,\"email\":\"a@b.c\"," EXP "}", -EPROTO},
        {"{" SUB "," EXP "}", -EPROTO},
        {"{" SUB ",\"email\":\"\"," EXP "}", -EPROTO},
        {"{" SUB ",\"email\":null," EXP "}", -EPROTO},
        {"{" SUB ",\"email\":\"a@b.c\",\"purpose\":\"file_serve\"," EXP "}", -EPROTO},
        {"{" SUB ",\"email\":\"a@b.c\",\"purpose\":null," EXP "}", -EPROTO},
        {"{" SUB ",\"email\":\"a@b.c\",\"akid\":\"x\"," EXP "}", -EPROTO},
        {"{" SUB ",\"email\":\"a@b.c\",\"akid\":null," EXP "}", -EPROTO},
        {"[1]", -EINVAL},
        {"not json", -EINVAL},
    };

    for (size_t i = 0; i < nelem(cases); i++) {
        struct str token = jwt_sign(a, key, str_from(cases[i].claims));
        struct jwt_access access;
        int rc = jwt_access_verify(a, key, token, NOW, &access);

        if (rc != cases[i].rc)
            test_failed(__FILE__, __LINE__, "%s: %d", cases[i].claims, rc);
    }
}

TEST(jwt_purpose_verify_keeps_tokens_apart)
{
    struct str token = jwt_sign(a, key, STR("{\"purpose\":\"file_serve\"," EXP "}"));
    struct jwt_access access = {.user = uuid_new(), .email = STR("a@b.c")};
    const struct json *claims;

    CHECK_INT(jwt_purpose_verify(a, key, token, NOW, STR("file_serve"), &claims), 0);
    CHECK_INT(jwt_purpose_verify(a, key, token, NOW, STR("component_render"), &claims), -EPROTO);
    CHECK_INT(jwt_purpose_verify(a, key, token, NOW + 1, STR("file_serve"), &claims), -ETIME);
    token = jwt_access_sign(a, key, &access, NOW, 900);
    CHECK_INT(jwt_purpose_verify(a, key, token, NOW, STR("file_serve"), &claims), -EPROTO);
}

/* Header and claims, signed properly whatever they say. */
static struct str signed_token(struct arena *a, const char *header, const char *claims)
{
    struct str h = base64_encode(a, BASE64_URL_UNPADDED, str_from(header));
    struct str c = base64_encode(a, BASE64_URL_UNPADDED, str_from(claims));
    struct str text = arena_strf(a, STR_FMT "." STR_FMT, STR_ARG(h), STR_ARG(c));
    struct hash mac = hash_hmac(key, text);
    struct str m = base64_encode(a, BASE64_URL_UNPADDED, hash_str(&mac));

    return arena_strf(a, STR_FMT "." STR_FMT, STR_ARG(text), STR_ARG(m));
}

TEST(jwt_refuses_every_other_algorithm)
{
    static const char *const bad[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\"}",
        "{\"alg\":\"hs256\"}",
        "{\"alg\":\"HS384\"}",
        "{\"alg\":\"RS256\"}",
        "{\"alg\":[\"HS256\"]}",
        "{\"alg\":null}",
        "{}",
        "[]",
        "\"HS256\"",
        "not json",
        "{\"alg\":\"HS256\",\"crit\":[\"b64\"]}",
        "{\"alg\":\"HS256\",\"alg\":\"none\"}",
    };
    struct str payload;

    for (size_t i = 0; i < nelem(bad); i++) {
        if (jwt_open(a, key, signed_token(a, bad[i], "{}"), &payload) != -EINVAL)
            test_failed(__FILE__, __LINE__, "accepted %s", bad[i]);
    }
    CHECK_INT(jwt_open(a, key, signed_token(a, "{\"alg\":\"HS256\",\"kid\":\"x\"}", "{}"), &payload), 0);
    CHECK_STR(payload, STR("{}"));
}

TEST(jwt_open_refuses_other_shapes)
{
    struct str good = jwt_sign(a, key, STR("{}"));
    struct str bad[] = {
        STR(""),
        STR("."),
        STR(".."),
        STR("..."),
        STR("a.b.c"),
        str_head(good, good.n - 1),
        arena_strf(a, STR_FMT ".", STR_ARG(good)),
        arena_strf(a, "." STR_FMT, STR_ARG(good)),
        arena_strf(a, STR_FMT "=", STR_ARG(good)),
        arena_strf(a, " " STR_FMT, STR_ARG(good)),
        arena_strf(a, STR_FMT "\n", STR_ARG(good)),
        jwt_sign(a, key, STR("")),
        jwt_sign(a, key, str_of(arena_zalloc(a, JWT_SIZE_MAX), JWT_SIZE_MAX)),
    };
    struct str payload;

    CHECK_INT(jwt_open(a, key, good, &payload), 0);
    for (size_t i = 0; i < nelem(bad); i++) {
        if (jwt_open(a, key, bad[i], &payload) >= 0)
            test_failed(__FILE__, __LINE__, "accepted %zu", i);
    }
}

/*
 * Valid ones that we refuse on purpose: 372 and 373 hold a "?" amid the base64, which
 * the suite lets lenient readers skip. 367 and 370 are invalid only in their
 * name: their text is that of case 357, which is valid.
 */
static bool is_wanted(int64_t id, bool valid)
{
    return id == 367 || id == 370 || (valid && id != 372 && id != 373);
}

TEST(jwt_passes_wycheproof)
{
    const struct json *suite = read_suite(a, "wycheproof/json_web_signature.json");
    int checked = 0;

    json_each (group, json_get(suite, STR("testGroups"))) {
        const struct json *jwk = json_get(group, STR("private"));
        struct str secret;

        if (!str_eq(json_get_text(jwk, STR("kty")), STR("oct")))
            continue; /* no key of ours; their algorithms are refused below */
        CHECK(base64_decode(a, BASE64_URL_UNPADDED, json_get_text(jwk, STR("k")), &secret) == 0);
        json_each (test, json_get(group, STR("tests"))) {
            struct str token = json_get_text(test, STR("jws"));
            bool valid = str_eq(json_get_text(test, STR("result")), STR("valid"));
            int64_t id = 0;
            struct str payload;

            CHECK(json_i64(json_get(test, STR("tcId")), &id) == 0);
            if ((jwt_open(a, secret, token, &payload) == 0) != is_wanted(id, valid))
                test_failed(__FILE__, __LINE__, "case %lld", (long long)id);
            checked++;
        }
    }
    CHECK_INT(checked, 40);
}

/* A token of another algorithm must fail even for a key that is the text of its public key. */
TEST(jwt_refuses_wycheproof_tokens_of_other_algorithms)
{
    const struct json *suite = read_suite(a, "wycheproof/json_web_signature.json");
    int checked = 0;

    json_each (group, json_get(suite, STR("testGroups"))) {
        const struct json *jwk = json_get(group, STR("private"));

        if (str_eq(json_get_text(jwk, STR("kty")), STR("oct")))
            continue;
        json_each (test, json_get(group, STR("tests"))) {
            struct str payload;

            CHECK(jwt_open(a, json_raw(json_get(group, STR("public"))), json_get_text(test, STR("jws")),
                           &payload) < 0);
            checked++;
        }
    }
    CHECK(checked > 300);
}

TEST(hash_hmac_passes_wycheproof)
{
    const struct json *suite = read_suite(a, "wycheproof/hmac_sha256.json");
    int checked = 0;

    json_each (group, json_get(suite, STR("testGroups"))) {
        int64_t bits = 0;

        CHECK(json_i64(json_get(group, STR("tagSize")), &bits) == 0);
        json_each (test, json_get(group, STR("tests"))) {
            struct str secret = hex_bytes(a, json_get_text(test, STR("key")));
            struct hash mac = hash_hmac(secret, hex_bytes(a, json_get_text(test, STR("msg"))));
            bool same = str_eq(str_head(hash_str(&mac), (size_t)bits / 8),
                               hex_bytes(a, json_get_text(test, STR("tag"))));

            CHECK(same == str_eq(json_get_text(test, STR("result")), STR("valid")));
            checked++;
        }
    }
    CHECK_INT(checked, 174);
}

/* Fernet's own suite. Times are like 1985-10-26T01:20:00-07:00. */
static uint64_t suite_now(const struct json *test)
{
    const struct scalar_error *error;
    int64_t now = 0;

    CHECK(scalar_str_time(json_get_text(test, STR("now")), &now, &error) == 0);
    return (uint64_t)(now / 1000000);
}

static struct fernet_key suite_key(const struct json *test)
{
    struct fernet_key k = {{0}, {0}};

    CHECK(fernet_key_parse(&k, json_get_text(test, STR("secret"))) == 0);
    return k;
}

TEST(fernet_generates_the_suite)
{
    const struct json *suite = read_suite(a, "fernet/generate.json");
    int checked = 0;

    json_each (test, suite) {
        struct fernet_key k = suite_key(test);
        unsigned char iv[FERNET_IV_SIZE];
        size_t n = 0;

        json_each (byte, json_get(test, STR("iv"))) {
            int64_t value = 0;

            CHECK(json_i64(byte, &value) == 0 && n < sizeof(iv));
            iv[n++] = (unsigned char)value;
        }
        CHECK_STR(fernet_encrypt_with(a, &k, json_get_text(test, STR("src")), suite_now(test), iv),
                  json_get_text(test, STR("token")));
        checked++;
    }
    CHECK_INT(checked, 1);
}

TEST(fernet_verifies_the_suite)
{
    const struct json *suite = read_suite(a, "fernet/verify.json");
    int checked = 0;

    json_each (test, suite) {
        struct fernet_key k = suite_key(test);
        struct str plain = STR_NONE;
        int64_t ttl = 0;

        CHECK(json_i64(json_get(test, STR("ttl_sec")), &ttl) == 0);
        CHECK_INT(fernet_decrypt_fresh(a, &k, json_get_text(test, STR("token")), suite_now(test),
                                       (uint64_t)ttl, &plain),
                  0);
        CHECK_STR(plain, json_get_text(test, STR("src")));
        checked++;
    }
    CHECK_INT(checked, 1);
}

TEST(fernet_refuses_the_suite)
{
    const struct json *suite = read_suite(a, "fernet/invalid.json");
    int checked = 0;

    json_each (test, suite) {
        struct fernet_key k = suite_key(test);
        struct str plain;
        int64_t ttl = 0;

        CHECK(json_i64(json_get(test, STR("ttl_sec")), &ttl) == 0);
        if (fernet_decrypt_fresh(a, &k, json_get_text(test, STR("token")), suite_now(test), (uint64_t)ttl,
                                 &plain) != -EINVAL)
            test_failed(__FILE__, __LINE__, "accepted: " STR_FMT, STR_ARG(json_get_text(test, STR("desc"))));
        checked++;
    }
    CHECK_INT(checked, 8);
}

/* The cipher alone: Wycheproof's AES-CBC cases of our key size, inside tokens with a good MAC. */
static struct str token_around(struct arena *a, const struct fernet_key *k, struct str iv, struct str cipher)
{
    struct hash mac;
    struct buf token;

    buf_init_arena(&token, a);
    buf_add_byte(&token, (char)0x80);
    buf_add(&token, str_of("\0\0\0\0\0\0\0\0", 8));
    buf_add(&token, iv);
    buf_add(&token, cipher);
    mac = hash_hmac(str_of((const char *)k->sign, sizeof(k->sign)), buf_str(&token));
    buf_add(&token, hash_str(&mac));
    return base64_encode(a, BASE64_URL, buf_str(&token));
}

static void check_aes(struct arena *a, const struct json *test)
{
    struct str key_bytes = hex_bytes(a, json_get_text(test, STR("key")));
    struct str iv = hex_bytes(a, json_get_text(test, STR("iv")));
    struct str message = hex_bytes(a, json_get_text(test, STR("msg")));
    struct str cipher = hex_bytes(a, json_get_text(test, STR("ct")));
    struct fernet_key k = {{1}, {0}};
    struct str plain = STR_NONE;
    struct str token;

    memcpy(k.encrypt, key_bytes.p, sizeof(k.encrypt));
    token = token_around(a, &k, iv, cipher);
    if (!str_eq(json_get_text(test, STR("result")), STR("valid"))) {
        CHECK_INT(fernet_decrypt(a, &k, token, &plain), -EINVAL);
        return;
    }
    CHECK_INT(fernet_decrypt(a, &k, token, &plain), 0);
    CHECK(str_eq(plain, message));
    CHECK_STR(fernet_encrypt_with(a, &k, message, 0, (const unsigned char *)iv.p), token);
}

TEST(fernet_passes_wycheproof_aes)
{
    const struct json *suite = read_suite(a, "wycheproof/aes_cbc_pkcs5.json");
    int checked = 0;

    json_each (group, json_get(suite, STR("testGroups"))) {
        int64_t bits = 0;

        CHECK(json_i64(json_get(group, STR("keySize")), &bits) == 0);
        json_each (test, json_get(group, STR("tests"))) {
            if (bits != 128)
                continue;
            check_aes(a, test);
            checked++;
        }
    }
    CHECK_INT(checked, 72);
}
