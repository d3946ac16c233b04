/* What the product adds to the server: the state that handlers share, and the wiring. */
#ifndef HANDLERS_APP_H
#define HANDLERS_APP_H

#include "server.h"

struct auth_cache;
struct docs;
struct limits;
struct openapi;
struct mail_pool;
struct llm_pool;
struct periodic;
struct turns;

struct app {
    struct auth_cache *auth;
    struct limits *limits; /* handlers/limit.h */
    struct openapi *openapi;
    struct docs *docs;
    struct mail_pool *mail;
    struct llm_pool *llm; /* handlers/llm_call.h */
    struct turns *turns;  /* handlers/turn.h */
    struct periodic *periodic;
};

/* Entry of the reactor process. */
int app_main(int argc, char **argv);

/* Routes, dispatch and app of a server whose loop, db and redis stand. 0 or -errno. */
MUST_USE int app_start(struct server *s);
void app_drain(struct server *s);
void app_stop(struct server *s);

/* The whole API (routes.c). */
const struct route *app_routes(size_t *count);

#endif
