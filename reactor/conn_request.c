#include "conn_parts.h"

#include "base/clock.h"
#include "base/log.h"

/*
 * From a complete head to the answer: routing, the refusals that need no
 * handler, what becomes of the body, and the task.
 */

/* ---- making it ---- */

static struct req *request_new(struct conn *c)
{
    struct req *r = req_new(c->pool->server);

    r->conn = c;
    r->body_bytes_max = c->pool->options.body_bytes_max;
    c->req = r;
    c->pool->stats.requests++;
    trim_later(&c->pool->trim);
    return r;
}

/* The last proxy says what it saw; a list means that the client sent something of its own. */
static bool request_came_by_tls(const struct req *r)
{
    struct str proto = http_field(&r->head, STR("x-forwarded-proto"));
    ssize_t comma = str_rfind_byte(proto, ',');

    return str_ieq(str_trim(str_from_offset(proto, (size_t)(comma + 1))), STR("https"));
}

static void request_know_client(const struct conn *c, struct req *r)
{
    struct addr client = addr_client(&r->head, &c->pool->trusted, &c->source->addr);
    char text[ADDR_TEXT_SIZE];

    r->client = arena_str(&r->arena, addr_text(text, &client));
    r->is_tls = c->source->is_trusted && request_came_by_tls(r);
}

/* ---- refusals ---- */

static const char *refusal_text(int status)
{
    return status == 413 ? "Request body too large" : http_reason(status);
}

void conn_refuse(struct conn *c, int status)
{
    struct req *r = c->req != NULL ? c->req : request_new(c);

    c->closes = true;
    if (str_is_none(r->client))
        request_know_client(c, r);
    (void)fail(r, status, "%s", refusal_text(status));
    if (status == 503)
        reply_header(r, "Retry-After", STR("1"));
    conn_answer(c);
    conn_settle(c);
}

static void reply_allow(struct req *r, unsigned methods)
{
    struct buf names;

    buf_init_arena(&names, &r->arena);
    for (unsigned m = 0; m < HTTP_OTHER; m++) {
        if (!(methods & 1u << m))
            continue;
        if (buf_size(&names) != 0)
            buf_add(&names, STR(", "));
        buf_add(&names, str_from(http_method_name((enum http_method)m)));
    }
    reply_header(r, "Allow", buf_str(&names));
}

static const unsigned all_methods = (1u << HTTP_OTHER) - 1;

static void request_answer_options(struct req *r)
{
    bool is_server = str_eq(r->head.path, STR("*"));

    if (!is_server && !r->match.path_is_known) {
        (void)fail(r, 404, "Not Found");
        return;
    }
    reply_empty(r, 204);
    reply_allow(r, is_server ? all_methods : r->match.methods);
}

/* Spec 10 §1.8. The path does not matter. */
static void request_answer_preflight(const struct conn *c, struct req *r)
{
    struct str asked = http_field(&r->head, STR("access-control-request-headers"));

    reply_header(r, "Access-Control-Allow-Methods", STR("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"));
    reply_header(r, "Access-Control-Max-Age", STR("600"));
    if (!cors_allows(&c->pool->cors, http_field(&r->head, STR("origin")))) {
        reply_text(r, 400, "text/plain; charset=utf-8", STR("Disallowed CORS origin"));
        return;
    }
    if (asked.n != 0)
        reply_header(r, "Access-Control-Allow-Headers", asked);
    reply_text(r, 200, "text/plain; charset=utf-8", STR("OK"));
}

static bool request_is_preflight(const struct req *r)
{
    return r->head.method == HTTP_OPTIONS && !str_is_none(http_field(&r->head, STR("origin"))) &&
           !str_is_none(http_field(&r->head, STR("access-control-request-method")));
}

static bool method_is_never_served(struct str method)
{
    return str_eq(method, STR("TRACE")) || str_eq(method, STR("CONNECT"));
}

static void request_refuse_method(struct req *r, unsigned methods)
{
    (void)fail(r, 405, "Method Not Allowed");
    reply_allow(r, methods);
}

/* Finds the route, or leaves an answer in r. */
static void request_route(struct conn *c, struct req *r)
{
    if (request_is_preflight(r)) {
        request_answer_preflight(c, r);
        return;
    }
    if (route_find(c->pool->server->routes, &r->arena, r->head.method, r->head.path, &r->match) < 0 ||
        req_query_parse(r) < 0) {
        (void)fail(r, 400, "Bad Request");
        return;
    }
    r->route = r->match.route;
    if (r->route != NULL)
        return;
    if (r->head.method == HTTP_OPTIONS)
        request_answer_options(r);
    else if (r->match.path_is_known)
        request_refuse_method(r, r->match.methods);
    else if (method_is_never_served(r->head.method_text))
        request_refuse_method(r, all_methods);
    else
        (void)fail(r, 404, "Not Found");
}

/* ---- the body ---- */

static struct conn_body *body_new(const struct req *r, uint64_t max, bool is_skipped)
{
    struct conn_body *b = mem_zalloc(sizeof(*b));

    b->left = r->head.content_length;
    b->is_chunked = r->head.is_chunked;
    b->max = max;
    b->is_skipped = is_skipped;
    b->started_ms = b->last_ms = conn_now_ms();
    http_chunked_init(&b->chunked);
    return b;
}

/*
 * Nobody reads the body: it is dropped behind the answer, unless it is long. A
 * client that waits for 100 may or may not send it now: nothing behind it could be understood.
 */
static void request_skip_body(struct conn *c, const struct req *r)
{
    if (!r->head.has_body)
        return;
    if (r->head.expects_continue || r->head.content_length > CONN_SKIP_BYTES)
        c->closes = true;
    else
        c->body = body_new(r, UINT64_MAX, true);
}

static uint64_t request_body_limit(const struct conn *c, const struct route *route)
{
    uint64_t usual = c->pool->options.body_bytes_max;

    if (route->flags & ROUTE_BODY_AUTH)
        return CONN_BODY_AUTH_BYTES;
    if (route->flags & ROUTE_BODY_CONFIG)
        return usual > CONN_BODY_CONFIG_BYTES ? usual : CONN_BODY_CONFIG_BYTES;
    if (route->flags & ROUTE_BODY_LARGE)
        return usual > CONN_BODY_LARGE_BYTES ? usual : CONN_BODY_LARGE_BYTES;
    return usual;
}

static bool request_reads_body(const struct req *r)
{
    return r->head.has_body && r->head.method != HTTP_GET && r->head.method != HTTP_HEAD;
}

static bool request_is_too_large(const struct req *r)
{
    return r->head.content_length > 0 && (uint64_t)r->head.content_length > r->body_bytes_max;
}

static void request_read_body(struct conn *c, struct req *r)
{
    c->body = body_new(r, r->body_bytes_max, false);
    if (r->head.expects_continue) {
        buf_add(&c->out, STR("HTTP/1.1 100 Continue\r\n\r\n"));
        conn_later(c);
    }
}

/* Answers without a body that was not read. */
static void request_answer_early(struct conn *c, struct req *r)
{
    request_skip_body(c, r);
    conn_answer(c);
}

/* ---- tasks ---- */

static void request_set_working(struct conn *c, struct req *r, task_fn fn)
{
    conn_set_state(c, CONN_WORKING);
    r->task = task_spawn(&c->pool->server->loop, r->route->path, fn, r);
    task_describe(r->task, r->id);
}

/* The connection of a request whose task is about to end; NULL when the client has gone: then r is gone too.
 */
static struct conn *request_task_end(struct req *r)
{
    struct conn *c = r->conn;

    r->task = NULL;
    if (c == NULL) {
        answer_log(r->server->conns, r);
        req_free(r);
    }
    return c;
}

static void request_leave_to_stream(struct conn *c, struct req *r)
{
    c->req = NULL;
    r->conn = NULL;
    answer_log(c->pool, r);
    req_free(r);
}

static void request_task(void *arg)
{
    struct req *r = arg;
    bool was_cancelled;
    struct conn *c;

    if (!task_is_cancelled(r->task) || r->is_detached)
        r->server->dispatch(r);
    sql_rollback(r); /* what the handler left open; its connection does not wait for the client */
    was_cancelled = task_is_cancelled(r->task);
    c = request_task_end(r);
    if (c == NULL)
        return;
    if (r->is_streaming) {
        request_leave_to_stream(c, r);
        return;
    }
    if (r->status == 0 && was_cancelled)
        (void)fail(r, 503, "Service Unavailable");
    if (r->status == 0) {
        log_error("request", "%s %s %s gave no answer", r->id, http_method_name(r->route->method),
                  r->route->path);
        (void)fail(r, 500, "Internal Server Error");
    }
    conn_answer(c);
    conn_resume(c);
    conn_settle(c);
}

void conn_request_run(struct conn *c)
{
    struct req *r = c->req;

    r->body = buf_str(&r->incoming);
    request_set_working(c, r, request_task);
}

static void request_admit_task(void *arg)
{
    struct req *r = arg;
    struct conn *c;

    if (!task_is_cancelled(r->task))
        r->server->admit(r);
    c = request_task_end(r);
    if (c == NULL)
        return;
    if (r->status == 0 && request_is_too_large(r))
        (void)fail(r, 413, "%s", refusal_text(413));
    if (r->status != 0) {
        request_answer_early(c, r);
    } else {
        conn_set_state(c, CONN_READING);
        request_read_body(c, r);
    }
    conn_resume(c);
    conn_settle(c);
}

static bool request_needs_admission(const struct req *r)
{
    return r->server->admit != NULL &&
           (r->head.is_chunked || r->head.expects_continue || r->head.content_length > CONN_ADMIT_BYTES);
}

void conn_request_begin(struct conn *c, struct str head)
{
    struct req *r = request_new(c);
    int rc = http_parse_head(&r->arena, arena_str(&r->arena, head), &r->head);

    request_know_client(c, r);
    if (rc < 0) {
        conn_refuse(c, -rc);
        return;
    }
    c->closes = !r->head.keep_alive;
    request_route(c, r);
    if (r->status == 0) {
        r->body_bytes_max = request_body_limit(c, r->route);
        if (request_is_too_large(r))
            (void)fail(r, 413, "%s", refusal_text(413));
    }
    if (r->status != 0) {
        request_answer_early(c, r);
    } else if (!request_reads_body(r)) {
        request_skip_body(c, r);
        conn_request_run(c);
    } else if (request_needs_admission(r)) {
        request_set_working(c, r, request_admit_task);
    } else {
        request_read_body(c, r);
    }
}

/* ---- the answer ---- */

static bool answer_has_body(const struct req *r)
{
    return r->head.method != HTTP_HEAD && r->status != 204 && r->status != 304 && buf_size(&r->answer) != 0;
}

void conn_answer(struct conn *c)
{
    struct req *r = c->req;

    c->closes |= c->pool->server->is_draining;
    answer_head(c->pool, r, ANSWER_SIZED, c->closes, &c->out);
    if (!c->is_refusal) /* a flood of connections is counted, not logged */
        answer_log(c->pool, r);
    c->req = NULL;
    r->conn = NULL;
    if (answer_has_body(r) && buf_size(&r->answer) > CONN_HELD_BYTES) {
        c->held = r;
        c->held_sent = 0;
    } else {
        if (answer_has_body(r))
            buf_add(&c->out, buf_str(&r->answer));
        req_free(r);
    }
    if (c->closes)
        conn_finish(c);
    else if (c->state != CONN_READING)
        conn_set_state(c, CONN_READING);
    conn_later(c);
}
