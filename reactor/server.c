#include "server.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "conn.h"
#include "core/child.h"

#include <signal.h>
#include <sys/resource.h>

enum {
    DESCRIPTORS_RESERVE = 512, /* for databases, workers, files */
    STATEMENT_TIMEOUT_MS = 10000,
    DRAIN_CHECK_MS = 20
};

/* The one struct of this process. */
struct process_state {
    struct server server;
    const struct server_options *options;
    ev_signal dump;
    ev_timer drain;
    int64_t drain_began_ms;
    bool has_cancelled;
    bool is_started; /* options->start() has succeeded */
    int status;
};

static int64_t now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

static unsigned connections_max(void)
{
    struct rlimit files = {0, 0};
    uint64_t most = (uint64_t)conf.max_connections;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > DESCRIPTORS_RESERVE &&
        files.rlim_cur - DESCRIPTORS_RESERVE < most) {
        most = files.rlim_cur - DESCRIPTORS_RESERVE;
        log_warn("server", "%" PRIu64 " connections at most: the descriptor limit allows no more", most);
    }
    return (unsigned)most;
}

/* A quarter of the machine's memory for what clients are sending. */
static uint64_t incoming_bytes_max(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (uint64_t)pages / 4 * (uint64_t)size : 0;
}

/* ---- the end ---- */

static void on_drain(struct ev_loop *ev, ev_timer *w, int revents UNUSED)
{
    struct process_state *p = container_of(w, struct process_state, drain);
    struct server *s = &p->server;
    int64_t age_ms = now_ms() - p->drain_began_ms;

    if (s->loop.tasks_count == 0 && conn_pool_count(s->conns) == 0) {
        ev_timer_stop(ev, w);
        loop_stop(&s->loop);
    } else if (age_ms >= SERVER_DRAIN_MS && !p->has_cancelled) {
        p->has_cancelled = true;
        log_warn("server", "%u tasks are cancelled", s->loop.tasks_count);
        task_cancel_all(&s->loop);
    } else if (age_ms >= SERVER_DRAIN_MS + SERVER_CANCEL_MS) {
        if (s->loop.tasks_count != 0)
            task_dump(&s->loop);
        conn_pool_abort(s->conns);
        ev_timer_stop(ev, w);
        loop_stop(&s->loop);
    }
}

static void on_stop(void *arg)
{
    struct process_state *p = arg;
    struct server *s = &p->server;

    if (s->is_draining)
        return;
    log_info("server", "stopping; %u tasks, %u connections", s->loop.tasks_count, conn_pool_count(s->conns));
    s->is_draining = true;
    p->drain_began_ms = now_ms();
    conn_pool_drain(s->conns);
    list_each (r, &s->services, struct req, service)
        task_cancel(r->task);
    if (p->is_started && p->options->drain != NULL)
        p->options->drain(s);
    ev_timer_init(&p->drain, on_drain, 0, (double)DRAIN_CHECK_MS / 1000);
    ev_timer_start(s->loop.ev, &p->drain);
}

static void on_dump(struct ev_loop *ev UNUSED, ev_signal *w, int revents UNUSED)
{
    task_dump(&container_of(w, struct process_state, dump)->server.loop);
}

/* ---- the beginning ---- */

/*
 * At the first start both databases must be there. A reactor that is started
 * again takes its connections all the same: they get 503 where a database is needed.
 */
static int databases_await(struct server *s)
{
    bool is_first = child_self()->generation <= 1;
    int64_t deadline_ms = now_ms() + (is_first ? conf.startup_timeout * 1000 : SERVER_RESTART_MS);
    const char *missing = "PostgreSQL";
    int rc = pg_ready_await(s->db, deadline_ms - now_ms());

    if (rc == 0) {
        missing = "Redis";
        rc = redis_ready_await(s->redis, deadline_ms > now_ms() ? deadline_ms - now_ms() : 0);
    }
    if (rc != -ETIMEDOUT)
        return rc;
    log_write(is_first ? LOG_ERROR : LOG_WARN, "server", "%s cannot be reached", missing);
    return is_first ? rc : 0;
}

static int listen_start(struct server *s)
{
    const struct child *self = child_self();

    for (size_t i = 0; i < self->listeners_count; i++) {
        int rc = conn_pool_listen(s->conns, self->listeners[i]);

        if (rc < 0) {
            log_error("server", "descriptor %d cannot be listened on: %s", self->listeners[i], strerror(-rc));
            return rc;
        }
    }
    return 0;
}

static int server_start_await(struct process_state *p)
{
    struct server *s = &p->server;
    int rc = databases_await(s);

    if (rc < 0)
        return rc;
    rc = p->options->start(s);
    if (rc < 0) {
        log_error("server", "cannot start: %s", strerror(-rc));
        return rc;
    }
    p->is_started = true;
    return s->is_draining ? 0 : listen_start(s);
}

static void start_task(void *arg)
{
    struct process_state *p = arg;
    int rc = server_start_await(p);

    if (rc == 0) {
        log_info("server", "serving");
        child_ready();
    } else if (!p->server.is_draining) {
        p->status = EXIT_FAILURE;
        on_stop(p);
    }
}

static int server_open(struct process_state *p)
{
    struct server *s = &p->server;
    struct pg_options db = {
        .url = conf.database_url,
        .read_connections = (unsigned)conf.pg_read_connections,
        .write_connections = (unsigned)conf.pg_write_connections,
        .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
        .application_name = "sinas",
    };
    struct conn_options conns = {
        .max = connections_max(),
        .body_bytes_max = (uint64_t)conf.max_body_size,
        .incoming_bytes_max = incoming_bytes_max(),
        .trusted_proxies = conf.trusted_proxies,
        .cors_origins = conf.cors_origins,
        .domain = conf.domain,
    };

    list_init(&s->services);
    loop_init(&s->loop);
    s->conns = conn_pool_new(s, &conns);
    if (s->conns == NULL)
        return -EINVAL;
    s->db = pg_open(&s->loop, &db);
    s->redis = redis_open(&s->loop, conf.redis_url);
    return 0;
}

static void server_close(struct process_state *p)
{
    struct server *s = &p->server;

    ev_signal_stop(s->loop.ev, &p->dump);
    conn_pool_free(s->conns);
    if (p->is_started)
        p->options->stop(s);
    redis_close(s->redis);
    pg_close(s->db);
}

int server_run(const struct server_options *options)
{
    struct process_state *p = mem_zalloc(sizeof(*p));
    int status;

    p->options = options;
    if (server_open(p) < 0)
        return CHILD_EXIT_SETTINGS;
    child_start(&p->server.loop, on_stop, p);
    ev_signal_init(&p->dump, on_dump, SIGUSR1);
    ev_signal_start(p->server.loop.ev, &p->dump);
    (void)task_spawn(&p->server.loop, "start", start_task, p);
    loop_run(&p->server.loop);
    status = p->status;
    if (p->server.loop.tasks_count != 0)
        return status; /* a task that cannot be cancelled still uses all this */
    server_close(p);
    free(p);
    return status;
}
