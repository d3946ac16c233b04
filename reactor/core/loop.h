/*
 * The event loop of a process: libev, a queue of tasks that can run, and work
 * that is put off to the end of the turn.
 *
 * One turn: libev calls watchers (which only queue: task_wake, loop_defer) →
 * the tasks that can run, up to LOOP_TURN_BUDGET_US → deferred hooks, in the
 * order in which they were armed (flushes: Redis batch, PostgreSQL pipeline,
 * client sockets, frees). Nothing is freed and no task is switched to inside a
 * watcher's callback.
 *
 * A descriptor that epoll does not take (out of kernel memory, too many watches) is reported with EV_ERROR,
 * once: libev has stopped its watchers, and starting them again would change nothing. So whoever watches a
 * socket gives it up then.
 */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include "base/list.h"

#include <ev.h>

enum {
    LOOP_TURN_BUDGET_US = 2000, /* of tasks, before libev looks at the sockets again */
    LOOP_SLOW_TURN_MS = 20      /* a task that holds the loop longer is logged */
};

struct task;

struct loop {
    struct ev_loop *ev;
    struct list runnable; /* tasks */
    struct list tasks;    /* all of them, for the dump and for cancelling at the end */
    struct list hooks;    /* armed deferred work */
    unsigned tasks_count;
    ev_prepare turn_end;
    ev_idle again;                        /* keeps libev from sleeping while tasks can run */
    uint64_t turns, switches, slow_turns; /* counters */
};

/* Embedded in whoever has work to do at the end of a turn. */
struct loop_hook {
    struct list link;
    void (*run)(struct loop_hook *h);
};

/* Uses libev's default loop, so that signals and children can be watched. */
void loop_init(struct loop *l);
void loop_fini(struct loop *l);

/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

static inline int64_t loop_now_ms(struct loop *l)
{
    return (int64_t)(ev_now(l->ev) * 1000);
}

void loop_hook_init(struct loop_hook *h, void (*run)(struct loop_hook *h));
/* Runs h once at the end of this turn; arming it again before that changes nothing. */
void loop_defer(struct loop *l, struct loop_hook *h);
/* Takes it back, e.g. before its owner is freed. */
void loop_hook_cancel(struct loop_hook *h);

#endif
