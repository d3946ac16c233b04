/* The reactor's and the worker's ends of model calls in one process, over a real socket; the model is a
 * script. */
#include "test.h"

#include "base/clock.h"
#include "core/task.h"
#include "handlers/llm_call.h"
#include "workers/worker.h"

#include <sys/socket.h>
#include <sys/un.h>

static struct loop *test_loop(void)
{
    static struct loop l;

    if (l.ev == NULL)
        loop_init(&l);
    return &l;
}

/* ---- a worker whose model follows the request's body: one letter per event ---- */

struct scripted {
    struct worker_call base;
    struct buf script;
};

static struct {
    struct worker worker;
    size_t kept_most;
    unsigned ended; /* calls that are over */
} fake;

static void scripted_event(struct scripted *c, char letter)
{
    char *big;

    switch (letter) {
    case 'd':
        proto_put_llm_delta(worker_event(&c->base),
                            &(struct msg_llm_delta){.call_id = c->base.id, .text = STR("x")});
        break;
    case 'b':
        big = mem_zalloc(100000);
        memset(big, 'b', 100000);
        proto_put_llm_delta(worker_event(&c->base),
                            &(struct msg_llm_delta){.call_id = c->base.id, .text = str_of(big, 100000)});
        free(big);
        break;
    case 't':
        proto_put_llm_tool_delta(worker_event(&c->base),
                                 &(struct msg_llm_tool_delta){.call_id = c->base.id, .tool_json = STR("{}")});
        break;
    case 'e':
        proto_put_llm_end(worker_event(&c->base), &(struct msg_llm_end){.call_id = c->base.id,
                                                                        .finish_reason = STR("tool_calls"),
                                                                        .tool_calls = STR("[1]"),
                                                                        .has_usage = 1,
                                                                        .prompt_tokens = 3,
                                                                        .completion_tokens = 4,
                                                                        .total_tokens = 7});
        break;
    default:
        proto_put_llm_failed(worker_event(&c->base), &(struct msg_llm_failed){.call_id = c->base.id,
                                                                              .failure = PROTO_LLM_TIMEOUT,
                                                                              .http_status = 504,
                                                                              .message = STR("late")});
    }
    worker_event_send(&c->base, letter == 'e' || letter == 'f');
}

/* Until the script stops at a dot or there is no room. */
static void scripted_go_on(struct worker_call *base)
{
    struct scripted *c = container_of(base, struct scripted, base);

    while (buf_size(&c->script) > 0 && !worker_call_is_full(base)) {
        char letter = buf_str(&c->script).p[0];

        if (letter == '.')
            return;
        buf_consume(&c->script, 1);
        scripted_event(c, letter);
        if (base->kept_bytes > fake.kept_most)
            fake.kept_most = base->kept_bytes;
    }
}

static int scripted_on_frame(struct worker_conn *conn, const struct frame *f)
{
    struct scripted *c = mem_zalloc(sizeof(*c));
    struct msg_llm_start m;

    if (f->type != PROTO_llm_start || proto_get_llm_start(f->payload, &m) < 0 ||
        worker_call_init(&c->base, conn, m.call_id, m.window, m.label) < 0) {
        free(c);
        return -EPROTO;
    }
    buf_init(&c->script);
    buf_add(&c->script, m.body_json);
    scripted_go_on(&c->base);
    return 0;
}

static void scripted_on_end(struct worker_call *base)
{
    struct scripted *c = container_of(base, struct scripted, base);

    fake.ended++;
    worker_call_fini(base);
    buf_fini(&c->script);
    free(c);
}

static const struct worker_ops scripted_ops = {
    .on_frame = scripted_on_frame,
    .on_room = scripted_go_on,
    .on_end = scripted_on_end,
};

/* ---- both ends set up around a task ---- */

struct scene {
    char directory[32];
    char path[64];
    int listener;
    struct llm_pool *pool;
    struct arena *a;
    void (*act)(struct scene *s);
    struct task *task;
};

static void scene_listen(struct scene *s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(s->directory, sizeof(s->directory), "/tmp/llm-call.XXXXXX");
    CHECK(mkdtemp(s->directory) != NULL);
    snprintf(s->path, sizeof(s->path), "%s/socket", s->directory);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->path);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(s->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_INT(listen(s->listener, 16), 0);
}

static void scene_run(void *arg)
{
    struct scene *s = arg;

    s->act(s);
    loop_stop(test_loop());
}

static void scene_play(struct arena *a, void (*act)(struct scene *s))
{
    struct scene s = {.a = a, .act = act};
    const char *paths[] = {s.path};

    scene_listen(&s);
    fake.ended = 0;
    fake.kept_most = 0;
    worker_init(&fake.worker, test_loop(), s.listener, 0, &scripted_ops);
    s.pool = llm_pool_open(test_loop(), paths, 1);
    s.task = task_spawn(test_loop(), "scene", scene_run, &s);
    loop_run(test_loop());
    llm_pool_close(s.pool);
    worker_fini(&fake.worker);
    (void)close(s.listener);
    CHECK_INT(unlink(s.path), 0);
    CHECK_INT(rmdir(s.directory), 0);
}

static struct llm_call *scene_start(struct scene *s, struct str script, int64_t deadline_ms)
{
    struct llm_request r = {.provider_type = STR("openai"),
                            .body_json = script,
                            .label = STR("label"),
                            .deadline_ms = deadline_ms};
    struct llm_call *call = NULL;
    int rc;

    for (int i = 0; (rc = llm_start(s->pool, &r, &call)) == -EAGAIN && i < 2000; i++)
        CHECK_INT(task_sleep_await(5), 0);
    CHECK_INT(rc, 0);
    return call;
}

/* The events up to and with the last, a letter each as in the script. */
static struct str scene_letters(struct scene *s, struct llm_call *call)
{
    struct llm_event event;
    struct buf seen;
    int rc;

    buf_init_arena(&seen, s->a);
    do {
        struct arena own;

        arena_init(&own);
        rc = llm_next_await(call, &own, &event);
        if (rc == 0)
            buf_add_byte(&seen,
                         event.type == LLM_DELTA ? event.text.p[0] == 'x' ? 'd' : 'b' : "?tef"[event.type]);
        arena_fini(&own);
    } while (rc == 0 && event.type != LLM_END && event.type != LLM_FAILED);
    CHECK_INT(rc, 0);
    return buf_str(&seen);
}

/* Lets the engine run until the worker has ended so many calls. */
static void scene_await_ended(unsigned ended)
{
    for (int i = 0; fake.ended < ended && i < 2000; i++)
        CHECK_INT(task_sleep_await(1), 0);
    CHECK_INT(fake.ended, ended);
}

static int64_t in_ms(int64_t ms)
{
    return clock_mono_ns() / 1000000 + ms;
}

/* ---- scenes ---- */

static void act_whole(struct scene *s)
{
    struct llm_call *call = scene_start(s, STR("ddte"), 0);
    struct llm_event event;

    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    CHECK_INT(event.type, LLM_DELTA);
    CHECK_STR(event.text, STR("x"));
    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    CHECK_INT(event.type, LLM_TOOL_DELTA);
    CHECK_STR(event.tool_json, STR("{}"));
    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    CHECK_INT(event.type, LLM_END);
    CHECK_STR(event.finish_reason, STR("tool_calls"));
    CHECK_STR(event.tool_calls, STR("[1]"));
    CHECK(event.has_usage && event.prompt_tokens == 3 && event.completion_tokens == 4 &&
          event.total_tokens == 7);
    llm_finish(call);
    scene_await_ended(1);
}

TEST(llm_call_hands_every_event_on)
{
    scene_play(a, act_whole);
}

static void act_failed(struct scene *s)
{
    struct llm_call *call = scene_start(s, STR("f"), 0);
    struct llm_event event;

    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    CHECK(event.type == LLM_FAILED && event.failure == LLM_FAIL_TIMEOUT && event.http_status == 504);
    CHECK_STR(event.message, STR("late"));
    llm_finish(call);
    scene_await_ended(1);
}

TEST(llm_call_hands_failures_on)
{
    scene_play(a, act_failed);
}

static void act_long(struct scene *s)
{
    char script[201];
    struct llm_call *call;

    memset(script, 'b', 200);
    script[200] = 'e';
    call = scene_start(s, str_of(script, sizeof(script)), 0);
    CHECK_STR(scene_letters(s, call), str_of(script, sizeof(script))); /* 20 MB through a window of 256 KiB */
    CHECK(fake.kept_most > 200000 && fake.kept_most < 512 << 10);
    llm_finish(call);
    scene_await_ended(1);
}

TEST(llm_call_never_outgrows_its_window)
{
    scene_play(a, act_long);
}

static void act_unread(struct scene *s)
{
    struct llm_call *call = scene_start(s, STR("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbe"), 0);
    struct llm_event event;

    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    llm_finish(call); /* in the middle: the worker hears of it */
    scene_await_ended(1);
    call = scene_start(s, STR("dd."), 0);
    llm_finish(call); /* before anything came */
    scene_await_ended(2);
}

TEST(llm_finish_cancels)
{
    scene_play(a, act_unread);
}

static void act_deadline(struct scene *s)
{
    struct llm_call *call = scene_start(s, STR("d."), in_ms(30));
    struct llm_event event;

    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    CHECK_INT(llm_next_await(call, s->a, &event), -ETIMEDOUT);
    llm_finish(call);
    scene_await_ended(1);
}

TEST(llm_call_has_a_deadline)
{
    scene_play(a, act_deadline);
}

static void act_cancelled(struct scene *s)
{
    struct llm_call *call = scene_start(s, STR("ddd."), 0);
    struct llm_event event;

    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    task_cancel(s->task);
    CHECK_INT(llm_next_await(call, s->a, &event), -ECANCELED); /* although there is more */
    llm_finish(call);
}

TEST(llm_call_of_a_cancelled_task)
{
    scene_play(a, act_cancelled);
}

static void act_lost(struct scene *s)
{
    struct llm_call *first = scene_start(s, STR("dd."), 0), *second = scene_start(s, STR("."), 0);
    struct llm_event event;

    CHECK_INT(llm_next_await(first, s->a, &event), 0);
    worker_fini(&fake.worker); /* it dies, and is started again on the same socket */
    worker_init(&fake.worker, test_loop(), s->listener, 0, &scripted_ops);
    CHECK_STR(scene_letters(s, second), STR("f"));
    CHECK(str_ends(scene_letters(s, first), STR("f")));
    llm_finish(first);
    llm_finish(second);
    first = scene_start(s, STR("de"), 0);
    CHECK_STR(scene_letters(s, first), STR("de"));
    llm_finish(first);
}

TEST(llm_calls_of_a_dead_worker_fail_and_it_comes_back)
{
    scene_play(a, act_lost);
}

static void act_too_large(struct scene *s)
{
    struct llm_request r = {.provider_type = STR("openai"), .body_json = str_of("", PROTO_LARGE_MAX)};
    struct llm_call *call;

    CHECK_INT(llm_start(s->pool, &r, &call), -E2BIG); /* the text is not looked at */
}

TEST(llm_start_refuses_what_is_too_large)
{
    scene_play(a, act_too_large);
}

static void act_nobody(struct scene *s)
{
    const char *nowhere[] = {"/nonexistent/socket"};
    struct llm_pool *pool = llm_pool_open(test_loop(), nowhere, 1),
                    *none = llm_pool_open(test_loop(), nowhere, 0);
    struct llm_request r = {.provider_type = STR("openai"), .body_json = STR("e")};
    struct llm_call *call;

    (void)s;
    CHECK_INT(llm_start(pool, &r, &call), -EAGAIN);
    CHECK_INT(llm_start(none, &r, &call), -EAGAIN);
    CHECK_INT(llm_adopt(none, 1, 0, &call), -ENOENT);
    llm_pool_close(pool);
    llm_pool_close(none);
}

TEST(llm_start_without_a_worker)
{
    scene_play(a, act_nobody);
}

/* ---- calls without a reactor: the connection breaks, as if another reactor had died ---- */

struct heir {
    bool is_wanted;
    unsigned asked;
    struct llm_kept kept;
    char label[16];
};

static bool on_kept(void *arg, const struct llm_kept *kept)
{
    struct heir *h = arg;

    h->asked++;
    h->kept = *kept;
    snprintf(h->label, sizeof(h->label), STR_FMT, STR_ARG(kept->label));
    return h->is_wanted;
}

static void scene_break(struct scene *s, struct llm_call *call, const struct heir *h)
{
    (void)s;
    list_each (conn, &fake.worker.conns, struct worker_conn, link)
        wire_drop(&conn->wire, "a test");
    for (int i = 0; h->asked == 0 && i < 2000; i++)
        CHECK_INT(task_sleep_await(1), 0);
    CHECK_INT(h->asked, 1);
    CHECK(h->kept.call_id == llm_call_id(call));
    CHECK_STR(str_from(h->label), STR("label"));
}

static void act_adopt(struct scene *s)
{
    struct llm_call *call = scene_start(s, STR("dbtbbbbe"), 0), *heirs;
    struct heir h = {.is_wanted = true};
    struct llm_event event;
    struct str letters;

    llm_pool_on_kept(s->pool, on_kept, &h);
    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    CHECK_INT(llm_next_await(call, s->a, &event), 0); /* 100 KB: the worker hears of them now */
    CHECK_INT(task_sleep_await(1), 0);
    scene_break(s, call, &h);
    CHECK_INT(h.kept.events_acked, 2);
    CHECK_INT(llm_adopt(s->pool, llm_call_id(call), 0, &heirs), 0);
    letters = scene_letters(s, heirs);
    CHECK_STR(letters, STR("tbbbbe"));
    llm_finish(heirs);
    CHECK_INT(llm_adopt(s->pool, llm_call_id(call), 0, &heirs), -ENOENT);
    llm_finish(call);
    scene_await_ended(1);
}

TEST(llm_adopt_takes_a_call_over)
{
    scene_play(a, act_adopt);
}

static void act_unwanted(struct scene *s)
{
    struct llm_call *call = scene_start(s, STR("d."), 0);
    struct heir h = {.is_wanted = false};
    struct llm_event event;

    llm_pool_on_kept(s->pool, on_kept, &h);
    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    scene_break(s, call, &h);
    scene_await_ended(1);
    llm_finish(call);
}

TEST(llm_kept_calls_nobody_wants_are_cancelled)
{
    scene_play(a, act_unwanted);
}

static void act_unclaimed(struct scene *s)
{
    struct llm_call *call = scene_start(s, STR("d."), 0), *heirs;
    struct heir h = {.is_wanted = true};
    struct llm_event event;

    llm_pool_on_kept(s->pool, on_kept, &h);
    CHECK_INT(llm_next_await(call, s->a, &event), 0);
    scene_break(s, call, &h);
    fake.worker.reclaim_ms = 0; /* its time is over */
    ev_feed_event(test_loop()->ev, &fake.worker.sweep, EV_TIMER);
    scene_await_ended(1);
    CHECK_INT(llm_adopt(s->pool, llm_call_id(call), 0, &heirs), 0);
    CHECK_INT(llm_next_await(heirs, s->a, &event), 0);
    CHECK(event.type == LLM_FAILED && event.failure == LLM_FAIL_WORKER);
    llm_finish(heirs);
    llm_finish(call);
}

TEST(llm_kept_calls_expire)
{
    scene_play(a, act_unclaimed);
}
