/*
 * What a new installation starts with (spec 10 §17, steps 3, 4 and 6): default
 * roles, the superadmin, the default agent. Blocking; `sinas serve` calls it after the
 * migrations and before it forks. Starts at the same time take turns.
 */
#ifndef HANDLERS_SEED_H
#define HANDLERS_SEED_H

#include "base/base.h"

/* All or nothing. 0, or -EIO after a line in the log. */
MUST_USE int seed_run(const char *url);

#endif
