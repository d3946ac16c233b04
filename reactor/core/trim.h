/*
 * Memory that a burst of work has left free goes back to the system once the
 * process is quiet. The C library keeps free pieces that lie between used ones:
 * 10 000 requests at once that each leave a stream behind would keep the
 * memory of all their arenas for as long as the streams last.
 */
#ifndef CORE_TRIM_H
#define CORE_TRIM_H

#include "core/loop.h"

enum {
    TRIM_AFTER_MS = 2000,
    TRIM_BYTES = 8 << 20,  /* more than there were are worth the work */
    TRIM_SWITCHES = 20000, /* of tasks meanwhile: the process is busy and needs it again */
};

struct trim {
    struct loop *loop;
    ev_timer timer;
    uint64_t switches; /* of the loop's, when the timer was started */
    size_t resident;   /* bytes of the process after the last time, or the least since */
};

void trim_init(struct trim *t, struct loop *l);
void trim_fini(struct trim *t);

/* Work was done: have a look at the memory in a while. */
static inline void trim_later(struct trim *t)
{
    if (!ev_is_active(&t->timer)) {
        t->switches = t->loop->switches;
        ev_timer_again(t->loop->ev, &t->timer);
    }
}

#endif
