/*
 * The values that requests and settings carry as text or JSON, in every form
 * that spec 10 §1.3 accepts. All are pure; a refused value comes with the entry
 * of the 422 answer that it causes (§1.6).
 */
#ifndef BASE_SCALAR_H
#define BASE_SCALAR_H

#include "base/json.h"
#include "base/uuid.h"

/* A row of §1.6. All texts are static. */
struct scalar_error {
    const char *type;
    const char *msg;
    const char *ctx_key; /* "error" or "reason": ctx is {ctx_key: reason}; NULL: no ctx */
    const char *reason;
};

/* All return 0, or -EINVAL and *error, which must not be NULL. */

/* Text from a query string, a path, an environment variable. */
MUST_USE int scalar_str_i64(struct str s, int64_t *value, const struct scalar_error **error);
MUST_USE int scalar_str_double(struct str s, double *value, const struct scalar_error **error);
MUST_USE int scalar_str_bool(struct str s, bool *value, const struct scalar_error **error);
MUST_USE int scalar_str_uuid(struct str s, struct uuid *value, const struct scalar_error **error);
/* Microseconds since 1970, UTC; years 1 to 9999. */
MUST_USE int scalar_str_time(struct str s, int64_t *real_us, const struct scalar_error **error);

/* A member of a JSON body. A missing value (NULL) counts as null, which is a type error here. */
MUST_USE int scalar_json_i64(const struct json *v, int64_t *value, const struct scalar_error **error);
MUST_USE int scalar_json_double(const struct json *v, double *value, const struct scalar_error **error);
MUST_USE int scalar_json_bool(const struct json *v, bool *value, const struct scalar_error **error);
MUST_USE int scalar_json_uuid(const struct json *v, struct uuid *value, const struct scalar_error **error);
MUST_USE int scalar_json_time(const struct json *v, int64_t *real_us, const struct scalar_error **error);

/*
 * An e-mail address (§2.5), trimmed and lower-cased, in the arena: the form for
 * look-up, storage and rate limits. Never holds blanks or control characters.
 */
MUST_USE int scalar_str_email(struct arena *a, struct str s, struct str *email,
                              const struct scalar_error **error);
MUST_USE int scalar_json_email(struct arena *a, const struct json *v, struct str *email,
                               const struct scalar_error **error);

#endif
