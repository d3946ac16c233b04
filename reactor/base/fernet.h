/*
 * Fernet tokens: how secrets are stored (spec 10 §18, ENCRYPTION_KEY). AES-128-CBC
 * with PKCS#7 padding, then HMAC-SHA256 over everything, base64url with padding.
 * The MAC is checked before anything is decrypted.
 */
#ifndef BASE_FERNET_H
#define BASE_FERNET_H

#include "base/arena.h"

enum { FERNET_IV_SIZE = 16, FERNET_KEY_TEXT_SIZE = 44 };

struct fernet_key {
    unsigned char sign[16];
    unsigned char encrypt[16];
};

/* 32 bytes of base64url with padding. 0 or -EINVAL. */
MUST_USE int fernet_key_parse(struct fernet_key *key, struct str text);
struct str fernet_key_new(struct arena *a); /* the text of a fresh key */

struct str fernet_encrypt(struct arena *a, const struct fernet_key *key, struct str plain);
/* With time and IV given, for test vectors only: an IV must never be used twice. */
struct str fernet_encrypt_with(struct arena *a, const struct fernet_key *key, struct str plain,
                               uint64_t time_s, const unsigned char iv[FERNET_IV_SIZE]);

/* 0 and the plain bytes (terminated by NUL), or -EINVAL. Tokens do not expire. */
MUST_USE int fernet_decrypt(struct arena *a, const struct fernet_key *key, struct str token,
                            struct str *plain);
/* Also refuses tokens older than ttl_s or more than a minute ahead of now_s. */
MUST_USE int fernet_decrypt_fresh(struct arena *a, const struct fernet_key *key, struct str token,
                                  uint64_t now_s, uint64_t ttl_s, struct str *plain);

#endif
