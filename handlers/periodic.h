/* Work that comes round: one row per job, each run in a request of its own (spec 10 §17, step 11). */
#ifndef HANDLERS_PERIODIC_H
#define HANDLERS_PERIODIC_H

#include "server.h"

struct periodic;

/* Starts the timers; the first run of each job comes one period from now. */
struct periodic *periodic_start(struct server *s);
void periodic_stop(struct periodic *p);

#endif
