#include "conn_parts.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <sys/epoll.h>

static const unsigned conn_next[CONN_STATES] = {
    [CONN_READING] = 1u << CONN_WORKING | 1u << CONN_FINISHING | 1u << CONN_CLOSING,
    [CONN_WORKING] = 1u << CONN_READING | 1u << CONN_STREAMING | 1u << CONN_FINISHING | 1u << CONN_CLOSING,
    [CONN_STREAMING] = 1u << CONN_READING | 1u << CONN_FINISHING | 1u << CONN_CLOSING,
    [CONN_FINISHING] = 1u << CONN_CLOSING,
};

static const int64_t wait_limits_ms[WAITS] = {
    [WAIT_HEAD] = CONN_HEAD_MS,
    [WAIT_IDLE] = CONN_IDLE_MS,
    [WAIT_BODY] = -1, /* see body_is_late() */
    [WAIT_WRITE] = CONN_WRITE_MS,
    [WAIT_STREAM] = CONN_STREAM_STALL_MS,
    [WAIT_LINGER] = CONN_LINGER_MS,
};

enum { INCOMING_BYTES_MAX = 1 << 30 };

int64_t conn_now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

void conn_set_state(struct conn *c, enum conn_state next)
{
    assert(conn_next[c->state] & 1u << next);
    c->state = (uint8_t)next;
    list_move(&c->pool->states[next], &c->link);
    if (next == CONN_CLOSING)
        loop_defer(&c->pool->server->loop, &c->pool->turn_end);
}

void conn_later(struct conn *c)
{
    if (list_is_empty(&c->dirty))
        list_append(&c->pool->dirty, &c->dirty);
    loop_defer(&c->pool->server->loop, &c->pool->turn_end);
}

/* ---- deadlines ---- */

void conn_restart_wait(struct conn *c, unsigned waits)
{
    struct conn_pool *pool = c->pool;

    pool->stats.timed -= c->waits != WAIT_NOTHING;
    c->waits = (uint8_t)waits;
    if (waits == WAIT_NOTHING) {
        list_remove(&c->wait);
        return;
    }
    pool->stats.timed++;
    c->wait_ms = conn_now_ms();
    list_move(&pool->waits[waits], &c->wait);
    if (!ev_is_active(&pool->sweep))
        ev_timer_again(pool->server->loop.ev, &pool->sweep);
}

void conn_set_wait(struct conn *c, unsigned waits)
{
    if (c->waits != waits)
        conn_restart_wait(c, waits);
}

static bool body_is_late(const struct conn_body *b, int64_t now_ms)
{
    int64_t age_ms = now_ms - b->started_ms;

    if (now_ms - b->last_ms >= CONN_BODY_SILENCE_MS)
        return true;
    return age_ms > CONN_BODY_GRACE_MS && b->received * 1000 < (uint64_t)age_ms * CONN_BODY_BYTES_PER_S;
}

static void conn_time_out(struct conn *c)
{
    c->pool->stats.timeouts++;
    if (c->waits == WAIT_HEAD || (c->waits == WAIT_BODY && !c->body->is_skipped))
        conn_refuse(c, 408);
    else
        conn_gone(c);
}

void conn_pool_sweep(struct conn_pool *pool, int64_t now_ms)
{
    for (unsigned w = WAITS; w-- > 0;) { /* backwards: whoever is refused waits on in a list behind his */
        list_each (c, &pool->waits[w], struct conn, wait) {
            if (w == WAIT_BODY && !body_is_late(c->body, now_ms))
                continue;
            if (w != WAIT_BODY && now_ms - c->wait_ms < wait_limits_ms[w])
                break;
            conn_time_out(c);
        }
    }
    listeners_resume(pool);
    if (pool->stats.timed == 0)
        ev_timer_stop(pool->server->loop.ev, &pool->sweep);
}

static void on_sweep(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    conn_pool_sweep(container_of(w, struct conn_pool, sweep), conn_now_ms());
}

/* ---- what a connection watches, by its state ---- */

static bool conn_wants_input(const struct conn *c)
{
    if (c->is_eof)
        return false;
    switch ((enum conn_state)c->state) {
    case CONN_READING:
        return conn_may_begin(c);
    case CONN_WORKING:
    case CONN_STREAMING:
        return buf_size(&c->in) < CONN_READ_AHEAD_BYTES;
    case CONN_FINISHING:
        return c->is_shut;
    case CONN_CLOSING:
    case CONN_STATES:
        break;
    }
    return false;
}

static unsigned conn_waits_for(const struct conn *c)
{
    if (conn_is_blocked(c))
        return c->state == CONN_STREAMING ? WAIT_STREAM : WAIT_WRITE;
    if (c->state == CONN_READING) {
        if (c->body != NULL)
            return WAIT_BODY;
        return c->is_fresh || buf_size(&c->in) != 0 ? WAIT_HEAD : WAIT_IDLE;
    }
    if (c->state == CONN_FINISHING)
        return c->is_shut ? WAIT_LINGER : WAIT_WRITE;
    return WAIT_NOTHING;
}

/*
 * libev does not report a hang-up on a descriptor that nobody reads or writes.
 * After the client's EOF we cannot go on reading, but a reset (or the full close of a Unix socket)
 * still says that nobody waits for the answer. An epoll set without events reports just that.
 */
static void conn_watch_hangup(struct conn *c)
{
    struct epoll_event e = {.events = 0, .data.ptr = c};

    if (c->has_hangup_watch)
        return;
    if (epoll_ctl(c->pool->hangups_fd, EPOLL_CTL_ADD, conn_fd(c), &e) < 0)
        log_warn("conn", "hang-ups cannot be watched: %s", strerror(errno));
    else
        c->has_hangup_watch = true;
}

static void on_hangups(struct ev_loop *ev UNUSED, ev_io *w, int revents UNUSED)
{
    struct epoll_event events[32];
    int n = epoll_wait(w->fd, events, nelem(events), 0);

    for (int i = 0; i < n; i++)
        conn_gone(events[i].data.ptr);
}

void conn_settle(struct conn *c)
{
    struct ev_loop *ev = c->pool->server->loop.ev;

    if (c->state == CONN_READING && c->is_eof && conn_may_begin(c))
        conn_finish(c);
    if (c->state == CONN_CLOSING)
        return;
    if (conn_wants_input(c)) {
        ev_io_start(ev, &c->readable);
    } else {
        ev_io_stop(ev, &c->readable);
        if (c->state == CONN_WORKING || c->state == CONN_STREAMING)
            conn_watch_hangup(c);
    }
    conn_set_wait(c, conn_waits_for(c));
}

/* ---- life ---- */

struct conn *conn_new(struct conn_pool *pool, int fd, const struct addr *from, bool is_refusal)
{
    struct conn *c = mem_zalloc(sizeof(*c));

    c->pool = pool;
    c->source = source_get(&pool->sources, from);
    c->state = CONN_READING;
    c->waits = WAIT_NOTHING;
    c->is_fresh = true;
    c->is_refusal = is_refusal;
    buf_init(&c->in);
    buf_init(&c->out);
    list_init(&c->wait);
    list_init(&c->dirty);
    list_append(&pool->states[CONN_READING], &c->link);
    ev_io_init(&c->readable, on_conn_readable, fd, EV_READ);
    ev_io_init(&c->writable, on_conn_writable, fd, EV_WRITE);
    pool->count += !is_refusal;
    pool->refusing += is_refusal;
    return c;
}

void conn_finish(struct conn *c)
{
    free(c->body);
    c->body = NULL;
    if (c->req != NULL && c->req->task == NULL) { /* not all of it came */
        req_free(c->req);
        c->req = NULL;
    }
    buf_clear(&c->in);
    conn_account(c);
    conn_set_state(c, CONN_FINISHING);
    conn_later(c);
}

void conn_gone(struct conn *c)
{
    struct req *r = c->req;
    struct ev_loop *ev = c->pool->server->loop.ev;

    if (c->state == CONN_CLOSING)
        return;
    if (r != NULL && r->task != NULL) {
        c->req = NULL;
        r->conn = NULL;
        if (!r->is_detached)
            task_cancel(r->task);
    }
    ev_io_stop(ev, &c->readable);
    ev_io_stop(ev, &c->writable);
    conn_set_wait(c, WAIT_NOTHING);
    conn_set_state(c, CONN_CLOSING);
}

static void conn_free(struct conn *c)
{
    struct conn_pool *pool = c->pool;

    assert(c->state == CONN_CLOSING);
    list_remove(&c->dirty);
    stream_free(c);
    req_free(c->req);
    c->req = NULL;
    req_free(c->held);
    free(c->body);
    buf_fini(&c->in);
    buf_fini(&c->out);
    conn_account(c);
    if (c->has_hangup_watch)
        (void)epoll_ctl(pool->hangups_fd, EPOLL_CTL_DEL, conn_fd(c), NULL);
    (void)close(conn_fd(c));
    source_put(&pool->sources, c->source);
    pool->count -= !c->is_refusal;
    pool->refusing -= c->is_refusal;
    free(c);
    listeners_resume(pool);
}

static void on_turn_end(struct loop_hook *h)
{
    struct conn_pool *pool = container_of(h, struct conn_pool, turn_end);
    struct list *link;

    while ((link = list_take(&pool->dirty)) != NULL)
        conn_flush(list_entry(link, struct conn, dirty));
    while ((link = list_take(&pool->states[CONN_CLOSING])) != NULL)
        conn_free(list_entry(link, struct conn, link));
    answer_log_flush(pool);
}

/* ---- memory for what clients send ---- */

static void account(struct conn_pool *pool, size_t before, size_t now)
{
    pool->accounted += now - before; /* wraps back and forth */
}

void conn_account(struct conn *c)
{
    account(c->pool, c->accounted, c->in.capacity);
    c->accounted = (uint32_t)c->in.capacity;
    if (c->req != NULL) {
        account(c->pool, c->req->accounted, c->req->incoming.capacity);
        c->req->accounted = c->req->incoming.capacity;
    }
}

void conn_pool_release(struct conn_pool *pool, size_t bytes)
{
    account(pool, bytes, 0);
}

bool conn_is_over_budget(const struct conn_pool *pool)
{
    return pool->accounted > pool->options.incoming_bytes_max;
}

/* ---- the pool ---- */

static int pool_open_descriptors(struct conn_pool *pool)
{
    pool->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pool->hangups_fd = epoll_create1(EPOLL_CLOEXEC);
    return pool->reserve_fd < 0 || pool->hangups_fd < 0 ? -errno : 0;
}

static void pool_init(struct conn_pool *pool, struct server *s, const struct conn_options *o)
{
    pool->server = s;
    pool->options = *o;
    if (pool->options.per_address_max == 0)
        pool->options.per_address_max = CONN_PER_ADDRESS;
    if (pool->options.incoming_bytes_max == 0)
        pool->options.incoming_bytes_max = INCOMING_BYTES_MAX;
    for (unsigned i = 0; i < CONN_STATES; i++)
        list_init(&pool->states[i]);
    for (unsigned i = 0; i < WAITS; i++)
        list_init(&pool->waits[i]);
    list_init(&pool->dirty);
    list_init(&pool->listeners);
    buf_init(&pool->log);
    loop_hook_init(&pool->turn_end, on_turn_end);
    ev_timer_init(&pool->sweep, on_sweep, 0, (double)CONN_SWEEP_MS / 1000);
    trim_init(&pool->trim, &s->loop);
    sources_init(&pool->sources);
    pool->probe = stream_text_new(STR(":\r\n\r\n"));
}

struct conn_pool *conn_pool_new(struct server *s, const struct conn_options *o)
{
    struct conn_pool *pool;
    struct addr_nets trusted;
    int rc;

    if (addr_nets_parse(&trusted, o->trusted_proxies) < 0) {
        log_error("conn", "TRUSTED_PROXIES is no list of addresses and networks");
        return NULL;
    }
    pool = mem_zalloc(sizeof(*pool));
    pool_init(pool, s, o);
    pool->trusted = trusted;
    cors_init(&pool->cors, o->cors_origins, o->domain);
    rc = pool_open_descriptors(pool);
    if (rc < 0) {
        log_error("conn", "no descriptors: %s", strerror(-rc));
        conn_pool_free(pool);
        return NULL;
    }
    ev_io_init(&pool->hangups, on_hangups, pool->hangups_fd, EV_READ);
    ev_io_start(s->loop.ev, &pool->hangups);
    return pool;
}

void conn_pool_free(struct conn_pool *pool)
{
    struct ev_loop *ev;

    if (pool == NULL)
        return;
    ev = pool->server->loop.ev;
    listeners_close(pool);
    conn_pool_abort(pool);
    on_turn_end(&pool->turn_end);
    loop_hook_cancel(&pool->turn_end);
    ev_timer_stop(ev, &pool->sweep);
    trim_fini(&pool->trim);
    ev_io_stop(ev, &pool->hangups);
    if (pool->reserve_fd >= 0)
        (void)close(pool->reserve_fd);
    if (pool->hangups_fd >= 0)
        (void)close(pool->hangups_fd);
    addr_nets_fini(&pool->trusted);
    cors_fini(&pool->cors);
    sources_fini(&pool->sources);
    stream_text_drop(pool->probe);
    buf_fini(&pool->log);
    free(pool);
}

void conn_pool_drain(struct conn_pool *pool)
{
    listeners_close(pool);
    list_each (c, &pool->states[CONN_READING], struct conn, link) {
        if (c->body == NULL && buf_size(&c->in) == 0) {
            conn_finish(c);
            conn_settle(c);
        }
    }
}

void conn_pool_abort(struct conn_pool *pool)
{
    for (unsigned i = 0; i < CONN_CLOSING; i++) {
        list_each (c, &pool->states[i], struct conn, link)
            conn_gone(c);
    }
}

unsigned conn_pool_count(const struct conn_pool *pool)
{
    return pool->count + pool->refusing;
}

static unsigned list_length(const struct list *l)
{
    unsigned n = 0;

    for (const struct list *at = l->next; at != l; at = at->next)
        n++;
    return n;
}

void conn_stats_get(const struct conn_pool *pool, struct conn_stats *out)
{
    *out = pool->stats;
    out->incoming_bytes = pool->accounted;
    out->reading = list_length(&pool->states[CONN_READING]);
    out->working = list_length(&pool->states[CONN_WORKING]);
    out->streaming = list_length(&pool->states[CONN_STREAMING]);
    out->finishing = list_length(&pool->states[CONN_FINISHING]);
}
