/*
 * JSON (RFC 8259), read and written.
 *
 * Reading makes one pass over the text and leaves an index of slices in the
 * arena: nodes in document order, each with the exact source bytes. Numbers
 * keep their text and strings are copied only when they have escapes, so the
 * text must live as long as the nodes. Objects keep every member; json_get()
 * answers the last of equal keys. Depth is limited, on a heap stack.
 *
 * Accepts what JSONTestSuite's y_ cases hold and refuses its n_ cases. Of the
 * i_ cases: invalid UTF-8, lone surrogates, byte order marks and UTF-16 are
 * refused, numbers of any size are accepted.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

enum { JSON_DEPTH_MAX = 64 }; /* the top level is 1 */

struct json; /* a node; the nodes of a value lie behind it */

struct json_error {
    size_t offset;      /* of the byte that cannot be */
    const char *reason; /* static text for people */
};

/*
 * Parses the whole text. 0 and the root in *value, or -EINVAL and *error.
 * A task that parses a long text should use json_parse_start() and
 * json_parse_step() and yield in between.
 */
MUST_USE int json_parse(struct arena *a, struct str text, const struct json **value,
                        struct json_error *error);

struct json_parser;
/* a must stay untouched by others between the steps; text must stay valid. */
struct json_parser *json_parse_start(struct arena *a, struct str text);
/* Reads about max_bytes more. 1 when there is more to do, else as json_parse(). */
MUST_USE int json_parse_step(struct json_parser *p, size_t max_bytes, const struct json **value,
                             struct json_error *error);

/* NULL is accepted as a missing value by all of these and has the type JSON_NULL. */
enum json_type json_type(const struct json *v);
static inline bool json_is(const struct json *v, enum json_type type)
{
    return v != NULL && json_type(v) == type;
}
struct str json_raw(const struct json *v);  /* the source bytes, quotes included; STR_NONE for NULL */
struct str json_text(const struct json *v); /* of a string, decoded; else STR_NONE */
bool json_bool(const struct json *v);       /* of JSON true: true; of anything else: false */

/* A number's value. 0, -EINVAL when it is no number or has a fraction, -ERANGE. 5.0 and 1e2 are whole. */
MUST_USE int json_i64(const struct json *v, int64_t *value);
/* 0, or -EINVAL when it is no number. Too large becomes an infinity. */
MUST_USE int json_double(const struct json *v, double *value);

/* Elements of an array, members of an object. 0 for all other types. */
size_t json_count(const struct json *v);

/* The value of the last member of that name, or NULL (also when v is no object). */
const struct json *json_get(const struct json *v, struct str name);
/* The n-th element, or NULL. Linear: use json_each for loops. */
const struct json *json_at(const struct json *v, size_t n);
/* json_text(json_get(v, name)). */
struct str json_get_text(const struct json *v, struct str name);

/*
 * json_each (item, array) { … }        item is each element
 * json_each_member (m, object) { json_text(json_key(m)), json_value(m) }
 */
const struct json *json_first(const struct json *v); /* element or member, or NULL */
const struct json *json_next(const struct json *parent, const struct json *item); /* or NULL */
const struct json *json_key(const struct json *member);   /* the name, a string node */
const struct json *json_value(const struct json *member); /* the value behind it */
#define json_each(item, parent)                                                                              \
    for (const struct json *item = json_first(parent); item != NULL; item = json_next(parent, item))
#define json_each_member json_each

/*
 * Equal by JSON Schema's rules: numbers by mathematical value (1 and 1.0),
 * objects without regard to order, with the last of equal keys.
 */
bool json_equal(const struct json *a, const struct json *b);

/*
 * Writing. Commas and colons are set by the writer; the caller keeps begin and
 * end in balance. Compact, UTF-8, only what must be escaped is escaped.
 */
struct json_writer {
    struct buf *out;
    bool comma; /* the next item needs one in front */
};

void json_write_init(struct json_writer *w, struct buf *out);
void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key_write(struct json_writer *w, struct str name);
void json_write_str(struct json_writer *w, struct str s); /* STR_NONE is written as null; s must be UTF-8 */
void json_write_i64(struct json_writer *w, int64_t n);
void json_write_double(struct json_writer *w, double n); /* shortest text that reads back; not finite: null */
void json_write_bool(struct json_writer *w, bool b);
void json_write_null(struct json_writer *w);
void json_write_raw(struct json_writer *w, struct str json); /* already JSON; STR_NONE is null */
/* A value again from its nodes, compact (white space dropped, number text and key order kept). */
void json_write_value(struct json_writer *w, const struct json *v);

/* "name": value in one call. */
void json_field_str(struct json_writer *w, struct str name, struct str s);
void json_field_i64(struct json_writer *w, struct str name, int64_t n);
void json_field_bool(struct json_writer *w, struct str name, bool b);
void json_field_raw(struct json_writer *w, struct str name, struct str json);
void json_field_null(struct json_writer *w, struct str name);

/* The quoted, escaped form of s at the end of out. */
void json_quote(struct buf *out, struct str s);

#endif
