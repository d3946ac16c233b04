/* Between the loop and its tasks only. */
#ifndef CORE_TASK_RUN_H
#define CORE_TASK_RUN_H

#include "core/loop.h"

/* Switches to the task with that link until it parks or ends. Returns its name. */
const char *task_run(struct loop *l, struct list *link);

#endif
