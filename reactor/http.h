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
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
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
    struct str target; /* as sent */
    struct str path;   /* still percent-encoded, without query; "*" for OPTIONS * */
    struct str query;  /* behind '?', still encoded; STR_NONE without '?' */
    struct str host;   /* of an absolute target, else of Host */
    int minor_version; /* 0, or 1 for everything from 1.1 on */
    const struct http_field *fields;
    size_t fields_count;
    size_t bytes;           /* of the whole head, final CRLF included */
    int64_t content_length; /* -1: none */
    bool is_chunked;
    bool keep_alive; /* what the version and Connection ask for */
    bool expects_continue;
    bool has_body; /* Content-Length > 0 or chunked */
};

/*
 * The search for the end of a head, fed with what has arrived so far; starts as
 * {0}. Keeps its place, so that a slow sender costs linear work, and refuses at the first octet that
 * cannot be, so that the result does not depend on how the bytes were cut.
 *   1   complete: at is the length of the whole head, an empty line in front included
 *   0   more bytes are needed
 *  <0   -status to answer with before closing (400, 414, 431, 505)
 */
struct http_scan {
    uint32_t at;     /* octets that were looked at */
    uint32_t line;   /* where the request line starts */
    uint32_t fields; /* where the header section starts; 0: still in the request line */
};
MUST_USE int http_scan_head(struct http_scan *scan, struct str text);

/*
 * Parses a head that http_scan_head() found complete. 0; or -status to answer with before closing (400,
 * 413, 415, 417, 431, 501): then the fields before the bad one are there. Slices point into text, fields lie
 * in the arena.
 */
MUST_USE int http_parse_head(struct arena *a, struct str text, struct http_head *head);

/* Whether it is a token (RFC 9110 §5.6.2), as field names and methods are. */
bool http_is_token(struct str s);

/* The value of the first field of that name (any case), or STR_NONE. */
struct str http_field(const struct http_head *head, struct str name);

/* Incremental decoder of a chunked body (RFC 9112 §7.1). */
struct http_chunked {
    unsigned char state; /* enum chunk_state of http_chunked.c */
    unsigned char digits;
    unsigned short trailer_fields;
    unsigned extension_bytes, extensions_total, trailer_bytes;
    uint64_t left;  /* of the current chunk */
    uint64_t total; /* body bytes announced so far */
};

void http_chunked_init(struct http_chunked *c);
/*
 * Consumes from *in and sets *data to a run of body bytes inside it (perhaps empty).
 * 1 more may follow (call again while *in is not empty), 0 the body has ended (rest of *in is the next
 * request), -status: refuse and close. max_total bounds the body: 413 as soon as a size exceeds it.
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
