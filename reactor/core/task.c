#include "core/task.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/task_run.h"
#include "core/task_switch.h"

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define TASK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TASK_ASAN 1
#endif
#endif
#ifdef TASK_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
enum { STACK_FACTOR = 8 }; /* red zones make frames several times larger */
#else
enum { STACK_FACTOR = 1 };
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id)       ((void)(id))
#endif

enum {
    STACK_BYTES = TASK_STACK_SIZE * STACK_FACTOR,
    GUARD_BYTES = 4096,
    STACKS_KEPT = 256 /* idle stacks beyond these are unmapped */
};

enum task_state { TASK_RUNNABLE, TASK_RUNNING, TASK_PARKED, TASK_ENDED };

/* Lives at the top of its own stack: one mapping is the whole task. */
struct task {
    struct list link; /* of the run queue */
    struct list all;
    struct task_context context;
    struct loop *loop;
    void *mapping;
    task_fn fn;
    void *arg;
    const char *name;
    const char *description;
    const char *why; /* it is parked */
    enum task_state state;
    int park_rc;
    bool is_cancelled;
    bool ignores_cancel; /* while in a park_uncancelled */
    unsigned valgrind_id;
    ev_timer timeout;
    int64_t born_ns;
#ifdef TASK_ASAN
    void *fake_stack;
#endif
};

/* Tasks exist once per process: one thread, one loop. */
static struct {
    struct task *current;
    struct task_context main_context;
    void *idle_stacks; /* linked through the first word of their usable part */
    unsigned idle_count;
    unsigned no_await_depth;
#ifdef TASK_ASAN
    void *main_fake_stack;
    const void *main_stack;
    size_t main_stack_size;
#endif
} tasks;

static void *stack_usable(void *mapping)
{
    return (char *)mapping + GUARD_BYTES;
}

static void *stack_get(void)
{
    void *mapping = tasks.idle_stacks;

    if (mapping != NULL) {
        memcpy(&tasks.idle_stacks, stack_usable(mapping), sizeof(void *));
        tasks.idle_count--;
        return mapping;
    }
    mapping = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED || mprotect(mapping, GUARD_BYTES, PROT_NONE) < 0) {
        log_error("task", "no memory for a stack: %s", strerror(errno));
        abort();
    }
    return mapping;
}

static void stack_put(void *mapping)
{
    if (tasks.idle_count >= STACKS_KEPT) {
        (void)munmap(mapping, GUARD_BYTES + STACK_BYTES);
        return;
    }
#ifdef TASK_ASAN
    ASAN_UNPOISON_MEMORY_REGION(stack_usable(mapping), STACK_BYTES);
#endif
    memcpy(stack_usable(mapping), &tasks.idle_stacks, sizeof(void *));
    tasks.idle_stacks = mapping;
    tasks.idle_count++;
}

void task_trim(void)
{
    while (tasks.idle_stacks != NULL) {
        void *mapping = tasks.idle_stacks;

        memcpy(&tasks.idle_stacks, stack_usable(mapping), sizeof(void *));
        tasks.idle_count--;
        (void)munmap(mapping, GUARD_BYTES + STACK_BYTES);
    }
}

/* From the running task back to the loop. */
static void task_leave(struct task *t)
{
#ifdef TASK_ASAN
    __sanitizer_start_switch_fiber(t->state == TASK_ENDED ? NULL : &t->fake_stack, tasks.main_stack,
                                   tasks.main_stack_size);
#endif
    task_context_switch(&t->context, &tasks.main_context);
#ifdef TASK_ASAN
    __sanitizer_finish_switch_fiber(t->fake_stack, NULL, NULL);
#endif
}

static void task_entry(void)
{
    struct task *t = tasks.current;

#ifdef TASK_ASAN
    __sanitizer_finish_switch_fiber(NULL, &tasks.main_stack, &tasks.main_stack_size);
#endif
    t->fn(t->arg);
    t->state = TASK_ENDED;
    task_leave(t);
    abort(); /* an ended task is never switched to */
}

static void on_timeout(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    struct task *t = container_of(w, struct task, timeout);

    t->park_rc = -ETIMEDOUT;
    task_wake(t);
}

static size_t task_bytes(void)
{
    return (sizeof(struct task) + 63) & ~(size_t)63;
}

struct task *task_spawn(struct loop *l, const char *name, task_fn fn, void *arg)
{
    void *mapping = stack_get();
    size_t stack_bytes = STACK_BYTES - task_bytes();
    struct task *t = (struct task *)(void *)((char *)stack_usable(mapping) + stack_bytes);

    *t = (struct task){.loop = l, .mapping = mapping, .fn = fn, .arg = arg, .name = name};
    t->born_ns = clock_mono_ns();
    t->valgrind_id = VALGRIND_STACK_REGISTER(stack_usable(mapping), t);
    ev_timer_init(&t->timeout, on_timeout, 0, 0);
    list_init(&t->link);
    list_init(&t->all);
    list_append(&l->tasks, &t->all);
    l->tasks_count++;
    task_context_make(&t->context, stack_usable(mapping), stack_bytes, task_entry);
    t->state = TASK_RUNNABLE;
    list_append(&l->runnable, &t->link);
    return t;
}

const char *task_run(struct loop *l, struct list *link)
{
    struct task *t = list_entry(link, struct task, link);
    const char *name = t->name;

    assert(t->state == TASK_RUNNABLE);
    assert(tasks.current == NULL);
    t->state = TASK_RUNNING;
    tasks.current = t;
    l->switches++;
#ifdef TASK_ASAN
    __sanitizer_start_switch_fiber(&tasks.main_fake_stack, stack_usable(t->mapping),
                                   STACK_BYTES - task_bytes());
#endif
    task_context_switch(&tasks.main_context, &t->context);
#ifdef TASK_ASAN
    __sanitizer_finish_switch_fiber(tasks.main_fake_stack, NULL, NULL);
#endif
    tasks.current = NULL;
    if (t->state == TASK_ENDED) {
        list_remove(&t->all);
        l->tasks_count--;
        ev_timer_stop(l->ev, &t->timeout);
        VALGRIND_STACK_DEREGISTER(t->valgrind_id);
        stack_put(t->mapping);
    }
    return name;
}

struct task *task_self(void)
{
    return tasks.current;
}

struct loop *task_loop(void)
{
    return tasks.current->loop;
}

void task_describe(struct task *t, const char *text)
{
    t->description = text;
}

static int task_park(struct task *t, const char *why, int64_t timeout_ms)
{
    assert(tasks.no_await_depth == 0);
    t->why = why;
    t->park_rc = 0;
    t->state = TASK_PARKED;
    if (timeout_ms >= 0) {
        ev_timer_set(&t->timeout, (double)timeout_ms / 1000, 0);
        ev_timer_start(t->loop->ev, &t->timeout);
    }
    task_leave(t);
    ev_timer_stop(t->loop->ev, &t->timeout);
    t->why = NULL;
    return t->park_rc;
}

int task_park_await(const char *why, int64_t timeout_ms)
{
    struct task *t = tasks.current;

    assert(t != NULL);
    if (t->is_cancelled)
        return -ECANCELED;
    return task_park(t, why, timeout_ms);
}

int task_park_uncancelled_await(const char *why, int64_t timeout_ms)
{
    struct task *t = tasks.current;
    int rc;

    assert(t != NULL);
    t->ignores_cancel = true;
    rc = task_park(t, why, timeout_ms);
    t->ignores_cancel = false;
    return rc;
}

int task_yield_await(void)
{
    struct task *t = tasks.current;

    assert(t != NULL && tasks.no_await_depth == 0);
    if (t->is_cancelled)
        return -ECANCELED;
    t->why = "its next slice";
    t->state = TASK_RUNNABLE;
    list_append(&t->loop->runnable, &t->link);
    task_leave(t);
    t->why = NULL;
    return t->is_cancelled ? -ECANCELED : 0;
}

int task_sleep_await(int64_t ms)
{
    int rc = task_park_await("sleep", ms);

    return rc == -ETIMEDOUT ? 0 : rc;
}

void task_wake(struct task *t)
{
    if (t->state != TASK_PARKED)
        return;
    t->state = TASK_RUNNABLE;
    list_append(&t->loop->runnable, &t->link);
}

void task_cancel(struct task *t)
{
    t->is_cancelled = true;
    if (t->state == TASK_PARKED && !t->ignores_cancel) {
        t->park_rc = -ECANCELED;
        task_wake(t);
    }
}

bool task_is_cancelled(const struct task *t)
{
    return t->is_cancelled;
}

void task_cancel_all(struct loop *l)
{
    list_each (t, &l->tasks, struct task, all) {
        if (t != tasks.current)
            task_cancel(t);
    }
}

void completion_finish(struct completion *c, int rc)
{
    if (c->is_done)
        return;
    c->is_done = true;
    c->rc = rc;
    if (c->waiter != NULL)
        task_wake(c->waiter);
}

static int completion_wait(struct completion *c, const char *why, int64_t timeout_ms,
                           int (*park_await)(const char *why, int64_t timeout_ms))
{
    int64_t deadline = timeout_ms >= 0 ? clock_mono_ns() / 1000000 + timeout_ms : -1;

    while (!c->is_done) {
        int64_t left = deadline >= 0 ? deadline - clock_mono_ns() / 1000000 : TASK_FOREVER;
        int rc;

        if (deadline >= 0 && left < 0)
            left = 0;
        c->waiter = task_self();
        rc = park_await(why, left);
        c->waiter = NULL;
        if (rc < 0 && !c->is_done)
            return rc;
    }
    return c->rc;
}

int completion_await(struct completion *c, const char *why, int64_t timeout_ms)
{
    return completion_wait(c, why, timeout_ms, task_park_await);
}

int completion_uncancelled_await(struct completion *c, const char *why, int64_t timeout_ms)
{
    return completion_wait(c, why, timeout_ms, task_park_uncancelled_await);
}

unsigned task_no_await_begin(void)
{
    return ++tasks.no_await_depth;
}

unsigned task_no_await_end(void)
{
    tasks.no_await_depth--;
    return 0;
}

static const char *const state_names[] = {"runnable", "running", "parked", "ended"};

void task_dump(struct loop *l)
{
    int64_t now = clock_mono_ns();

    log_info("task", "%u tasks, %" PRIu64 " switches, %" PRIu64 " slow", l->tasks_count, l->switches,
             l->slow_turns);
    list_each (t, &l->tasks, struct task, all) {
        log_info("task", "%s%s%s %s%s%s, age %" PRId64 " ms", t->name, t->description != NULL ? " " : "",
                 t->description != NULL ? t->description : "", state_names[t->state],
                 t->why != NULL ? " for " : "", t->why != NULL ? t->why : "", (now - t->born_ns) / 1000000);
    }
}
