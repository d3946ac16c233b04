/*
 * One HTTP request to a provider and its answer. Everything a provider sends is
 * bounded: headers, the body of an error; the body of a good answer goes on piece by piece and
 * stops while the receiver is full. No redirects, no proxies, no compressed answers.
 */
#ifndef WORKERS_LLM_TRANSFER_H
#define WORKERS_LLM_TRANSFER_H

#include "workers/http_multi.h"
#include "workers/llm_codec.h"

enum {
    TRANSFER_CONNECT_TIMEOUT_MS = 10000,
    TRANSFER_HEADERS_MAX = 128 << 10, /* bytes of an answer's headers */
    TRANSFER_ERROR_MAX = 64 << 10,    /* bytes kept of the body of an error */
    TRANSFER_DRAIN_MS = 2000, /* to end an answer that nobody wants any more, so that the connection stays */
    TRANSFER_DRAIN_BYTES = 64 << 10,
    TRANSFER_HEADER_VALUE_MAX = 64
};

struct transfer;

/* All of a process. */
struct transfers {
    struct http_multi http;
    struct list draining; /* those released */
};

void transfers_init(struct transfers *all, struct loop *l);
/* Only draining ones may be left. */
void transfers_fini(struct transfers *all);

struct transfer_result {
    CURLcode rc;
    int status;                             /* 0: no answer */
    bool has_begun;                         /* bytes of a good answer were handed on */
    bool is_encoded;                        /* it came compressed, although that was not asked for */
    bool is_too_large;                      /* its headers were */
    struct str body;                        /* of an error */
    struct str retry_after, retry_after_ms; /* headers, or STR_NONE */
};

struct transfer_ops {
    /* A piece of a good answer. 0: go on; 1: enough, the rest is drained; negative: end it. May not end the
     * transfer. */
    int (*on_bytes)(void *arg, struct str bytes);
    bool (*is_full)(void *arg); /* then no bytes come until transfer_resume() */
    /* It has ended and is freed behind this. Not after transfer_abort() or transfer_release(). */
    void (*on_done)(void *arg, const struct transfer_result *result);
};

/* http's texts must stay valid until transfer_is_sent() or the end; -EINVAL when libcurl does not take the
 * URL. */
MUST_USE int transfer_start(struct transfers *all, const struct llm_http *http,
                            const struct transfer_ops *ops, void *arg, struct transfer **transfer);
/* May end it (on_done). Not from inside on_bytes(). */
void transfer_resume(struct transfer *t);
/* The request is out and its texts are not needed any more. */
bool transfer_is_sent(const struct transfer *t);

/* Ends it at once. Not from inside on_bytes(). */
void transfer_abort(struct transfer *t);
/* Nobody is interested any more; it drains on its own if all but the end was received, else it is aborted. */
void transfer_release(struct transfer *t);

#endif
