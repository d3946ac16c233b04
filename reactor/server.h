/* The reactor process: what it holds, and the one struct where its state lives. */
#ifndef REACTOR_SERVER_H
#define REACTOR_SERVER_H

#include "req.h"

struct app;       /* handlers/app.h: what the product adds */
struct conn_pool; /* conn.c */

struct server {
    struct loop loop;
    struct pg *db;
    struct redis *redis;
    struct route_table *routes;
    struct conn_pool *conns;
    struct channels *channels; /* live event streams */
    /*
     * Runs in the request's task once its body is there: credential, rule, body
     * checks, handler (handlers/dispatch.c). Leaves the answer in r.
     */
    void (*dispatch)(struct req *r);
    /*
     * May be NULL. Runs in a task before a body is read that is long, of unknown length or announced by
     * Expect: an answer left in r refuses the request, and the body is not read. It may lower
     * r->body_bytes_max. dispatch runs afterwards all the same.
     */
    void (*admit)(struct req *r);
    struct app *app;
    struct list services; /* requests of req_spawn_service() */
    bool is_draining;     /* SIGTERM: no new connections, streams end, requests finish */
};

/* What the product adds; reactor/ knows nothing of handlers/. */
struct server_options {
    int (*start)(struct server *s);  /* routes, dispatch, app: app_start(). 0 or -errno */
    void (*stop)(struct server *s);  /* when everything has ended */
    void (*drain)(struct server *s); /* may be NULL: streams shall end, nothing new begins */
};

enum {
    SERVER_DRAIN_MS = 8000,  /* from SIGTERM on, requests and background work may finish */
    SERVER_CANCEL_MS = 1000, /* then they are cancelled and may clean up */
    SERVER_RESTART_MS = 1000 /* how long a reactor that was started again waits for its databases */
};

/*
 * The process: opens what conf names, serves on the sockets that the supervisor passed (core/child.h), ends
 * after a drain: nothing is accepted, services are cancelled, requests and req_spawn()ed work finish or are
 * cancelled. Returns the exit status.
 */
int server_run(const struct server_options *options);

#endif
