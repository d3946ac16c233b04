/* The reactor process: what it holds, and the one struct where its state lives. */
#ifndef REACTOR_SERVER_H
#define REACTOR_SERVER_H

#include "req.h"

struct listener;
struct app;       /* handlers/app.h: what the product adds */
struct conn_pool; /* conn.c */

struct server {
    struct loop loop;
    struct pg *db;
    struct redis *redis;
    struct route_table *routes;
    struct conn_pool *conns;
    /*
     * Runs in the request's task once its body is there: credential, rule, body
     * checks, handler (handlers/dispatch.c). Leaves the answer in r.
     */
    void (*dispatch)(struct req *r);
    struct app *app;
    bool is_draining; /* SIGTERM: no new connections, streams end, requests finish */
};

/* Entry of the process (see proc.h); listening sockets are inherited descriptors. Returns the exit status. */
int server_main(int argc, char **argv);

#endif
