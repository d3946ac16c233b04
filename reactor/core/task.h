/*
 * Tasks: stackful coroutines, so that handlers read top to bottom like
 * blocking code. A task runs until it parks (all functions that end in _await
 * may park) or returns. Its stack comes from a pool, has a guard page below
 * and is TASK_STACK_SIZE large, more under ASan.
 *
 * The engine wakes a task; waking only queues. See style.md 7 for what is
 * still valid after an await.
 */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include "core/loop.h"

enum { TASK_STACK_SIZE = 65536 };

typedef void (*task_fn)(void *arg);

/*
 * A new task that runs fn(arg) from the next run of the queue on. name is
 * static text or lives as long as the task. The pointer is valid until fn returns.
 */
struct task *task_spawn(struct loop *l, const char *name, task_fn fn, void *arg);

/* The running task, or NULL in callbacks. */
struct task *task_self(void);
struct loop *task_loop(void);

/* For dumps: a text that says what the task is for (lives as long as the task); NULL for none. */
void task_describe(struct task *t, const char *text);

enum { TASK_FOREVER = -1 };

/*
 * Parks the running task until task_wake(), timeout_ms (TASK_FOREVER: none) or
 * task_cancel(). why is static text for the dump. 0, -ETIMEDOUT or -ECANCELED.
 * A task that was cancelled before gets -ECANCELED at once, every time.
 */
MUST_USE int task_park_await(const char *why, int64_t timeout_ms);

/* As task_park_await(), but a cancelled task parks all the same: for work that must be finished or undone. */
MUST_USE int task_park_uncancelled_await(const char *why, int64_t timeout_ms);

/* Lets the loop go on with others and comes back in the next turn. */
MUST_USE int task_yield_await(void);
MUST_USE int task_sleep_await(int64_t ms);

/* Queues a parked task. A task that is not parked is not touched. */
void task_wake(struct task *t);

/* From now on all parking in t answers -ECANCELED; wakes it when it is parked. */
void task_cancel(struct task *t);
bool task_is_cancelled(const struct task *t);

/* Cancels all tasks but the running one. */
void task_cancel_all(struct loop *l);

/*
 * A completion: an engine finishes it, at most one task awaits it. It may be
 * finished before anyone waits. Lives in memory of whoever waits; an engine
 * that can finish late must be told to forget it first.
 */
struct completion {
    struct task *waiter;
    bool is_done;
    int rc;
};

static inline void completion_init(struct completion *c)
{
    *c = (struct completion){0};
}

void completion_finish(struct completion *c, int rc);
/* Its rc, or -ETIMEDOUT, -ECANCELED: then it is not finished and the engine must be told. */
MUST_USE int completion_await(struct completion *c, const char *why, int64_t timeout_ms);
MUST_USE int completion_uncancelled_await(struct completion *c, const char *why, int64_t timeout_ms);

/* Statements that must not be torn apart by a switch: asserts that none happens. */
#define NO_AWAIT                                                                                             \
    for (unsigned no_await_ = task_no_await_begin(); no_await_ != 0; no_await_ = task_no_await_end())
unsigned task_no_await_begin(void);
unsigned task_no_await_end(void);

/* Every task to the log: name, age, what it waits for. For SIGUSR1. */
void task_dump(struct loop *l);

/* Memory of idle stacks back to the system. */
void task_trim(void);

#endif
