/*
 * Reads server-sent events as vendors really send them: CR, LF and CRLF in any mix, comments, several data
 * lines, a byte order mark, no blank line behind the last event. Incremental and pure; cut the bytes where
 * you like.
 */
#ifndef WORKERS_SSE_CLIENT_H
#define WORKERS_SSE_CLIENT_H

#include "base/buf.h"

enum { SSE_CLIENT_EVENT_MAX = 16 << 20, SSE_CLIENT_FIELD_MAX = 8 };

enum sse_client_state { SSE_CLIENT_NAME, SSE_CLIENT_BLANK, SSE_CLIENT_DATA, SSE_CLIENT_IGNORED };

struct sse_client {
    struct buf data; /* of the event so far */
    enum sse_client_state state;
    char name[SSE_CLIENT_FIELD_MAX]; /* of the field so far; longer ones are none that count */
    size_t name_size;
    unsigned bom_size; /* bytes of a byte order mark seen; it may only come first */
    bool has_started, has_data, skips_lf;
};

/* The data of one event; negative ends the reading. */
typedef int (*sse_client_fn)(void *arg, struct str data);

void sse_client_init(struct sse_client *s);
void sse_client_fini(struct sse_client *s);

/* 0, -EMSGSIZE when an event's data is longer than SSE_CLIENT_EVENT_MAX, or what on_event returned. */
MUST_USE int sse_client_feed(struct sse_client *s, struct str bytes, sse_client_fn on_event, void *arg);
/* The stream has ended: an event without its blank line counts. */
MUST_USE int sse_client_finish(struct sse_client *s, sse_client_fn on_event, void *arg);

#endif
