/* UUIDs: new ones are version 4, any version is read (spec 10 §1.3). */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/arena.h"

struct uuid {
    unsigned char bytes[16];
};

enum { UUID_TEXT_SIZE = 36 };

struct uuid uuid_new(void);

/*
 * Hyphenated, 32 bare digits, {hyphenated} or urn:uuid:hyphenated, in any case,
 * without blanks around. 0 or -EINVAL; then *reason, unless reason is NULL, says
 * why in the words of the 422 error.
 */
MUST_USE int uuid_parse(struct str text, struct uuid *u, const char **reason);

/* The one written form: lower case, hyphenated; no NUL. */
void uuid_write(char out[UUID_TEXT_SIZE], const struct uuid *u);
struct str uuid_text(struct arena *a, const struct uuid *u);

static inline bool uuid_eq(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

#endif
