#include "handlers/app.h"

#include "handlers/auth.h"
#include "handlers/dispatch.h"
#include "handlers/limit.h"
#include "handlers/login.h"
#include "handlers/mail.h"

enum { AUTH_ENTRIES_MAX = 20000 };

int app_main(int argc UNUSED, char **argv UNUSED)
{
    static const struct server_options options = {.start = app_start, .stop = app_stop};

    return server_run(&options);
}

int app_start(struct server *s)
{
    size_t count;
    const struct route *routes = app_routes(&count);

    s->app = mem_alloc(sizeof(*s->app));
    *s->app = (struct app){
        .auth = auth_cache_new(AUTH_ENTRIES_MAX),
        .limits = limits_new(),
        .mail = mail_pool_open(&s->loop),
    };
    s->routes = route_table_new(routes, count);
    s->dispatch = dispatch;
    s->admit = dispatch_admit;
    req_spawn(s, "purge of one-time codes", login_purge, NULL);
    return 0;
}

void app_stop(struct server *s)
{
    route_table_free(s->routes);
    auth_cache_free(s->app->auth);
    limits_free(s->app->limits);
    mail_pool_close(s->app->mail);
    free(s->app);
    s->app = NULL;
}
