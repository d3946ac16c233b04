/*
 * HTTP/1.1 messages (RFC 9110, 9112; spec 10 §1.9, §1.10): parsing without any
 * socket. Strict where the RFC leaves a choice; nothing is repaired.
 */
#ifndef REACTOR_HTTP_H
#define REACTOR_HTTP_H

#include "base/arena.h"

enum {
    HTTP_REQUEST_LINE_MAX = 8192, /* without CRLF */
    HTTP_HEADERS_MAX = 32768,     /* the header section */
    HTTP_FIELDS_MAX = 100
};

enum http_method {
    HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS,
    HTTP_OTHER, /* a valid token that no route has */
    HTTP_METHODS
};

const char *http_method_name(enum http_method m);
const char *http_reason(int status);

struct http_field {
    struct str name, value;
};

struct http_head {
    enum http_method method;
    struct str method_text;
    struct str target;   /* as sent */
    struct str path;     /* still percent-encoded, without query; "*" for OPTIONS * */
    struct str query;    /* behind '?', still encoded; STR_NONE without '?' */
    struct str host;     /* of an absolute target, else of Host */
    int minor_version;   /* 0, or 1 for everything from 1.1 on */
    const struct http_field *fields;
    size_t fields_count;
    size_t bytes;        /* of the whole head, final CRLF included */
    int64_t content_length; /* -1: none */
    bool is_chunked;
    bool keep_alive;     /* what the version and Connection ask for */
    bool expects_continue;
    bool has_body;       /* Content-Length > 0 or chunked */
};

/*
 * Parses a head at the start of text, which may be incomplete.
 *   1   complete; slices point into text, fields lie in the arena
 *   0   more bytes are needed
 *  <0   -status to answer with before closing (400, 414, 431, 501, 505, 417, …)
 * scanned remembers how far the search for the end got, so that slow senders cost linear work; starts at 0.
 */
MUST_USE int http_parse_head(struct arena *a, struct str text, size_t *scanned, struct http_head *head);

/* The value of the first field of that name (any case), or STR_NONE. */
struct str http_field(const struct http_head *head, struct str name);

/* Incremental decoder of a chunked body (RFC 9112 §7.1). */
struct http_chunked {
    int state;
    uint64_t left;       /* of the current chunk */
    uint64_t total;      /* body bytes so far */
    unsigned digits, extension_bytes, extensions_total, trailer_bytes, trailer_fields;
};
void http_chunked_init(struct http_chunked *c);
/*
 * Consumes from *in and sets *data to a run of body bytes inside it (perhaps empty).
 * 1 more may follow (call again while *in is not empty), 0 the body has ended (rest of *in is the next request),
 * -status: refuse and close. max_total bounds the body: 413 as soon as a size exceeds it.
 */
MUST_USE int http_chunked_next(struct http_chunked *c, uint64_t max_total, struct str *in, struct str *data);

/*
 * Percent-decodes one path segment or query part into the arena (no copy without '%' or '+').
 * -EINVAL for a broken escape, NUL or invalid UTF-8. plus_is_space is for query strings.
 */
MUST_USE int http_percent_decode(struct arena *a, struct str s, bool plus_is_space, struct str *decoded);

/* Takes "name=value" off the front of *query, decoded. 1, 0 at the end, -EINVAL. */
MUST_USE int http_query_next(struct arena *a, struct str *query, struct str *name, struct str *value);

#endif
