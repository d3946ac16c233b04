/*
 * JSON Web Tokens, compact form, HS256 and nothing else (spec 10 §2.2). One key
 * signs access, file and render tokens: the "purpose" claim keeps them apart.
 */
#ifndef BASE_JWT_H
#define BASE_JWT_H

#include "base/json.h"
#include "base/uuid.h"

enum { JWT_SIZE_MAX = 8192 }; /* longer texts are no token of ours */

/* The token for claims that are already JSON. */
struct str jwt_sign(struct arena *a, struct str key, struct str claims);

/*
 * The payload's bytes when form, header and signature are right, whatever they
 * are. 0; -EINVAL: no HS256 token; -EBADMSG: wrong signature.
 */
MUST_USE int jwt_open(struct arena *a, struct str key, struct str token, struct str *payload);

/*
 * The claims of a token that is valid at now_s: an object with "exp" in the future
 * and "nbf", if any, not. Errors of jwt_open, -EINVAL also for claims that
 * are no object or have no integer "exp"; -ETIME: expired or not valid yet.
 */
MUST_USE int jwt_verify(struct arena *a, struct str key, struct str token, int64_t now_s,
                        const struct json **claims);

/* As jwt_verify for a token of one purpose; -EPROTO when its "purpose" is another or missing. */
MUST_USE int jwt_purpose_verify(struct arena *a, struct str key, struct str token, int64_t now_s,
                                struct str purpose, const struct json **claims);

/* Who may call the API. */
struct jwt_access {
    struct uuid user;
    struct str email;
    bool has_api_key; /* the token stands for an API key (claim "akid") and is limited by it */
    struct uuid api_key;
};

struct str jwt_access_sign(struct arena *a, struct str key, const struct jwt_access *access, int64_t issued_s,
                           int64_t lifetime_s);

/*
 * Errors of jwt_verify (the credential may still be an API key), or -EPROTO:
 * validly signed but no access token ("Invalid token payload"): it has a purpose, "sub" is no
 * uuid, "email" is no text or empty, or "akid" is no uuid.
 */
MUST_USE int jwt_access_verify(struct arena *a, struct str key, struct str token, int64_t now_s,
                               struct jwt_access *access);

#endif
