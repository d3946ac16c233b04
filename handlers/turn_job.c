/*
 * A turn as the queue's readers see it (spec 20 §19): one status record per
 * turn in Redis, under the id of its channel, and a heartbeat per reactor. Nothing
 * in here is needed for a turn to run: Redis may be away.
 */
#include "handlers/turn_state.h"

#include "base/clock.h"
#include "base/conf.h"

enum { JOB_TTL_S = 86400, HEARTBEAT_S = 10, HEARTBEAT_TTL_S = 30 };

static void on_stored(void *arg UNUSED, int rc UNUSED, const struct redis_value *answer UNUSED)
{
    /* What Redis missed here is only shown, never acted upon. */
}

static void set_record(struct turns *all, struct str key, struct str value, int ttl_s)
{
    char seconds[16];
    int n = snprintf(seconds, sizeof(seconds), "%d", ttl_s);
    struct str argv[] = {STR("SET"), key, value, STR("EX"), str_of(seconds, (size_t)n)};

    if (redis_is_up(all->server->redis))
        redis_send(all->server->redis, nelem(argv), argv, on_stored, NULL);
}

static double seconds_now(void)
{
    return (double)clock_real_us() / 1e6;
}

/* ---- the status record ---- */

static const char *turn_job_status(const struct turn *t)
{
    if (!t->is_ending)
        return "running";
    if (t->kind == TURN_STOPPED)
        return t->stop == TURN_STOP_SHUTDOWN ? "failed" : "cancelled";
    return t->kind == TURN_COMPLETED ? "completed" : "failed";
}

void turn_job_write(struct turn *t)
{
    const char *status = turn_job_status(t);
    struct json_writer w;
    struct arena a;
    struct buf b;

    arena_init(&a);
    buf_init_arena(&b, &a);
    json_write_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, STR("status"), str_from(status));
    json_field_str(&w, STR("channel_id"), str_from(t->channel_id));
    json_field_str(&w, STR("queue"), STR("agents"));
    json_field_str(&w, STR("type"), STR("message"));
    json_field_str(&w, STR("chat_id"), str_from(t->chat_id));
    json_field_str(&w, STR("agent"),
                   arena_strf(&a, STR_FMT "/" STR_FMT, STR_ARG(record_str(&t->context, "agent_namespace")),
                              STR_ARG(record_str(&t->context, "agent_name"))));
    json_field_raw(&w, STR("enqueued_at"), arena_strf(&a, "%.3f", t->enqueued_at));
    if (t->is_ending && t->kind != TURN_COMPLETED)
        json_field_str(&w, STR("error"), t->error);
    if (strcmp(status, "cancelled") == 0)
        json_field_raw(&w, STR("cancelled_at"), arena_strf(&a, "%.3f", seconds_now()));
    json_object_end(&w);
    set_record(t->all, turn_job_key(&a, str_from(t->channel_id)), buf_str(&b), JOB_TTL_S);
    arena_fini(&a);
}

struct str turn_job_key(struct arena *a, struct str channel_id)
{
    return arena_strf(a, "sinas:job:status:" STR_FMT, STR_ARG(channel_id));
}

/* The record again, with another status and an error. */
static struct str job_failed(struct arena *a, const struct json *record, struct str error)
{
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, STR("status"), STR("failed"));
    json_each_member (m, record) {
        struct str name = json_text(json_key(m));

        if (str_eq(name, STR("status")) || str_eq(name, STR("error")))
            continue;
        json_key_write(&w, name);
        json_write_value(&w, json_value(m));
    }
    json_field_str(&w, STR("error"), error);
    json_object_end(&w);
    return buf_str(&b);
}

int turn_job_fail_await(struct req *r, struct turns *all, struct str channel_id, struct str error)
{
    struct str key = turn_job_key(&r->arena, channel_id);
    struct str argv[] = {STR("GET"), key};
    const struct json *record;
    struct redis_value answer;
    struct json_error wrong;
    int rc = redis_await(all->server->redis, &r->arena, &answer, nelem(argv), argv);

    if (rc < 0)
        return rc;
    if (answer.type == REDIS_STRING && json_parse(&r->arena, answer.text, &record, &wrong) == 0 &&
        str_eq(json_get_text(record, STR("status")), STR("running")))
        set_record(all, key, job_failed(&r->arena, record, error), JOB_TTL_S);
    return 0;
}

/* ---- the heartbeat ---- */

static struct str heartbeat_key(struct arena *a, const struct turns *all)
{
    return arena_strf(a, "sinas:worker:active:%s", all->node);
}

static void heartbeat_write(struct turns *all)
{
    struct json_writer w;
    struct arena a;
    struct buf b;

    arena_init(&a);
    buf_init_arena(&b, &a);
    json_write_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, STR("worker_id"), str_from(all->node));
    json_field_str(&w, STR("queue"), STR("agents"));
    json_field_i64(&w, STR("max_jobs"), conf.turns_max);
    json_field_raw(&w, STR("started_at"), arena_strf(&a, "%.3f", all->started_at));
    json_field_raw(&w, STR("last_heartbeat"), arena_strf(&a, "%.3f", seconds_now()));
    json_object_end(&w);
    set_record(all, heartbeat_key(&a, all), buf_str(&b), HEARTBEAT_TTL_S);
    arena_fini(&a);
}

static void on_heartbeat(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    heartbeat_write(container_of(w, struct turns, heartbeat));
}

void turn_heartbeat_start(struct turns *all)
{
    all->started_at = seconds_now();
    ev_timer_init(&all->heartbeat, on_heartbeat, 0, HEARTBEAT_S);
    ev_timer_start(all->server->loop.ev, &all->heartbeat);
}

void turn_heartbeat_stop(struct turns *all)
{
    struct arena a;

    ev_timer_stop(all->server->loop.ev, &all->heartbeat);
    if (!redis_is_up(all->server->redis))
        return;
    arena_init(&a);
    {
        struct str argv[] = {STR("DEL"), heartbeat_key(&a, all)};

        redis_send(all->server->redis, nelem(argv), argv, on_stored, NULL);
    }
    arena_fini(&a);
}
