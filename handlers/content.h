/*
 * A user message's content (spec 20 §9): a string, or an array of typed parts.
 * Pure: checks, and the two forms a content takes.
 */
#ifndef HANDLERS_CONTENT_H
#define HANDLERS_CONTENT_H

#include "base/json.h"

struct content {
    bool is_parts;
    struct str stored; /* a string's text, or the parts as a JSON array, possibly without inline data */
    struct str live;   /* the same with all inline data: what the model gets in this turn */
};

struct content_error {
    const char *type; /* of spec 10 §1.6 */
    struct str msg;
    ssize_t index;      /* of the part, -1: the content itself */
    const char *member; /* of the part, or NULL */
    const struct json *input;
};

/*
 * Checks and normalises: bare strings in the array become text parts, null
 * members of parts are dropped. strip_inline replaces base64 data that has no
 * URL in the stored form (a public DOMAIN is set). 0, or -EINVAL and *error.
 */
MUST_USE int content_parse(struct arena *a, const struct json *value, bool strip_inline,
                           struct content *content, struct content_error *error);

/*
 * Whether text of a row without the flag is an array of parts: a non-empty
 * array whose items are all objects of a known type.
 */
bool content_looks_like_parts(struct arena *a, struct str text);

/* What a model sent, as text that PostgreSQL can hold: each NUL becomes U+FFFD. No copy without one. */
struct str content_storable(struct arena *a, struct str text);

#endif
