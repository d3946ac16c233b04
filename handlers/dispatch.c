#include "handlers/dispatch.h"

#include "base/log.h"
#include "handlers/auth.h"
#include "handlers/fields.h"

/* The permission of the route with its path parameters filled in. */
static struct str rule_permission(struct req *r)
{
    struct str rest = str_from(r->route->permission);
    struct buf out;

    buf_init_arena(&out, &r->arena);
    while (!str_is_none(rest)) {
        buf_add(&out, str_cut(&rest, '{'));
        if (!str_is_none(rest))
            buf_add(&out, param(r, arena_cstr(&r->arena, str_cut(&rest, '}'))));
    }
    return buf_str(&out);
}

static int dispatch_rule(struct req *r)
{
    const struct route *route = r->route;

    if (route->rule != RULE_FIXED && route->rule != RULE_PATH)
        return 0;
    if (route->refusal == NULL)
        return auth_require(r, rule_permission(r));
    return auth_permits(r, rule_permission(r)) ? 0 : fail(r, 403, "%s", route->refusal);
}

/* Whether the caller may use the route at all. */
static int dispatch_caller(struct req *r, bool may_defer)
{
    if (r->route->rule == RULE_PUBLIC)
        return 0;
    TRY(auth_authenticate_await(r, may_defer));
    return dispatch_rule(r);
}

static int dispatch_once(struct req *r, bool may_defer)
{
    TRY(dispatch_caller(r, may_defer));
    if (r->route->query != NULL)
        TRY(query_check(r, r->route->query));
    if (r->route->body != NULL)
        TRY(body_check(r, r->route->body));
    return r->route->handler(r);
}

/*
 * Only where a handler just reads may its caller's grants be confirmed while it runs, or where it reads
 * before it does anything that others notice: a read hands out rows only once its caller is confirmed.
 */
static bool dispatch_may_defer(const struct req *r)
{
    bool is_safe = r->route->method == HTTP_GET || r->route->method == HTTP_HEAD;

    return (r->route->flags & ROUTE_READS_FIRST) || (is_safe && !(r->route->flags & ROUTE_STREAM));
}

enum { DISPATCH_RUNS_MAX = 3 };

/* Runs the request, again when it was answered for grants that are no longer true. */
static int dispatch_confirmed(struct req *r)
{
    int confirmed = -ESTALE;

    for (int run = 0; run < DISPATCH_RUNS_MAX && confirmed == -ESTALE; run++) {
        int rc = dispatch_once(r, run == 0 && dispatch_may_defer(r));

        confirmed = auth_confirm_await(r);
        if (confirmed == 0)
            return rc;
        reply_reset(r);
    }
    return confirmed == -ECANCELED ? confirmed : fail(r, 503, "Service temporarily unavailable");
}

/* A request that failed without saying how gets a 500; what was left out of the answer is added. */
static void dispatch_finish(struct req *r, int rc)
{
    bool is_answered = r->is_streaming || (rc < 0 ? r->status >= 400 : r->status != 0);

    if (!is_answered && rc != -ECANCELED) {
        log_error("dispatch", "%s %s: no answer, %d", http_method_name(r->route->method), r->route->path, rc);
        reply_reset(r);
        fail(r, 500, "Internal Server Error");
    }
    if (r->route->flags & ROUTE_NO_STORE && !r->is_streaming)
        reply_header(r, "Cache-Control", STR("no-store"));
}

void dispatch(struct req *r)
{
    dispatch_finish(r, dispatch_confirmed(r));
}

void dispatch_admit(struct req *r)
{
    int rc = dispatch_caller(r, false);

    if (rc < 0)
        dispatch_finish(r, rc);
}
