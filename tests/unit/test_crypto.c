/* The codecs, digests and tokens whose vectors need no JSON reader. */
#include "test.h"

#include "base/base64.h"
#include "base/fernet.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/rand.h"
#include "base/uuid.h"

static void check_base64(struct arena *a, enum base64_form form, struct str bytes, struct str text)
{
    struct str back;

    CHECK_STR(base64_encode(a, form, bytes), text);
    CHECK(base64_decode(a, form, text, &back) == 0 && str_eq(back, bytes));
}

TEST(base64_has_the_vectors_of_rfc4648)
{
    check_base64(a, BASE64_STANDARD, STR(""), STR(""));
    check_base64(a, BASE64_STANDARD, STR("f"), STR("Zg=="));
    check_base64(a, BASE64_STANDARD, STR("fo"), STR("Zm8="));
    check_base64(a, BASE64_STANDARD, STR("foo"), STR("Zm9v"));
    check_base64(a, BASE64_STANDARD, STR("foob"), STR("Zm9vYg=="));
    check_base64(a, BASE64_STANDARD, STR("fooba"), STR("Zm9vYmE="));
    check_base64(a, BASE64_STANDARD, STR("foobar"), STR("Zm9vYmFy"));
    check_base64(a, BASE64_STANDARD_UNPADDED, STR("fooba"), STR("Zm9vYmE"));
    check_base64(a, BASE64_STANDARD, STR("\xfb\xff\xfe"), STR("+//+"));
    check_base64(a, BASE64_URL, STR("\xfb\xff\xfe\xfb"), STR("-__--w=="));
    check_base64(a, BASE64_URL_UNPADDED, STR("\xfb\xff\xfe\xfb"), STR("-__--w"));
}

TEST(base64_decoding_is_strict)
{
    static const struct {
        enum base64_form form;
        struct str text;
    } bad[] = {
        {BASE64_STANDARD, STR_INIT("Zg")},       {BASE64_STANDARD, STR_INIT("Zg=")},
        {BASE64_STANDARD, STR_INIT("Zg===")},    {BASE64_STANDARD, STR_INIT("=")},
        {BASE64_STANDARD, STR_INIT("====")},     {BASE64_STANDARD, STR_INIT("Z===")},
        {BASE64_STANDARD, STR_INIT("Zh==")},     {BASE64_STANDARD, STR_INIT("Zm9=")},
        {BASE64_STANDARD, STR_INIT("Zm 9v")},    {BASE64_STANDARD, STR_INIT("Zm9v\n")},
        {BASE64_STANDARD, STR_INIT("Zg==Zg==")}, {BASE64_STANDARD, STR_INIT("-__-")},
        {BASE64_URL, STR_INIT("+//+")},          {BASE64_URL_UNPADDED, STR_INIT("Zg==")},
        {BASE64_URL_UNPADDED, STR_INIT("Z")},    {BASE64_URL_UNPADDED, STR_INIT("Zm9vZ")},
        {BASE64_URL_UNPADDED, STR_INIT("Zh")},   {BASE64_STANDARD, STR_INIT("Zm9\xc3")},
    };
    struct str bytes;
    char small[2];

    for (size_t i = 0; i < nelem(bad); i++) {
        if (base64_decode(a, bad[i].form, bad[i].text, &bytes) != -EINVAL)
            test_failed(__FILE__, __LINE__, "accepted '" STR_FMT "'", STR_ARG(bad[i].text));
    }
    CHECK_INT(base64_decode_to(small, sizeof(small), BASE64_STANDARD, STR("Zm9v")), -ENOSPC);
    CHECK_INT(base64_decode_to(small, sizeof(small), BASE64_STANDARD, STR("Zm8=")), 2);
}

TEST(base64_reads_back_every_length)
{
    char bytes[67];

    rand_bytes(bytes, sizeof(bytes));
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        for (int form = BASE64_STANDARD; form <= BASE64_URL_UNPADDED; form++) {
            struct str text = base64_encode(a, (enum base64_form)form, str_of(bytes, n));
            struct str back;

            CHECK_INT(text.n, base64_encoded_size((enum base64_form)form, n));
            CHECK(base64_decode(a, (enum base64_form)form, text, &back) == 0);
            CHECK(str_eq(back, str_of(bytes, n)));
        }
    }
}

TEST(hex_reads_either_case_and_writes_lower)
{
    unsigned char bytes[3];

    CHECK(hex_decode_to(bytes, 3, STR("00fFa9")) == 0);
    CHECK(memcmp(bytes, "\x00\xff\xa9", 3) == 0);
    CHECK_STR(hex_encode(a, str_of("\x00\xff\xa9", 3)), STR("00ffa9"));
    CHECK_INT(hex_decode_to(bytes, 3, STR("00ffa")), -EINVAL);
    CHECK_INT(hex_decode_to(bytes, 3, STR("00ffa9a")), -EINVAL);
    CHECK_INT(hex_decode_to(bytes, 3, STR("00ffag")), -EINVAL);
    CHECK_INT(hex_decode_to(bytes, 3, STR("0x0011")), -EINVAL);
}

TEST(hash_sha256_has_the_vectors_of_fips180)
{
    struct hash_stream s;
    struct hash h;

    CHECK_STR(hash_sha256_hex(a, STR("abc")),
              STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    CHECK_STR(hash_sha256_hex(a, STR("")),
              STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    hash_stream_init(&s);
    for (int i = 0; i < 1000000 / 10; i++)
        hash_stream_add(&s, STR("aaaaaaaaaa"));
    h = hash_stream_digest(&s);
    CHECK_STR(hex_encode(a, hash_str(&h)),
              STR("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
}

TEST(hash_hmac_has_the_vectors_of_rfc4231)
{
    struct hash_mac m;
    struct hash h;

    CHECK_STR(hash_hmac_hex(a, STR("Jefe"), STR("what do ya want for nothing?")),
              STR("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    hash_mac_init(&m, STR("Jefe"));
    hash_mac_add(&m, STR("what do ya want "));
    hash_mac_add(&m, STR("for nothing?"));
    h = hash_mac_digest(&m);
    CHECK_STR(hex_encode(a, hash_str(&h)),
              STR("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
}

TEST(rand_below_reaches_all_and_only_its_range)
{
    unsigned seen[6] = {0};

    for (int i = 0; i < 6000; i++) {
        uint32_t n = rand_below(6);

        CHECK(n < 6);
        seen[n]++;
    }
    for (size_t i = 0; i < nelem(seen); i++)
        CHECK(seen[i] > 700); /* nine deviations below the mean of 1000 */
    CHECK_INT(rand_below(1), 0);
    CHECK(rand_below(UINT32_MAX) < UINT32_MAX);
}

TEST(rand_token_is_43_fresh_characters)
{
    struct str one = rand_token(a);
    struct str two = rand_token(a);
    struct str bytes;

    CHECK_INT(one.n, RAND_TOKEN_SIZE);
    CHECK(!str_eq(one, two));
    CHECK(base64_decode(a, BASE64_URL_UNPADDED, one, &bytes) == 0 && bytes.n == 32);
    CHECK(str_find_byte(one, '.') < 0);
}

TEST(rand_code_keeps_leading_zeros)
{
    bool zero_seen = false;

    for (int i = 0; i < 2000; i++) {
        struct str code = rand_code(a, 6);

        CHECK_INT(code.n, 6);
        for (size_t k = 0; k < code.n; k++)
            CHECK(code.p[k] >= '0' && code.p[k] <= '9');
        zero_seen = zero_seen || code.p[0] == '0';
    }
    CHECK(zero_seen);
    CHECK_INT(rand_code(a, RAND_CODE_MAX).n, RAND_CODE_MAX);
}

TEST(uuid_parse_reads_every_form_of_the_contract)
{
    static const char *const good[] = {
        "11111111-2222-4333-8444-55555555abcd",          "1111111122224333844455555555ABCD",
        "11111111-2222-4333-8444-55555555ABCD",          "{11111111-2222-4333-8444-55555555abcd}",
        "urn:uuid:11111111-2222-4333-8444-55555555abcd", "URN:UUID:11111111-2222-4333-8444-55555555ABCD",
    };

    for (size_t i = 0; i < nelem(good); i++) {
        struct uuid u;

        CHECK(uuid_parse(str_from(good[i]), &u, NULL) == 0);
        CHECK_STR(uuid_text(a, &u), STR("11111111-2222-4333-8444-55555555abcd"));
    }
}

TEST(uuid_parse_refuses_the_rest_with_a_reason)
{
    static const char *const bad[] = {
        "",
        " 11111111-2222-4333-8444-55555555abcd",
        "11111111-2222-4333-8444-55555555abcd ",
        "11111111-2222-4333-8444-55555555abc",
        "11111111-2222-4333-8444-55555555abcg",
        "11111111-22224-333-8444-55555555abcd",
        "111111112222-4333-8444-5555-5555abcd",
        "{1111111122224333844455555555abcd}",
        "{11111111-2222-4333-8444-55555555abcd",
        "(11111111-2222-4333-8444-55555555abcd)",
        "urn:uuid:1111111122224333844455555555abcd",
        "urn:uuid-11111111-2222-4333-8444-55555555abcd",
    };

    for (size_t i = 0; i < nelem(bad); i++) {
        const char *reason = NULL;
        struct uuid u;

        if (uuid_parse(str_from(bad[i]), &u, &reason) != -EINVAL)
            test_failed(__FILE__, __LINE__, "accepted '%s'", bad[i]);
        CHECK(reason != NULL);
    }
}

TEST(uuid_new_is_version_4)
{
    struct uuid one = uuid_new();
    struct uuid two = uuid_new();
    struct uuid back;
    struct str text = uuid_text(a, &one);

    CHECK(!uuid_eq(&one, &two));
    CHECK(text.p[14] == '4');
    CHECK(text.p[19] == '8' || text.p[19] == '9' || text.p[19] == 'a' || text.p[19] == 'b');
    CHECK(uuid_parse(text, &back, NULL) == 0 && uuid_eq(&one, &back));
}

/* Spec 10 §18. */
TEST(fernet_has_the_vector_of_the_contract)
{
    static const char wanted[] = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0OD4_9EBVfNSDZ7XtRxaHNdkW99QsUAt9pmRctkSzQ"
                                 "xwX8ezo1JYkB0XAhlhuGaD6Beg==";
    unsigned char bytes[32];
    struct fernet_key key;
    struct str text, plain;

    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    CHECK(fernet_key_parse(&key, base64_encode(a, BASE64_URL, str_of((char *)bytes, 32))) == 0);
    text = fernet_encrypt_with(a, &key, STR("hello"), 499162800, bytes);
    CHECK_STR(text, str_from(wanted));
    CHECK(fernet_decrypt(a, &key, str_from(wanted), &plain) == 0);
    CHECK_STR(plain, STR("hello"));
}

TEST(fernet_reads_back_every_length)
{
    struct fernet_key key, other;
    char text[40];

    CHECK(fernet_key_parse(&key, fernet_key_new(a)) == 0);
    CHECK(fernet_key_parse(&other, fernet_key_new(a)) == 0);
    rand_bytes(text, sizeof(text));
    for (size_t n = 0; n <= sizeof(text); n++) {
        struct str token = fernet_encrypt(a, &key, str_of(text, n));
        struct str plain;

        CHECK(fernet_decrypt(a, &key, token, &plain) == 0 && str_eq(plain, str_of(text, n)));
        CHECK_INT(fernet_decrypt(a, &other, token, &plain), -EINVAL);
    }
}

TEST(fernet_refuses_every_changed_bit)
{
    struct fernet_key key;
    struct str token, bytes, plain;

    CHECK(fernet_key_parse(&key, fernet_key_new(a)) == 0);
    token = fernet_encrypt(a, &key, STR("attack at dawn"));
    CHECK(base64_decode(a, BASE64_URL, token, &bytes) == 0);
    for (size_t bit = 0; bit < bytes.n * 8; bit++) {
        char *changed = arena_cstr(a, bytes);

        changed[bit / 8] ^= (char)(1 << bit % 8);
        CHECK_INT(fernet_decrypt(a, &key, base64_encode(a, BASE64_URL, str_of(changed, bytes.n)), &plain),
                  -EINVAL);
    }
}

TEST(fernet_key_parse_is_strict)
{
    static const char *const bad[] = {
        "",
        "short",
        "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4",      /* no padding */
        "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4= ",    /* blank */
        "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e5=",     /* bits beyond the last byte */
        "cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=",     /* the other alphabet */
        "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=AAAA", /* too long */
    };
    struct fernet_key key;

    for (size_t i = 0; i < nelem(bad); i++) {
        if (fernet_key_parse(&key, str_from(bad[i])) != -EINVAL)
            test_failed(__FILE__, __LINE__, "accepted '%s'", bad[i]);
    }
    CHECK(fernet_key_parse(&key, STR("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")) == 0);
}
