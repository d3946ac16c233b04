/*
 * The outbound worker: what leaves for other servers on behalf of the reactor.
 * Each kind of call (outbound_mail.c) starts its own libcurl transfers in the one
 * loop of the process.
 */
#ifndef WORKERS_OUTBOUND_H
#define WORKERS_OUTBOUND_H

#include "workers/http_multi.h"
#include "workers/worker.h"

struct outbound {
    struct loop loop;
    struct worker worker;
    struct http_multi multi;
};

/* Embedded by each kind of call; also the transfer's CURLOPT_PRIVATE. */
struct outbound_call {
    struct worker_call call;
    struct outbound *outbound;
    void (*done)(struct outbound_call *c, CURLcode rc); /* its transfer has ended */
    void (*end)(struct outbound_call *c);               /* as worker_ops.on_end */
};

/* Entry of the process. */
int outbound_main(int argc, char **argv);

/* Starts what a mail_send asks for. 0 or -EPROTO. */
MUST_USE int outbound_mail_start(struct outbound *o, struct worker_conn *c, struct str payload);

#endif
