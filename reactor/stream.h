/*
 * The connection's side of server-sent events: how a response turns into a
 * stream and how bytes that many clients share reach each of them. What an event is, is
 * the channel's business (channel.h).
 */
#ifndef REACTOR_STREAM_H
#define REACTOR_STREAM_H

#include "req.h"

/* Bytes rendered once and shared by all that send them. The only counted object. */
enum { STREAM_CHUNK_HEAD = 12 };
struct stream_text {
    unsigned holds;
    uint32_t n;
    char chunk_head[STREAM_CHUNK_HEAD]; /* the chunk's size line, flush right: sent together with what follows
                                         */
    char bytes[];                       /* n of them, and the chunk's CRLF */
};
struct stream_text *stream_text_new(struct str bytes); /* held once, by the caller; bytes must not be empty */
struct stream_text *stream_text_join(const struct str *parts, size_t count); /* the same of several */
static inline struct stream_text *stream_text_hold(struct stream_text *t)
{
    t->holds++;
    return t;
}
void stream_text_drop(struct stream_text *t);

enum { STREAM_QUEUE_BYTES_MAX = 1 << 20 }; /* a client further behind is closed: it resumes by event id */

/* Embedded by whoever feeds a stream. At most 512 bytes per client in all, conn included. */
struct stream_sink {
    struct conn *conn; /* NULL once closed */
    /* The client is gone or was too slow; conn is NULL already. Called once, from the end of a turn. */
    void (*on_close)(struct stream_sink *s);
};

/*
 * Answers 200 text/event-stream with the headers of spec 20 §4.1 (and r->headers), attaches the sink and lets
 * the task end without a further answer. HEAD: answers the headers, closes the sink at once. The connection
 * gives back all buffers it does not need. 0; -ECANCELED when the client has left already: then nothing was
 * attached.
 */
MUST_USE int stream_begin(struct req *r, struct stream_sink *s);

/* Queues a hold of t; sent at the end of the turn as one chunk. Nothing happens on a closed sink. */
void stream_send(struct stream_sink *s, struct stream_text *t);

/* Bytes that wait to be sent; 0 on a closed sink. For feeders that can wait. */
size_t stream_queued(const struct stream_sink *s);

/* No more will come: the response ends when all is sent; the connection is kept alive. on_close is not called
 * any more. */
void stream_end(struct stream_sink *s);

#endif
