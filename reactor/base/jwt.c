#include "base/jwt.h"

#include "base/base64.h"
#include "base/hash.h"

#include <sodium.h>

/* {"alg":"HS256","typ":"JWT"}: the header of every token that we make. */
static const struct str own_header = STR_INIT("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");

struct str jwt_sign(struct arena *a, struct str key, struct str claims)
{
    size_t signed_n = own_header.n + 1 + base64_encoded_size(BASE64_URL_UNPADDED, claims.n);
    size_t size = signed_n + 1 + base64_encoded_size(BASE64_URL_UNPADDED, HASH_SIZE);
    char *token = arena_bytes(a, size + 1);
    struct hash mac;

    memcpy(token, own_header.p, own_header.n);
    token[own_header.n] = '.';
    base64_encode_to(token + own_header.n + 1, BASE64_URL_UNPADDED, claims);
    mac = hash_hmac(key, str_of(token, signed_n));
    token[signed_n] = '.';
    base64_encode_to(token + signed_n + 1, BASE64_URL_UNPADDED, hash_str(&mac));
    token[size] = '\0';
    return str_of(token, size);
}

/* A header that we did not write: an object whose "alg" is HS256 and that demands nothing else. */
static bool header_is_hs256(struct arena *a, struct str header)
{
    struct str text;
    const struct json *value;
    struct json_error error;

    if (base64_decode(a, BASE64_URL_UNPADDED, header, &text) < 0 || json_parse(a, text, &value, &error) < 0)
        return false;
    return str_eq(json_get_text(value, STR("alg")), STR("HS256")) && json_get(value, STR("crit")) == NULL;
}

int jwt_open(struct arena *a, struct str key, struct str token, struct str *payload)
{
    struct str rest = token;
    struct str header = str_cut(&rest, '.');
    struct str claims = str_cut(&rest, '.');
    struct hash mac, wanted;
    bool is_ours;

    if (token.n > JWT_SIZE_MAX || str_is_none(claims) || str_is_none(rest))
        return -EINVAL;
    if (header.n == 0 || claims.n == 0 ||
        base64_decode_to(mac.bytes, sizeof(mac.bytes), BASE64_URL_UNPADDED, rest) != HASH_SIZE)
        return -EINVAL;
    /* The signature first: what is not ours is not parsed. */
    wanted = hash_hmac(key, str_head(token, header.n + 1 + claims.n));
    is_ours = str_eq_secret(hash_str(&mac), hash_str(&wanted));
    sodium_memzero(&wanted, sizeof(wanted)); /* would sign whatever the sender wrote */
    if (!is_ours)
        return -EBADMSG;
    if (!str_eq(header, own_header) && !header_is_hs256(a, header))
        return -EINVAL;
    return base64_decode(a, BASE64_URL_UNPADDED, claims, payload);
}

int jwt_verify(struct arena *a, struct str key, struct str token, int64_t now_s, const struct json **claims)
{
    struct str payload;
    struct json_error error;
    const struct json *value, *not_before;
    int64_t expires_s, not_before_s;
    int rc = jwt_open(a, key, token, &payload);

    if (rc < 0)
        return rc;
    if (json_parse(a, payload, &value, &error) < 0 || !json_is(value, JSON_OBJECT) ||
        json_i64(json_get(value, STR("exp")), &expires_s) < 0)
        return -EINVAL;
    not_before = json_get(value, STR("nbf"));
    if (not_before != NULL && json_i64(not_before, &not_before_s) < 0)
        return -EINVAL;
    if (expires_s <= now_s || (not_before != NULL && not_before_s > now_s))
        return -ETIME;
    *claims = value;
    return 0;
}

int jwt_purpose_verify(struct arena *a, struct str key, struct str token, int64_t now_s, struct str purpose,
                       const struct json **claims)
{
    int rc = jwt_verify(a, key, token, now_s, claims);

    if (rc < 0)
        return rc;
    return str_eq(json_get_text(*claims, STR("purpose")), purpose) ? 0 : -EPROTO;
}

struct str jwt_access_sign(struct arena *a, struct str key, const struct jwt_access *access, int64_t issued_s,
                           int64_t lifetime_s)
{
    char id[UUID_TEXT_SIZE];
    struct json_writer w;
    struct buf claims;

    buf_init_arena(&claims, a);
    json_write_init(&w, &claims);
    json_object_begin(&w);
    uuid_write(id, &access->user);
    json_field_str(&w, STR("sub"), str_of(id, sizeof(id)));
    json_field_str(&w, STR("email"), access->email);
    json_field_i64(&w, STR("iat"), issued_s);
    json_field_i64(&w, STR("exp"), issued_s + lifetime_s);
    if (access->has_api_key) {
        uuid_write(id, &access->api_key);
        json_field_str(&w, STR("akid"), str_of(id, sizeof(id)));
    }
    json_object_end(&w);
    return jwt_sign(a, key, buf_str(&claims));
}

int jwt_access_verify(struct arena *a, struct str key, struct str token, int64_t now_s,
                      struct jwt_access *access)
{
    const struct json *claims, *api_key;
    int rc = jwt_verify(a, key, token, now_s, &claims);

    if (rc < 0)
        return rc;
    if (json_get(claims, STR("purpose")) != NULL)
        return -EPROTO;
    if (uuid_parse(json_get_text(claims, STR("sub")), &access->user, NULL) < 0)
        return -EPROTO;
    access->email = json_get_text(claims, STR("email"));
    if (access->email.n == 0)
        return -EPROTO;
    api_key = json_get(claims, STR("akid"));
    access->has_api_key = api_key != NULL;
    if (api_key != NULL && uuid_parse(json_text(api_key), &access->api_key, NULL) < 0)
        return -EPROTO;
    return 0;
}
