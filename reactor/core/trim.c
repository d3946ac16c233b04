#include "core/trim.h"

#include "core/task.h"

#include <malloc.h>

static void on_timer(struct ev_loop *ev, ev_timer *w, int revents UNUSED)
{
    struct trim *t = container_of(w, struct trim, timer);
    uint64_t before = t->switches;

    t->switches = t->loop->switches;
    if (t->switches - before > TRIM_SWITCHES)
        return; /* again after the same time */
    ev_timer_stop(ev, w);
    task_trim();
    if (mallinfo2().fordblks > TRIM_BYTES)
        (void)malloc_trim(0);
}

void trim_init(struct trim *t, struct loop *l)
{
    t->loop = l;
    t->switches = 0;
    ev_timer_init(&t->timer, on_timer, 0, TRIM_AFTER_MS / 1000.0);
}

void trim_fini(struct trim *t)
{
    ev_timer_stop(t->loop->ev, &t->timer);
}
