#include "handlers/periodic.h"

#include "handlers/login.h"
#include "sql.h"

enum {
    CHAT_BATCH = 100,      /* chats deleted in one statement */
    CHAT_BATCHES_MAX = 100 /* in one run; the rest waits for the next */
};

/* Chats vanish for their users at the moment of expiry; here their rows do (20 §3.4). */
static void delete_expired_chats(struct req *r)
{
    struct rows rows;

    for (int i = 0; i < CHAT_BATCHES_MAX; i++) {
        if (sql_chats_delete_expired_await(r, &rows, CHAT_BATCH) < CHAT_BATCH)
            return;
    }
}

static void delete_dead_nodes(struct req *r)
{
    struct rows rows;

    (void)!sql_nodes_delete_dead_await(r, &rows);
}

static const struct periodic_job {
    const char *name;
    int period_s;
    void (*run)(struct req *r);
} jobs[] = {
    {"deletion of expired chats", 60, delete_expired_chats},
    {"purge of one-time codes", 3600, login_purge},
    {"deletion of dead nodes", 3600, delete_dead_nodes},
};

struct periodic_timer {
    ev_timer timer;
    struct periodic *all;
    const struct periodic_job *job;
    bool is_running;
};

struct periodic {
    struct server *server;
    struct periodic_timer timers[nelem(jobs)];
};

static void job_main(struct req *r, void *arg)
{
    struct periodic_timer *t = arg;

    t->job->run(r);
    t->is_running = false;
}

static void on_timer(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    struct periodic_timer *t = container_of(w, struct periodic_timer, timer);

    if (t->is_running || !pg_is_up(t->all->server->db))
        return;
    t->is_running = true;
    (void)req_spawn(t->all->server, t->job->name, job_main, t);
}

struct periodic *periodic_start(struct server *s)
{
    struct periodic *p = mem_zalloc(sizeof(*p));

    p->server = s;
    for (size_t i = 0; i < nelem(jobs); i++) {
        struct periodic_timer *t = &p->timers[i];

        t->all = p;
        t->job = &jobs[i];
        ev_timer_init(&t->timer, on_timer, jobs[i].period_s, jobs[i].period_s);
        ev_timer_start(s->loop.ev, &t->timer);
    }
    return p;
}

void periodic_stop(struct periodic *p)
{
    for (size_t i = 0; i < nelem(jobs); i++)
        ev_timer_stop(p->server->loop.ev, &p->timers[i].timer);
    free(p);
}
