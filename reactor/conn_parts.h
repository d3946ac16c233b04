/* What the files of a connection offer each other (see conn_impl.h); nobody else's business. */
#ifndef REACTOR_CONN_PARTS_H
#define REACTOR_CONN_PARTS_H

#include "conn_impl.h"

#include <sys/uio.h>

/* ---- conn.c ---- */
int64_t conn_now_ms(void);
void conn_set_state(struct conn *c, enum conn_state next);
void conn_set_wait(struct conn *c, unsigned waits);
void conn_restart_wait(struct conn *c, unsigned waits);
/* The end of the turn will flush it and see to its state. */
void conn_later(struct conn *c);
/* The client has gone, or must go: cancels the task, frees at the end of the turn. */
void conn_gone(struct conn *c);
/* No request will follow: sends what is left, then closes. */
void conn_finish(struct conn *c);
/* Starts and stops reading, and the deadline, by the state. */
void conn_settle(struct conn *c);
void conn_account(struct conn *c);
bool conn_is_over_budget(const struct conn_pool *pool);
struct conn *conn_new(struct conn_pool *pool, int fd, const struct addr *from, bool is_refusal);

/* ---- conn_read.c ---- */
void on_conn_readable(struct ev_loop *ev, ev_io *w, int revents);
/* Goes on with what was read ahead. */
void conn_resume(struct conn *c);

/* ---- conn_request.c ---- */
/* A complete head has arrived. */
void conn_request_begin(struct conn *c, struct str head);
/* Its body has arrived. */
void conn_request_run(struct conn *c);
/* Answers with a status and closes, whether or not there is a request yet. */
void conn_refuse(struct conn *c, int status);
/* The answer in c->req goes out. */
void conn_answer(struct conn *c);

/* ---- conn_write.c ---- */
void on_conn_writable(struct ev_loop *ev, ev_io *w, int revents);
bool conn_is_blocked(const struct conn *c);
bool conn_has_output(const struct conn *c);
/* Whether a further request may be read: not while the client leaves its answers lying. */
bool conn_may_begin(const struct conn *c);
void conn_flush(struct conn *c);

/* ---- answer.c ---- */
enum answer_framing { ANSWER_SIZED, ANSWER_CHUNKED, ANSWER_UNTIL_CLOSE };
/* The head of r's answer, at the end of out. */
void answer_head(struct conn_pool *pool, const struct req *r, enum answer_framing framing, bool closes,
                 struct buf *out);
void answer_log(struct conn_pool *pool, const struct req *r);
void answer_log_flush(struct conn_pool *pool);

/* ---- stream.c ---- */
void stream_free(struct conn *c); /* drops the queue; tells the sink */
/* Whatever waits to be sent: fills parts, at most max. */
size_t stream_gather(const struct conn_stream *s, struct iovec *parts, size_t max);
void stream_sent(struct conn_stream *s, size_t n);
bool stream_has_output(const struct conn_stream *s);
/* After a flush: ends the response when all is sent. */
void stream_settle(struct conn *c);
void stream_probe(struct conn *c);

/* ---- listener.c ---- */
void listeners_pause(struct conn_pool *pool);
void listeners_resume(struct conn_pool *pool);
void listeners_close(struct conn_pool *pool);

#endif
