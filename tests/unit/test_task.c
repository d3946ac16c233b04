#include "test.h"

#include "base/buf.h"
#include "core/task.h"

/* libev's default loop is one per process: the tests of this file share it. */
static struct loop *test_loop(void)
{
    static struct loop l;

    if (l.ev == NULL)
        loop_init(&l);
    return &l;
}

struct script {
    struct loop *loop;
    struct buf *trace;
    struct task *other;
    struct completion completion;
    int rc;
    unsigned left;
};

static void end_when_done(struct script *s)
{
    if (--s->left == 0)
        loop_stop(s->loop);
}

static void ping(void *arg)
{
    struct script *s = arg;

    for (int i = 0; i < 3; i++) {
        buf_add(s->trace, STR("a"));
        CHECK_INT(task_yield_await(), 0);
    }
    end_when_done(s);
}

static void pong(void *arg)
{
    struct script *s = arg;

    for (int i = 0; i < 3; i++) {
        buf_add(s->trace, STR("b"));
        CHECK_INT(task_yield_await(), 0);
    }
    end_when_done(s);
}

TEST(task_yield_alternates)
{
    struct buf trace;
    struct script s = {.loop = test_loop(), .trace = &trace, .left = 2};

    buf_init_arena(&trace, a);
    (void)task_spawn(s.loop, "ping", ping, &s);
    (void)task_spawn(s.loop, "pong", pong, &s);
    loop_run(s.loop);
    CHECK_STR(buf_str(&trace), STR("ababab"));
    CHECK_INT(s.loop->tasks_count, 0);
}

static void waits_for_completion(void *arg)
{
    struct script *s = arg;

    s->rc = completion_await(&s->completion, "a test", TASK_FOREVER);
    end_when_done(s);
}

static void finishes_completion(void *arg)
{
    struct script *s = arg;

    CHECK_INT(task_sleep_await(5), 0);
    completion_finish(&s->completion, 42);
    completion_finish(&s->completion, 43); /* the first one counts */
    end_when_done(s);
}

TEST(completion_hands_its_result_over)
{
    struct script s = {.loop = test_loop(), .left = 2};

    completion_init(&s.completion);
    (void)task_spawn(s.loop, "waiter", waits_for_completion, &s);
    (void)task_spawn(s.loop, "finisher", finishes_completion, &s);
    loop_run(s.loop);
    CHECK_INT(s.rc, 42);
}

static void waits_with_timeout(void *arg)
{
    struct script *s = arg;

    s->rc = completion_await(&s->completion, "nothing", 5);
    end_when_done(s);
}

TEST(completion_times_out)
{
    struct script s = {.loop = test_loop(), .left = 1};

    completion_init(&s.completion);
    (void)task_spawn(s.loop, "waiter", waits_with_timeout, &s);
    loop_run(s.loop);
    CHECK_INT(s.rc, -ETIMEDOUT);
}

static void cancels_other(void *arg)
{
    struct script *s = arg;

    task_cancel(s->other);
    end_when_done(s);
}

TEST(task_cancel_wakes_and_stays)
{
    struct script s = {.loop = test_loop(), .left = 2};

    completion_init(&s.completion);
    s.other = task_spawn(s.loop, "waiter", waits_for_completion, &s);
    (void)task_spawn(s.loop, "canceller", cancels_other, &s);
    loop_run(s.loop);
    CHECK_INT(s.rc, -ECANCELED);
}

static void parks_although_cancelled(void *arg)
{
    struct script *s = arg;

    task_cancel(task_self());
    CHECK_INT(task_sleep_await(1), -ECANCELED);
    s->rc = completion_uncancelled_await(&s->completion, "what must be finished", TASK_FOREVER);
    end_when_done(s);
}

TEST(task_uncancelled_wait_is_finished)
{
    struct script s = {.loop = test_loop(), .left = 2};

    completion_init(&s.completion);
    (void)task_spawn(s.loop, "waiter", parks_although_cancelled, &s);
    (void)task_spawn(s.loop, "finisher", finishes_completion, &s);
    loop_run(s.loop);
    CHECK_INT(s.rc, 42);
}

static void uses_its_stack(void *arg)
{
    struct script *s = arg;
    volatile char bytes[1500];
    double x = 1.5;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    CHECK_INT(task_sleep_await(1), 0);
    for (size_t i = 0; i < sizeof(bytes); i++)
        s->rc += bytes[i] != (char)i;
    s->rc += x * 2 != 3.0;
    end_when_done(s);
}

TEST(task_many_keep_their_stacks)
{
    struct script s = {.loop = test_loop(), .left = 1000};

    for (int i = 0; i < 1000; i++)
        (void)task_spawn(s.loop, "stack", uses_its_stack, &s);
    loop_run(s.loop);
    CHECK_INT(s.rc, 0);
    CHECK_INT(s.loop->tasks_count, 0);
    task_trim();
}

struct hook_script {
    struct loop_hook hook;
    int runs;
};

static void on_hook(struct loop_hook *h)
{
    struct hook_script *s = container_of(h, struct hook_script, hook);

    s->runs++;
    loop_stop(test_loop());
}

TEST(loop_hook_runs_once_per_arming)
{
    struct hook_script s = {.runs = 0};

    loop_hook_init(&s.hook, on_hook);
    loop_defer(test_loop(), &s.hook);
    loop_defer(test_loop(), &s.hook);
    loop_run(test_loop());
    CHECK_INT(s.runs, 1);
}
