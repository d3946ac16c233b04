#include "core/peer.h"

#include "base/log.h"
#include "core/wire.h"

#include <sys/socket.h>
#include <sys/un.h>

enum { RETRY_FIRST_MS = 50, RETRY_MAX_MS = 1000 };

/*
 *   WAITING --timer--> GREETED --first frame--> UP
 *      ^------ lost ------+---------- lost ------+
 */
enum peer_state { PEER_WAITING, PEER_GREETED, PEER_UP };

struct peer {
    struct wire wire;
    struct wire_ops wire_ops;
    struct loop *loop;
    const struct peer_ops *ops;
    void *arg;
    char *path;
    enum peer_state state;
    ev_timer retry;
    int retry_ms;
    int errno_logged; /* so that a worker that is away is logged once */
};

static int on_frame(struct wire *w, const struct frame *f)
{
    struct peer *p = container_of(w, struct peer, wire);

    if (p->state == PEER_GREETED) {
        p->state = PEER_UP;
        p->retry_ms = RETRY_FIRST_MS;
        p->errno_logged = 0;
        log_info("peer", "%s is up", p->path);
    }
    return p->ops->on_frame(p->arg, f);
}

static void peer_retry(struct peer *p)
{
    ev_timer_set(&p->retry, p->retry_ms / 1000.0, 0);
    ev_timer_start(p->loop->ev, &p->retry);
    p->retry_ms = p->retry_ms * 2 < RETRY_MAX_MS ? p->retry_ms * 2 : RETRY_MAX_MS;
}

static void on_lost(struct wire *w)
{
    struct peer *p = container_of(w, struct peer, wire);
    bool was_up = p->state == PEER_UP;

    if (was_up || p->errno_logged == 0)
        log_warn("peer", "%s is lost: %s", p->path, w->lost_why);
    if (!was_up)
        p->errno_logged = ECONNRESET;
    p->state = PEER_WAITING;
    peer_retry(p);
    if (was_up)
        p->ops->on_lost(p->arg);
}

static int peer_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return fd_take(&fd);
}

static void peer_try(struct peer *p)
{
    int fd = peer_connect(p->path);

    if (fd < 0) {
        if (p->errno_logged != -fd)
            log_warn("peer", "%s cannot be reached: %s", p->path, strerror(-fd));
        p->errno_logged = -fd;
        peer_retry(p);
        return;
    }
    p->state = PEER_GREETED;
    wire_start(&p->wire, fd);
    p->ops->greet(p->arg, wire_out(&p->wire));
}

static void on_retry(struct ev_loop *ev UNUSED, ev_timer *t, int revents UNUSED)
{
    peer_try(container_of(t, struct peer, retry));
}

struct peer *peer_open(struct loop *l, const char *path, const struct peer_ops *ops, void *arg)
{
    struct peer *p = mem_zalloc(sizeof(*p));

    p->wire_ops = (struct wire_ops){.frame_max = ops->frame_max, .on_frame = on_frame, .on_lost = on_lost};
    wire_init(&p->wire, l, &p->wire_ops);
    p->loop = l;
    p->ops = ops;
    p->arg = arg;
    p->path = mem_strdup(path);
    p->retry_ms = RETRY_FIRST_MS;
    ev_init(&p->retry, on_retry);
    peer_try(p);
    return p;
}

void peer_close(struct peer *p)
{
    ev_timer_stop(p->loop->ev, &p->retry);
    wire_fini(&p->wire);
    free(p->path);
    free(p);
}

bool peer_is_up(const struct peer *p)
{
    return p->state == PEER_UP && wire_is_open(&p->wire);
}

struct buf *peer_out(struct peer *p)
{
    return wire_out(&p->wire);
}

size_t peer_unsent(const struct peer *p)
{
    return buf_size(&p->wire.out);
}
