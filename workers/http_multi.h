/*
 * libcurl's multi interface driven by libev: any number of transfers in one
 * loop. Owns the multi handle and the watchers, never the easy handles.
 */
#ifndef WORKERS_HTTP_MULTI_H
#define WORKERS_HTTP_MULTI_H

#include "core/loop.h"

#include <curl/curl.h>

struct http_multi {
    struct loop *loop;
    CURLM *multi;
    ev_timer timer;
    /* A transfer has ended; not called from inside one of curl's callbacks, so it may be removed. */
    void (*on_done)(CURL *easy, CURLcode rc);
};

void http_multi_init(struct http_multi *m, struct loop *l, void (*on_done)(CURL *easy, CURLcode rc));
/* All transfers must have been removed. */
void http_multi_fini(struct http_multi *m);

void http_multi_add(struct http_multi *m, CURL *easy);
/* Ends the transfer, whatever its state; its connection is closed unless the answer was complete. */
void http_multi_remove(struct http_multi *m, CURL *easy);

#endif
