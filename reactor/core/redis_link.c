#include "core/redis_link.h"

#include "base/log.h"

static const char unwatched[] = "its socket cannot be watched";

static const unsigned link_next[LINK_STATES] = {
    [LINK_DOWN] = 1u << LINK_CONNECTING,
    [LINK_CONNECTING] = 1u << LINK_UP | 1u << LINK_DOWN,
    [LINK_UP] = 1u << LINK_DOWN,
};

static void link_set_state(struct redis_link *link, enum redis_link_state next)
{
    assert(link_next[link->state] & 1u << next);
    link->state = next;
}

/* ---- what hiredis wants from an event loop ---- */

static void want_read(void *arg)
{
    struct redis_link *link = arg;

    ev_io_start(link->loop->ev, &link->readable);
}

static void no_read(void *arg)
{
    struct redis_link *link = arg;

    ev_io_stop(link->loop->ev, &link->readable);
}

/* A command was added: it waits for the end of the turn. What the socket did not take then waits for the
 * socket. */
static void want_write(void *arg)
{
    struct redis_link *link = arg;

    if (link->is_flushing || (link->context->c.flags & REDIS_CONNECTED) == 0)
        ev_io_start(link->loop->ev, &link->writable);
    else if (!ev_is_active(&link->writable))
        loop_defer(link->loop, &link->flush);
}

static void no_write(void *arg)
{
    struct redis_link *link = arg;

    ev_io_stop(link->loop->ev, &link->writable);
}

static void write_now(struct redis_link *link)
{
    if (link->context == NULL)
        return;
    link->is_flushing = true;
    redisAsyncHandleWrite(link->context); /* may end the connection */
    link->is_flushing = false;
}

static void on_flush(struct loop_hook *h)
{
    write_now(container_of(h, struct redis_link, flush));
}

static void on_readable(struct ev_loop *ev UNUSED, ev_io *w, int revents)
{
    struct redis_link *link = container_of(w, struct redis_link, readable);

    if (revents & EV_ERROR)
        redis_link_break(link, unwatched);
    else
        redisAsyncHandleRead(link->context);
}

static void on_writable(struct ev_loop *ev UNUSED, ev_io *w, int revents)
{
    struct redis_link *link = container_of(w, struct redis_link, writable);

    if (revents & EV_ERROR)
        redis_link_break(link, unwatched);
    else
        write_now(link);
}

/* ---- coming and going ---- */

static void connect_start(struct redis_link *link);

static void retry_later(struct redis_link *link)
{
    if (link->is_stopped)
        return;
    ev_timer_set(&link->retry, (double)link->backoff_ms / 1000, 0);
    ev_timer_start(link->loop->ev, &link->retry);
    link->backoff_ms =
        link->backoff_ms * 2 < REDIS_BACKOFF_MAX_MS ? link->backoff_ms * 2 : REDIS_BACKOFF_MAX_MS;
}

static void on_retry(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    connect_start(container_of(w, struct redis_link, retry));
}

static void link_gone(struct redis_link *link, const char *text)
{
    bool was_up = link->state == LINK_UP;

    link_set_state(link, LINK_DOWN);
    link->context = NULL;
    if (link->look_up != NULL)
        resolve_cancel(link->look_up);
    link->look_up = NULL;
    link->outstanding = 0;
    link->client_id = 0;
    loop_hook_cancel(&link->flush);
    ev_io_stop(link->loop->ev, &link->readable);
    ev_io_stop(link->loop->ev, &link->writable);
    ev_timer_stop(link->loop->ev, &link->watchdog);
    if (!link->is_stopped && (was_up || !link->has_failed))
        log_warn("redis", "%s: not connected: %s", link->name, link->trouble != NULL ? link->trouble : text);
    link->trouble = NULL;
    link->has_failed = true;
    link->on_down(link);
    retry_later(link);
}

/* hiredis has run all callbacks and is about to free its context. */
static void on_cleanup(void *arg)
{
    struct redis_link *link = arg;

    link_gone(link, link->context->errstr[0] != '\0' ? link->context->errstr : "closed");
}

void redis_link_break(struct redis_link *link, const char *trouble)
{
    if (link->state == LINK_DOWN)
        return;
    link->trouble = trouble;
    if (link->context != NULL)
        redisAsyncFree(link->context);
    else
        link_gone(link, trouble);
}

static void watchdog_start(struct redis_link *link, int64_t ms)
{
    ev_timer_stop(link->loop->ev, &link->watchdog);
    ev_timer_set(&link->watchdog, (double)ms / 1000, 0);
    ev_timer_start(link->loop->ev, &link->watchdog);
}

static void on_watchdog(struct ev_loop *ev, ev_timer *w, int revents UNUSED)
{
    struct redis_link *link = container_of(w, struct redis_link, watchdog);
    int64_t quiet_ms = (int64_t)((ev_now(ev) - link->progress_at) * 1000);

    if (link->state == LINK_CONNECTING)
        redis_link_break(link, "the server does not answer");
    else if (link->outstanding > 0 && quiet_ms >= link->silence_ms)
        redis_link_break(link, "the server stopped answering");
    else if (link->outstanding > 0)
        watchdog_start(link, link->silence_ms - quiet_ms);
}

void redis_link_answered(struct redis_link *link)
{
    link->outstanding--;
    link->progress_at = ev_now(link->loop->ev);
}

/* In the protocol's form; hiredis would make a copy of its own, with printf. */
static struct str command_write(struct buf *out, int argc, const struct str *argv)
{
    buf_consume(out, buf_size(out));
    buf_add_byte(out, '*');
    buf_add_i64(out, argc);
    for (int i = 0; i < argc; i++) {
        buf_add(out, STR("\r\n$"));
        buf_add_i64(out, (int64_t)argv[i].n);
        buf_add(out, STR("\r\n"));
        buf_add(out, argv[i]);
    }
    buf_add(out, STR("\r\n"));
    return buf_str(out);
}

/*
 * hiredis says "done" also when it had no memory for the command or for whom to tell. Every
 * later answer would then be taken for the command before it.
 */
static void check_taken(const struct redis_link *link, redisCallbackFn *done, const void *arg)
{
    const redisCallback *last = link->context->replies.tail;

    if (link->context->c.err != REDIS_ERR_OOM && last != NULL && last->fn == done && last->privdata == arg)
        return;
    log_error("redis", "%s: out of memory", link->name);
    abort();
}

bool redis_link_send(struct redis_link *link, int argc, const struct str *argv, redisCallbackFn *done,
                     void *arg)
{
    struct str command;

    assert(argc > 0);
    if (link->context == NULL || link->outstanding >= REDIS_OUTSTANDING_MAX)
        return false;
    command = command_write(&link->command, argc, argv);
    if (redisAsyncFormattedCommand(link->context, done, arg, command.p, command.n) != REDIS_OK)
        return false;
    check_taken(link, done, arg);
    if (link->outstanding++ == 0) {
        link->progress_at = ev_now(link->loop->ev);
        if (!ev_is_active(&link->watchdog))
            watchdog_start(link, link->silence_ms);
    }
    return true;
}

/* ---- the handshake: AUTH, SELECT, CLIENT ID, which also shows that the server serves ---- */

static void on_credentials(redisAsyncContext *context, void *answer, void *arg)
{
    struct redis_link *link = arg;
    const redisReply *reply = answer;

    (void)context;
    redis_link_answered(link);
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        redis_link_break(link, "the server refuses the user, the password or the database");
}

static void on_client_id(redisAsyncContext *context, void *answer, void *arg)
{
    struct redis_link *link = arg;
    const redisReply *reply = answer;

    (void)context;
    redis_link_answered(link);
    if (reply == NULL || link->trouble != NULL)
        return;
    if (reply->type != REDIS_REPLY_INTEGER) {
        redis_link_break(link, "the server is not ready");
        return;
    }
    link->client_id = reply->integer;
    link->has_failed = false;
    link->backoff_ms = REDIS_BACKOFF_FIRST_MS;
    link_set_state(link, LINK_UP);
    link->connections++;
    log_info("redis", "%s: connected", link->name);
    link->on_up(link);
}

static void handshake(struct redis_link *link)
{
    const struct redis_address *address = link->address;
    struct str argv[3] = {STR("AUTH")};
    char number[24];
    int argc = 1;

    if (!str_is_none(address->user) && !str_is_none(address->password))
        argv[argc++] = address->user;
    if (!str_is_none(address->password)) {
        argv[argc++] = address->password;
        (void)redis_link_send(link, argc, argv, on_credentials, link);
    }
    if (address->database > 0) {
        argv[0] = STR("SELECT");
        argv[1] = str_of(number, (size_t)snprintf(number, sizeof(number), "%" PRId64, address->database));
        (void)redis_link_send(link, 2, argv, on_credentials, link);
    }
    argv[0] = STR("CLIENT");
    argv[1] = STR("ID");
    (void)redis_link_send(link, 2, argv, on_client_id, link);
}

static void on_connect(const redisAsyncContext *context UNUSED, int status UNUSED)
{
    /* A failure comes by way of on_cleanup(); hiredis watches for the connection only if somebody wants to
     * know. */
}

/* To a numeric address, or a socket's path. */
static void connect_to(struct redis_link *link, const char *host)
{
    redisAsyncContext *context = host != NULL ? redisAsyncConnect(host, link->address->port)
                                              : redisAsyncConnectUnix(link->address->path);

    if (context == NULL) {
        log_error("redis", "no memory for a connection");
        abort();
    }
    if (context->err != 0) {
        char text[sizeof(context->c.errstr)];

        (void)snprintf(text, sizeof(text), "%s", context->errstr);
        redisAsyncFree(context);
        link_gone(link, text);
        return;
    }
    link->context = context;
    ev_io_set(&link->readable, context->c.fd, EV_READ);
    ev_io_set(&link->writable, context->c.fd, EV_WRITE);
    context->ev.data = link;
    context->ev.addRead = want_read;
    context->ev.delRead = no_read;
    context->ev.addWrite = want_write;
    context->ev.delWrite = no_write;
    context->ev.cleanup = on_cleanup;
    (void)redisAsyncSetConnectCallback(context, on_connect);
    handshake(link);
}

static void on_resolved(void *arg, const char *address)
{
    struct redis_link *link = arg;

    link->look_up = NULL;
    if (address != NULL)
        connect_to(link, address);
    else
        link_gone(link, "the host has no address");
}

static void connect_start(struct redis_link *link)
{
    const char *host = link->address->host;

    link_set_state(link, LINK_CONNECTING);
    watchdog_start(link, REDIS_CONNECT_TIMEOUT_MS);
    if (resolve_is_needed(host))
        link->look_up = resolve_start(link->loop, host, link->attempts++, on_resolved, link);
    if (link->look_up == NULL)
        connect_to(link, host);
}

void redis_link_init(struct redis_link *link, struct loop *l, const char *name,
                     const struct redis_address *address)
{
    *link = (struct redis_link){.loop = l, .name = name, .address = address};
    link->backoff_ms = REDIS_BACKOFF_FIRST_MS;
    link->silence_ms = REDIS_SILENCE_MS;
    loop_hook_init(&link->flush, on_flush);
    buf_init(&link->command);
    ev_init(&link->readable, on_readable);
    ev_init(&link->writable, on_writable);
    ev_init(&link->watchdog, on_watchdog);
    ev_init(&link->retry, on_retry);
}

void redis_link_start(struct redis_link *link)
{
    if (link->state != LINK_DOWN)
        return;
    ev_timer_stop(link->loop->ev, &link->retry);
    connect_start(link);
}

void redis_link_stop(struct redis_link *link)
{
    link->is_stopped = true;
    ev_timer_stop(link->loop->ev, &link->retry);
    redis_link_break(link, "closed");
    buf_fini(&link->command);
}
