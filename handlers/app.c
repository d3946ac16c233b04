#include "handlers/app.h"

#include "channel.h"
#include "core/child.h"
#include "handlers/auth.h"
#include "handlers/dispatch.h"
#include "handlers/docs.h"
#include "handlers/limit.h"
#include "handlers/llm_call.h"
#include "handlers/login.h"
#include "handlers/mail.h"
#include "handlers/openapi.h"
#include "handlers/periodic.h"
#include "handlers/turn.h"

enum { AUTH_ENTRIES_MAX = 20000 };

int app_main(int argc UNUSED, char **argv UNUSED)
{
    static const struct server_options options = {.start = app_start, .stop = app_stop, .drain = app_drain};

    return server_run(&options);
}

static struct llm_pool *open_llm_workers(struct server *s)
{
    const struct child *child = child_self();
    const char *paths[CHILD_WORKERS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < child->workers_count; i++) {
        if (str_starts(str_from(child->workers[i].title), STR("llm-")))
            paths[count++] = child->workers[i].path;
    }
    return llm_pool_open(&s->loop, paths, count);
}

int app_start(struct server *s)
{
    size_t count;
    const struct route *routes = app_routes(&count);

    s->app = mem_alloc(sizeof(*s->app));
    *s->app = (struct app){
        .auth = auth_cache_new(AUTH_ENTRIES_MAX),
        .limits = limits_new(),
        .openapi = openapi_open(routes, count),
        .docs = docs_open(),
        .mail = mail_pool_open(&s->loop),
        .llm = open_llm_workers(s),
        .turns = turns_new(s),
    };
    s->channels = channels_new(s);
    s->routes = route_table_new(routes, count);
    s->dispatch = dispatch;
    s->admit = dispatch_admit;
    s->app->periodic = periodic_start(s);
    turns_start(s->app->turns);
    return 0;
}

void app_drain(struct server *s)
{
    channels_drain(s->channels);
    turns_drain(s->app->turns);
}

void app_stop(struct server *s)
{
    periodic_stop(s->app->periodic);
    turns_free(s->app->turns);
    channels_free(s->channels);
    llm_pool_close(s->app->llm);
    route_table_free(s->routes);
    auth_cache_free(s->app->auth);
    limits_free(s->app->limits);
    openapi_close(s->app->openapi);
    docs_close(s->app->docs);
    mail_pool_close(s->app->mail);
    free(s->app);
    s->app = NULL;
}
