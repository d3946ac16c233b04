#include "workers/http_multi.h"

#include "base/log.h"

enum { CONNECTIONS_KEPT = 256 };

struct http_socket {
    ev_io watcher;
    struct http_multi *multi;
};

static void http_multi_collect(struct http_multi *m)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(m->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE)
            m->on_done(message->easy_handle, message->data.result);
    }
}

static void http_multi_act(struct http_multi *m, curl_socket_t fd, int events)
{
    int running;
    CURLMcode rc = curl_multi_socket_action(m->multi, fd, events, &running);

    if (rc != CURLM_OK)
        log_error("http", "%s", curl_multi_strerror(rc));
    http_multi_collect(m);
}

static void on_socket_event(struct ev_loop *ev UNUSED, ev_io *w, int revents)
{
    struct http_socket *s = container_of(w, struct http_socket, watcher);
    int events =
        ((revents & EV_READ) != 0 ? CURL_CSELECT_IN : 0) | ((revents & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);

    if (revents & EV_ERROR)
        events = CURL_CSELECT_ERR; /* alone: else curl goes on waiting */

    http_multi_act(s->multi, w->fd, events); /* may free s */
}

static void on_timer(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    http_multi_act(container_of(w, struct http_multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

/* curl wants this socket watched otherwise. */
static int on_socket_wish(CURL *easy UNUSED, curl_socket_t fd, int wish, void *arg, void *socket_arg)
{
    struct http_multi *m = arg;
    struct http_socket *s = socket_arg;

    if (wish == CURL_POLL_REMOVE) {
        if (s != NULL) {
            ev_io_stop(m->loop->ev, &s->watcher);
            curl_multi_assign(m->multi, fd, NULL);
            free(s);
        }
        return 0;
    }
    if (s == NULL) {
        s = mem_zalloc(sizeof(*s));
        s->multi = m;
        ev_init(&s->watcher, on_socket_event);
        curl_multi_assign(m->multi, fd, s);
    }
    ev_io_stop(m->loop->ev, &s->watcher);
    ev_io_set(&s->watcher, fd,
              ((wish & CURL_POLL_IN) != 0 ? EV_READ : 0) | ((wish & CURL_POLL_OUT) != 0 ? EV_WRITE : 0));
    ev_io_start(m->loop->ev, &s->watcher);
    return 0;
}

static int on_timer_wish(CURLM *multi UNUSED, long timeout_ms, void *arg)
{
    struct http_multi *m = arg;

    ev_timer_stop(m->loop->ev, &m->timer);
    if (timeout_ms < 0)
        return 0;
    ev_timer_set(&m->timer, (double)timeout_ms / 1000, 0);
    ev_timer_start(m->loop->ev, &m->timer);
    return 0;
}

void http_multi_init(struct http_multi *m, struct loop *l, void (*on_done)(CURL *easy, CURLcode rc))
{
    *m = (struct http_multi){.loop = l, .on_done = on_done};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (m->multi = curl_multi_init()) == NULL) {
        log_error("http", "libcurl cannot be initialised");
        abort();
    }
    ev_init(&m->timer, on_timer);
    curl_multi_setopt(m->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wish);
    curl_multi_setopt(m->multi, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(m->multi, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
}

void http_multi_fini(struct http_multi *m)
{
    curl_multi_cleanup(m->multi);
    ev_timer_stop(m->loop->ev, &m->timer);
    curl_global_cleanup();
}

void http_multi_add(struct http_multi *m, CURL *easy)
{
    CURLMcode rc = curl_multi_add_handle(m->multi, easy);

    if (rc != CURLM_OK) {
        log_error("http", "%s", curl_multi_strerror(rc));
        abort(); /* a handle that is added twice, or no memory */
    }
}

void http_multi_remove(struct http_multi *m, CURL *easy)
{
    curl_multi_remove_handle(m->multi, easy);
}
