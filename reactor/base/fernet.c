/*
 * Layout of a token, before base64:
 *
 *   0x80 | time, 8 bytes big-endian | IV, 16 | cipher text, n * 16, n >= 1 | HMAC-SHA256, 32
 */
#include "base/fernet.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/rand.h"

#include <bearssl/bearssl_block.h>
#include <sodium.h>

enum {
    FERNET_VERSION = 0x80,
    FERNET_BLOCK = 16,
    FERNET_HEAD = 1 + 8 + FERNET_IV_SIZE,
    FERNET_MIN = FERNET_HEAD + FERNET_BLOCK + HASH_SIZE,
    FERNET_SKEW_MAX_S = 60
};

int fernet_key_parse(struct fernet_key *key, struct str text)
{
    unsigned char bytes[sizeof(key->sign) + sizeof(key->encrypt)];
    ssize_t n = base64_decode_to(bytes, sizeof(bytes), BASE64_URL, text);

    if (n != (ssize_t)sizeof(bytes))
        return -EINVAL;
    memcpy(key->sign, bytes, sizeof(key->sign));
    memcpy(key->encrypt, bytes + sizeof(key->sign), sizeof(key->encrypt));
    sodium_memzero(bytes, sizeof(bytes));
    return 0;
}

struct str fernet_key_new(struct arena *a)
{
    unsigned char bytes[32];
    struct str text;

    rand_bytes(bytes, sizeof(bytes));
    text = base64_encode(a, BASE64_URL, str_of((const char *)bytes, sizeof(bytes)));
    sodium_memzero(bytes, sizeof(bytes));
    return text;
}

/*
 * Both directions use the processor's AES instructions where it has them, else constant-time code. Asking the
 * processor leads out of a virtual machine, which takes longer than all the rest: it is asked once.
 */
static struct {
    const br_block_cbcenc_class *encrypt;
    const br_block_cbcdec_class *decrypt;
} aes;

static void aes_choose(void)
{
    if (aes.encrypt != NULL)
        return;
    aes.encrypt = br_aes_x86ni_cbcenc_get_vtable();
    aes.decrypt = br_aes_x86ni_cbcdec_get_vtable();
    if (aes.encrypt == NULL || aes.decrypt == NULL) {
        aes.encrypt = &br_aes_ct64_cbcenc_vtable;
        aes.decrypt = &br_aes_ct64_cbcdec_vtable;
    }
}

static void aes_cbc_encrypt(const unsigned char key[16], const unsigned char iv[16], void *data, size_t n)
{
    br_aes_gen_cbcenc_keys keys;
    unsigned char chain[FERNET_IV_SIZE];

    aes_choose();
    memcpy(chain, iv, sizeof(chain));
    aes.encrypt->init(&keys.vtable, key, 16);
    aes.encrypt->run(&keys.vtable, chain, data, n);
    sodium_memzero(&keys, sizeof(keys));
}

static void aes_cbc_decrypt(const unsigned char key[16], const unsigned char iv[16], void *data, size_t n)
{
    br_aes_gen_cbcdec_keys keys;
    unsigned char chain[FERNET_IV_SIZE];

    aes_choose();
    memcpy(chain, iv, sizeof(chain));
    aes.decrypt->init(&keys.vtable, key, 16);
    aes.decrypt->run(&keys.vtable, chain, data, n);
    sodium_memzero(&keys, sizeof(keys));
}

static struct hash fernet_sign(const struct fernet_key *key, const unsigned char *token, size_t n)
{
    return hash_hmac(str_of((const char *)key->sign, sizeof(key->sign)), str_of((const char *)token, n));
}

struct str fernet_encrypt_with(struct arena *a, const struct fernet_key *key, struct str plain,
                               uint64_t time_s, const unsigned char iv[FERNET_IV_SIZE])
{
    size_t padding = FERNET_BLOCK - plain.n % FERNET_BLOCK;
    size_t cipher_n = plain.n + padding;
    unsigned char *token = (unsigned char *)arena_bytes(a, FERNET_HEAD + cipher_n + HASH_SIZE);
    struct hash mac;

    token[0] = FERNET_VERSION;
    for (int i = 0; i < 8; i++)
        token[1 + i] = (unsigned char)(time_s >> (56 - 8 * i));
    memcpy(token + 9, iv, FERNET_IV_SIZE);
    if (plain.n != 0)
        memcpy(token + FERNET_HEAD, plain.p, plain.n);
    memset(token + FERNET_HEAD + plain.n, (int)padding, padding);
    aes_cbc_encrypt(key->encrypt, iv, token + FERNET_HEAD, cipher_n);
    mac = fernet_sign(key, token, FERNET_HEAD + cipher_n);
    memcpy(token + FERNET_HEAD + cipher_n, mac.bytes, HASH_SIZE);
    return base64_encode(a, BASE64_URL, str_of((const char *)token, FERNET_HEAD + cipher_n + HASH_SIZE));
}

struct str fernet_encrypt(struct arena *a, const struct fernet_key *key, struct str plain)
{
    unsigned char iv[FERNET_IV_SIZE];

    rand_bytes(iv, sizeof(iv));
    return fernet_encrypt_with(a, key, plain, (uint64_t)(clock_real_us() / 1000000), iv);
}

/* The bytes of a token whose form and MAC are right. */
static int fernet_open(struct arena *a, const struct fernet_key *key, struct str text, struct str *token)
{
    struct hash mac;
    size_t signed_n;
    bool is_ours;

    if (base64_decode(a, BASE64_URL, text, token) < 0)
        return -EINVAL;
    if (token->n < FERNET_MIN || (token->n - FERNET_MIN) % FERNET_BLOCK != 0)
        return -EINVAL;
    if ((unsigned char)token->p[0] != FERNET_VERSION)
        return -EINVAL;
    signed_n = token->n - HASH_SIZE;
    mac = fernet_sign(key, (const unsigned char *)token->p, signed_n);
    is_ours = str_eq_secret(hash_str(&mac), str_from_offset(*token, signed_n));
    sodium_memzero(&mac, sizeof(mac));
    return is_ours ? 0 : -EINVAL;
}

/* The length without PKCS#7 padding, or -EINVAL. The MAC has been checked: this is no oracle. */
static ssize_t fernet_unpadded(const unsigned char *plain, size_t n)
{
    size_t padding = plain[n - 1];

    if (padding == 0 || padding > FERNET_BLOCK)
        return -EINVAL;
    for (size_t i = n - padding; i < n; i++) {
        if (plain[i] != padding)
            return -EINVAL;
    }
    return (ssize_t)(n - padding);
}

static int fernet_decipher(struct arena *a, const struct fernet_key *key, struct str token, struct str *plain)
{
    size_t n = token.n - FERNET_HEAD - HASH_SIZE;
    char *data = arena_bytes(a, n);
    ssize_t plain_n;

    memcpy(data, token.p + FERNET_HEAD, n);
    aes_cbc_decrypt(key->encrypt, (const unsigned char *)token.p + 9, data, n);
    plain_n = fernet_unpadded((const unsigned char *)data, n);
    if (plain_n < 0) {
        sodium_memzero(data, n);
        return -EINVAL;
    }
    data[plain_n] = '\0'; /* there is always at least one byte of padding */
    *plain = str_of(data, (size_t)plain_n);
    return 0;
}

int fernet_decrypt(struct arena *a, const struct fernet_key *key, struct str text, struct str *plain)
{
    struct str token;

    if (fernet_open(a, key, text, &token) < 0)
        return -EINVAL;
    return fernet_decipher(a, key, token, plain);
}

int fernet_decrypt_fresh(struct arena *a, const struct fernet_key *key, struct str text, uint64_t now_s,
                         uint64_t ttl_s, struct str *plain)
{
    struct str token;
    uint64_t time_s = 0;

    if (fernet_open(a, key, text, &token) < 0)
        return -EINVAL;
    for (int i = 0; i < 8; i++)
        time_s = time_s << 8 | (unsigned char)token.p[1 + i];
    if (time_s > now_s ? time_s - now_s > FERNET_SKEW_MAX_S : now_s - time_s > ttl_s)
        return -EINVAL;
    return fernet_decipher(a, key, token, plain);
}
