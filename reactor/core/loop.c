#include "core/loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/task_run.h"

static void on_idle(struct ev_loop *ev UNUSED, ev_idle *w UNUSED, int revents UNUSED)
{
    /* Its being active is all that is wanted. */
}

static void loop_run_tasks(struct loop *l)
{
    int64_t started = clock_mono_ns();
    int64_t before = started;
    struct list *link;

    while ((link = list_take(&l->runnable)) != NULL) {
        const char *name = task_run(l, link);
        int64_t after = clock_mono_ns();

        if (after - before > (int64_t)LOOP_SLOW_TURN_MS * 1000000) {
            l->slow_turns++;
            log_warn("loop", "task %s held the loop for %d ms", name, (int)((after - before) / 1000000));
        }
        if (after - started > (int64_t)LOOP_TURN_BUDGET_US * 1000)
            break;
        before = after;
    }
}

static void loop_run_hooks(struct loop *l)
{
    struct list *link;

    while ((link = list_take(&l->hooks)) != NULL) {
        struct loop_hook *h = list_entry(link, struct loop_hook, link);

        h->run(h);
    }
}

/* Just before libev would sleep. */
static void on_turn_end(struct ev_loop *ev, ev_prepare *w, int revents UNUSED)
{
    struct loop *l = container_of(w, struct loop, turn_end);

    l->turns++;
    loop_run_tasks(l);
    loop_run_hooks(l);
    if (!list_is_empty(&l->runnable))
        ev_idle_start(ev, &l->again);
    else if (ev_is_active(&l->again))
        ev_idle_stop(ev, &l->again);
}

void loop_init(struct loop *l)
{
    *l = (struct loop){.ev = ev_default_loop(EVFLAG_NOENV | EVBACKEND_EPOLL)};
    if (l->ev == NULL) {
        log_error("loop", "libev finds no epoll");
        abort();
    }
    list_init(&l->runnable);
    list_init(&l->tasks);
    list_init(&l->hooks);
    ev_prepare_init(&l->turn_end, on_turn_end);
    ev_prepare_start(l->ev, &l->turn_end);
    ev_idle_init(&l->again, on_idle);
}

void loop_fini(struct loop *l)
{
    ev_prepare_stop(l->ev, &l->turn_end);
    ev_idle_stop(l->ev, &l->again);
    ev_loop_destroy(l->ev);
    l->ev = NULL;
}

void loop_run(struct loop *l)
{
    ev_run(l->ev, 0);
}

void loop_stop(struct loop *l)
{
    ev_break(l->ev, EVBREAK_ALL);
}

void loop_hook_init(struct loop_hook *h, void (*run)(struct loop_hook *h))
{
    list_init(&h->link);
    h->run = run;
}

void loop_defer(struct loop *l, struct loop_hook *h)
{
    if (list_is_empty(&h->link))
        list_append(&l->hooks, &h->link);
}

void loop_hook_cancel(struct loop_hook *h)
{
    list_remove(&h->link);
}
