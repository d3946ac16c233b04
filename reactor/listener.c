#include "conn_parts.h"

#include "base/log.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum { ACCEPTS_PER_TURN = 64 };

struct listener {
    struct list link;
    ev_io readable;
    struct conn_pool *pool;
};

/* ---- limits ---- */

/* Without a connection of our own for it: one attempt to say why. */
static void refuse_at_once(struct conn_pool *pool, int fd)
{
    struct req *r = req_new(pool->server);
    struct buf out;

    buf_init(&out);
    (void)fail(r, 503, "Service Unavailable");
    reply_header(r, "Retry-After", STR("1"));
    answer_head(pool, r, ANSWER_SIZED, true, &out);
    buf_add(&out, buf_str(&r->answer));
    (void)!send(fd, buf_str(&out).p, buf_size(&out), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    (void)!recv(fd, pool->scratch, sizeof(pool->scratch),
                MSG_DONTWAIT); /* unread bytes would turn the close into a reset */
    (void)close(fd);
    buf_fini(&out);
    req_free(r);
}

static void refuse(struct conn_pool *pool, int fd, const struct addr *from)
{
    struct conn *c;

    pool->stats.refused++;
    if (pool->refusing >= CONN_REFUSING_MAX) {
        refuse_at_once(pool, fd);
        return;
    }
    c = conn_new(pool, fd, from, true);
    conn_refuse(c, 503);
}

void conn_open(struct conn_pool *pool, int fd, const struct sockaddr *from)
{
    struct addr addr = addr_of(from);
    bool is_trusted = addr_nets_have(&pool->trusted, &addr);
    struct conn *c;

    if (pool->count >= pool->options.max ||
        (!is_trusted && source_connections(&pool->sources, &addr) >= pool->options.per_address_max)) {
        refuse(pool, fd, &addr);
        return;
    }
    c = conn_new(pool, fd, &addr, false);
    c->source->is_trusted = is_trusted;
    pool->stats.accepted++;
    conn_settle(c);
}

/* ---- accepting ---- */

/*
 * No descriptor is left: the reserve is given up for a moment to take the
 * connection and refuse it, since otherwise it would wake us for ever.
 */
static bool accept_and_refuse(struct listener *l)
{
    struct conn_pool *pool = l->pool;
    int fd;

    if (pool->reserve_fd < 0)
        return false;
    (void)close(pool->reserve_fd);
    fd = accept4(l->readable.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        pool->stats.refused++;
        refuse_at_once(pool, fd);
    }
    pool->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && pool->reserve_fd >= 0;
}

/* Whether accepting may go on after this error. */
static bool accept_failed(struct listener *l, int error)
{
    switch (error) {
    case EAGAIN:
        return false;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
        return true;
    case EMFILE:
    case ENFILE:
        if (accept_and_refuse(l))
            return true;
        break;
    default:
        log_error("conn", "accept: %s", strerror(error));
        break;
    }
    listeners_pause(l->pool);
    return false;
}

static void on_acceptable(struct ev_loop *ev UNUSED, ev_io *w, int revents)
{
    struct listener *l = container_of(w, struct listener, readable);

    if (revents & EV_ERROR) { /* see loop.h */
        log_error("conn", "a listening socket cannot be watched");
        ev_io_set(w, w->fd, EV_READ); /* so that epoll is asked again */
        listeners_pause(l->pool);
        return;
    }
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNIX};
        socklen_t size = sizeof(from);
        int fd = accept4(w->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
            conn_open(l->pool, fd, (const struct sockaddr *)&from);
        else if (!accept_failed(l, errno))
            return;
    }
}

/* ---- the sockets ---- */

int conn_pool_listen(struct conn_pool *pool, int fd)
{
    struct listener *l;
    int flags = fcntl(fd, F_GETFL), yes = 1;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes,
                     sizeof(yes)); /* inherited by what it accepts; not for Unix sockets */
    l = mem_zalloc(sizeof(*l));
    l->pool = pool;
    ev_io_init(&l->readable, on_acceptable, fd, EV_READ);
    ev_io_start(pool->server->loop.ev, &l->readable);
    list_append(&pool->listeners, &l->link);
    return 0;
}

void listeners_pause(struct conn_pool *pool)
{
    list_each (l, &pool->listeners, struct listener, link)
        ev_io_stop(pool->server->loop.ev, &l->readable);
    pool->is_paused = true;
    ev_timer_again(pool->server->loop.ev, &pool->sweep);
}

void listeners_resume(struct conn_pool *pool)
{
    if (!pool->is_paused)
        return;
    pool->is_paused = false;
    if (pool->reserve_fd < 0)
        pool->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    list_each (l, &pool->listeners, struct listener, link)
        ev_io_start(pool->server->loop.ev, &l->readable);
}

void listeners_close(struct conn_pool *pool)
{
    list_each (l, &pool->listeners, struct listener, link) {
        list_remove(&l->link);
        ev_io_stop(pool->server->loop.ev, &l->readable);
        (void)close(l->readable.fd);
        free(l);
    }
    pool->is_paused = false;
}
