#include "core/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

enum { ADDRESS_SIZE = 64 };

struct resolve {
    /* Of the loop. */
    struct loop *loop;
    ev_io finished;
    resolve_done_fn done;
    void *arg;
    /* Of the thread, until is_finished. */
    char *host;
    unsigned turn;
    char address[ADDRESS_SIZE]; /* empty: none */
    /* Of both: the last one to leave frees it. */
    pthread_mutex_t lock;
    bool is_finished, is_cancelled;
    int fd;
};

static void resolve_free(struct resolve *r)
{
    (void)pthread_mutex_destroy(&r->lock);
    (void)close(r->fd);
    free(r->host);
    free(r);
}

static void look_up(struct resolve *r)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    const struct addrinfo *at;
    unsigned count = 0;

    if (getaddrinfo(r->host, NULL, &hints, &list) != 0)
        return;
    for (at = list; at != NULL; at = at->ai_next)
        count++;
    at = list;
    for (unsigned skip = count > 0 ? r->turn % count : 0; skip > 0; skip--)
        at = at->ai_next;
    if (at == NULL ||
        getnameinfo(at->ai_addr, at->ai_addrlen, r->address, ADDRESS_SIZE, NULL, 0, NI_NUMERICHOST) != 0)
        r->address[0] = '\0';
    freeaddrinfo(list);
}

static void *thread_run(void *arg)
{
    struct resolve *r = arg;
    const uint64_t one = 1;
    bool is_cancelled;

    look_up(r);
    (void)pthread_mutex_lock(&r->lock);
    is_cancelled = r->is_cancelled;
    r->is_finished = true;
    if (!is_cancelled && write(r->fd, &one, sizeof(one)) < 0)
        abort(); /* an eventfd that is written once takes it */
    (void)pthread_mutex_unlock(&r->lock);
    if (is_cancelled)
        resolve_free(r);
    return NULL;
}

/* The thread cannot tell us any more; it frees r itself. */
static void resolve_give_up(struct resolve *r)
{
    resolve_done_fn done = r->done;
    void *arg = r->arg;

    resolve_cancel(r);
    done(arg, NULL);
}

static void on_finished(struct ev_loop *ev, ev_io *w, int revents)
{
    struct resolve *r = container_of(w, struct resolve, finished);

    if (revents & EV_ERROR) {
        resolve_give_up(r);
        return;
    }
    ev_io_stop(ev, w);
    /* The thread may still hold the lock it told us under. */
    (void)pthread_mutex_lock(&r->lock);
    (void)pthread_mutex_unlock(&r->lock);
    r->done(r->arg, r->address[0] != '\0' ? r->address : NULL);
    resolve_free(r);
}

bool resolve_is_needed(const char *host)
{
    struct in6_addr address;

    if (host == NULL || host[0] == '\0' || host[0] == '/' || host[0] == '@' || strchr(host, '%') != NULL)
        return false;
    return inet_pton(AF_INET, host, &address) != 1 && inet_pton(AF_INET6, host, &address) != 1;
}

/* Without signals: those are the loop's. */
static int thread_start(struct resolve *r)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attributes, thread_run, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return rc;
}

struct resolve *resolve_start(struct loop *l, const char *host, unsigned turn, resolve_done_fn done,
                              void *arg)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct resolve *r;

    if (fd < 0)
        return NULL;
    r = mem_zalloc(sizeof(*r));
    *r = (struct resolve){.loop = l, .done = done, .arg = arg, .turn = turn, .fd = fd};
    r->host = mem_strdup(host);
    (void)pthread_mutex_init(&r->lock, NULL);
    ev_io_init(&r->finished, on_finished, fd, EV_READ);
    if (thread_start(r) != 0) {
        resolve_free(r);
        return NULL;
    }
    ev_io_start(l->ev, &r->finished);
    return r;
}

void resolve_cancel(struct resolve *r)
{
    bool is_finished;

    ev_io_stop(r->loop->ev, &r->finished);
    (void)pthread_mutex_lock(&r->lock);
    is_finished = r->is_finished;
    r->is_cancelled = true;
    (void)pthread_mutex_unlock(&r->lock);
    if (is_finished)
        resolve_free(r);
}
