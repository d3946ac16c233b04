/*
 * Who owns a turn. Each reactor renews a lease while it runs turns; a turn
 * whose reactor is dead (an older start of this process, or a node whose lease
 * ended) is ended by whoever notices: with what its clients have seen as a
 * stored message, and with the terminal event that its channel lacks.
 */
#include "handlers/turn_state.h"

#include "base/log.h"
#include "handlers/app.h"
#include "sql.h"

enum {
    LEASE_S = 15,
    LEASE_RENEW_S = 5,
    LEASE_MARGIN_MS = 5000 /* a statement is not begun on a lease that ends sooner */
};

static const char TURN_LOST[] = "The answer was interrupted by a server restart";

/* ---- the lease ---- */

static int lease_renew_await(struct req *r, struct turns *all)
{
    int64_t asked_ms = loop_now_ms(&all->server->loop);
    struct rows rows;
    int rc = sql_node_lease_await(r, &rows, str_from(all->node), LEASE_S);

    if (rc >= 0)
        all->leased_until_ms = asked_ms + LEASE_S * 1000;
    return rc;
}

int turn_lease_await(struct req *r, struct turns *all)
{
    if (all->leased_until_ms - loop_now_ms(&all->server->loop) > LEASE_MARGIN_MS)
        return 0;
    return lease_renew_await(r, all);
}

static void lease_stop_cancelled(struct req *r, struct turns *all)
{
    struct rows rows;

    if (sql_turns_cancelled_await(r, &rows, str_from(all->node), all->generation) < 0)
        return;
    for (int i = 0; i < rows.count; i++)
        turn_stop_chat(all, row_str(&rows, i, "chat_id"));
}

static void orphans_end(struct req *r, struct turns *all);

static void lease_main(struct req *r, void *arg)
{
    struct turns *all = arg;

    if (lease_renew_await(r, all) >= 0) {
        lease_stop_cancelled(r, all);
        orphans_end(r, all);
    }
    all->is_renewing = false;
}

static void on_lease(struct ev_loop *ev, ev_timer *w, int revents UNUSED)
{
    struct turns *all = container_of(w, struct turns, lease);

    if (list_is_empty(&all->list)) {
        ev_timer_stop(ev, w);
        return;
    }
    if (all->is_renewing)
        return;
    all->is_renewing = true;
    (void)req_spawn(all->server, "lease", lease_main, all);
}

void turn_lease_start(struct turns *all)
{
    if (ev_is_active(&all->lease))
        return;
    ev_timer_init(&all->lease, on_lease, LEASE_RENEW_S, LEASE_RENEW_S);
    ev_timer_start(all->server->loop.ev, &all->lease);
}

/* ---- turns of the dead ---- */

static struct str event_data(struct req *r, struct str error)
{
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, &r->arena);
    json_write_init(&w, &b);
    json_object_begin(&w);
    if (str_is_none(error))
        json_field_str(&w, STR("status"), STR("completed"));
    else
        json_field_str(&w, STR("error"), error);
    json_object_end(&w);
    return buf_str(&b);
}

/* Stores what the clients of a dead turn have seen, frees its chat and ends its channel. */
static int orphan_end(struct req *r, struct str channel_id, bool is_ended, struct str error)
{
    int rc;

    if (!is_ended) {
        struct str text = STR_NONE;
        struct sql_turn_end_params params = {.channel_id = channel_id, .usage = STR("[]")};
        struct rows rows;

        if (redis_is_up(r->server->redis)) {
            rc = channel_orphan_text_await(r, channel_id, &text);
            if (rc < 0 && rc != -ENOTCONN)
                return rc;
        }
        error = str_from(TURN_LOST);
        params.partial = text.n != 0 ? text : STR_NONE;
        params.content = params.error = error;
        rc = sql_turn_end_await(r, &rows, &params);
        if (rc < 0)
            return rc;
        rc = turn_job_fail_await(r, r->server->app->turns, channel_id, error);
        if (rc < 0 && rc != -ENOTCONN)
            return rc;
        log_info("turn", "ended the turn of a dead reactor on channel " STR_FMT, STR_ARG(channel_id));
    }
    rc = channel_close_orphan_await(r, channel_id, str_is_none(error) ? "done" : "error",
                                    event_data(r, error));
    return rc == -ENOTCONN ? 0 : rc; /* without Redis there is no channel to end */
}

static void orphans_end(struct req *r, struct turns *all)
{
    struct rows rows;

    if (sql_turns_orphaned_await(r, &rows, str_from(all->node), all->generation) < 0)
        return;
    for (int i = 0; i < rows.count; i++) {
        if (orphan_end(r, row_str(&rows, i, "channel_id"), row_bool(&rows, i, "is_ended"),
                       row_str(&rows, i, "error")) < 0)
            return;
    }
}

int turn_end_dead_await(struct req *r, struct turns *all, struct str chat_id)
{
    struct rows rows;
    bool is_dead;
    int rc = sql_turn_of_chat_await(r, &rows, chat_id);

    if (rc < 0)
        return rc;
    if (rows.count == 0 || row_bool(&rows, 0, "is_ended"))
        return 0;
    is_dead = str_eq(row_str(&rows, 0, "node_id"), str_from(all->node))
                  ? row_i64(&rows, 0, "generation") < all->generation
                  : !row_bool(&rows, 0, "is_leased");
    if (!is_dead)
        return 0;
    rc = orphan_end(r, row_str(&rows, 0, "channel_id"), false, STR_NONE);
    return rc < 0 ? rc : 1;
}

int turn_settle_channel(struct req *r, struct str channel_id)
{
    struct turns *all = r->server->app->turns;
    struct str chat_id;
    struct rows rows;
    int rc = channel_binding_await(r, channel_id, &chat_id);

    if (rc < 0 || str_is_none(chat_id))
        return rc < 0 ? rc : -ENOENT;
    rc = turn_end_dead_await(r, all, chat_id);
    if (rc < 0)
        return rc;
    rc = sql_turn_of_chat_await(r, &rows, chat_id);
    if (rc < 0)
        return rc;
    if (rows.count == 1 && str_eq(row_str(&rows, 0, "channel_id"), channel_id)) {
        if (!row_bool(&rows, 0, "is_ended"))
            return 1;
        return orphan_end(r, channel_id, true, row_str(&rows, 0, "error"));
    }
    return orphan_end(r, channel_id, true,
                      STR_NONE); /* a later turn runs: this one ended well or was ended */
}

/* At the start of a reactor: what its predecessor left, as soon as PostgreSQL answers. */
static void turns_start_main(struct req *r, void *arg)
{
    struct turns *all = arg;

    while (pg_ready_await(all->server->db, TASK_FOREVER) == 0) {
        if (redis_ready_await(all->server->redis, 1000) == -ECANCELED)
            return;
        if (lease_renew_await(r, all) >= 0) {
            orphans_end(r, all);
            return;
        }
        reply_reset(r);
        if (task_sleep_await(LEASE_RENEW_S * 100) < 0)
            return;
    }
}

void turns_start(struct turns *all)
{
    turn_heartbeat_start(all);
    (void)req_spawn_service(all->server, "turns of the dead", turns_start_main, all);
}
