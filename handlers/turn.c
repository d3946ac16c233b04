#include "handlers/turn_state.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/uuid.h"
#include "core/child.h"
#include "handlers/app.h"
#include "sql.h"

enum {
    LOCK_POLL_MS = 100,               /* while another node holds a chat */
    STORE_RETRY_MS = 200,             /* while PostgreSQL is away */
    STORE_ANNOUNCE_MS = 5000,         /* then clients hear that the end could not be stored */
    STORE_REFUSALS_MAX = 3,           /* by a PostgreSQL that is there: then only the failure is stored */
    GRACE_MS = SERVER_DRAIN_MS - 1500 /* of running turns at SIGTERM; then they have time to be stored */
};

static const char TURN_INTERRUPTED[] = "Job cancelled";

/* A request that waits for a turn's start (its lock is taken, the message stored) or for its end. */
struct turn_waiter {
    struct list link;
    struct completion done;
    struct turn *turn; /* NULL once it was told */
    struct arena *arena;
    struct turn_result *result; /* NULL: waits for the start only */
    int status;                 /* of a turn that could not start */
    struct str error;
};

/* A turn that waits for another one's lock on the same chat. */
struct turn_successor {
    struct list link;
    struct completion freed;
};

static int64_t now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

/* ---- waiters ---- */

static void turn_tell(struct turn *t, bool is_end, int status, struct str error)
{
    list_each (w, &t->waiters, struct turn_waiter, link) {
        if (!is_end && w->result != NULL)
            continue;
        list_remove(&w->link);
        w->turn = NULL;
        w->status = status;
        w->error = arena_str(w->arena, error);
        completion_finish(&w->done, 0);
    }
}

/* The end, with what was stored last. */
static void turn_tell_end(struct turn *t, struct str message)
{
    list_each (w, &t->waiters, struct turn_waiter, link) {
        if (w->result != NULL)
            *w->result = (struct turn_result){
                .kind = t->kind,
                .status = t->status,
                .error = arena_str(w->arena, t->error),
                .message = arena_str(w->arena, message),
                .reply = arena_str(w->arena, t->content_final),
                .has_usage = t->has_usage,
                .prompt_tokens = t->prompt_tokens,
                .completion_tokens = t->completion_tokens,
                .total_tokens = t->total_tokens,
            };
    }
    turn_tell(t, true, 0, STR_NONE);
}

/* ---- the lock ---- */

static struct turn *turn_find(struct turns *all, struct str chat_id)
{
    struct table_node *node = table_find(&all->by_chat, chat_id);

    return node != NULL ? container_of(node, struct turn, node) : NULL;
}

/* 0 when the turn before this one has ended, -ETIMEDOUT, -ECANCELED. */
static int turn_wait_for(struct turn *holder, int64_t until_ms)
{
    struct turn_successor s;
    int64_t left = until_ms - now_ms();
    int rc;

    list_init(&s.link);
    completion_init(&s.freed);
    list_append(&holder->successors, &s.link);
    rc = completion_await(&s.freed, "the chat's turn before this one", left > 0 ? left : 0);
    list_remove(&s.link);
    return rc;
}

static int turn_take_row(struct req *r, struct turn *t)
{
    const struct sql_turn_begin_params params = {
        .chat_id = str_from(t->chat_id),
        .channel_id = str_from(t->channel_id),
        .node_id = str_from(t->all->node),
        .generation = t->all->generation,
        .user_id = t->user_id,
        .api_key_id = t->api_key_id,
        .content = t->content.stored,
        .content_is_parts = t->content.is_parts,
        .row_limit = conf.max_history_messages,
    };
    int rc = turn_lease_await(r, t->all);

    if (rc < 0)
        return rc;
    rc = sql_turn_begin_await(r, &t->history, &params);
    return rc < 0 ? rc : t->history.count;
}

/* Takes the chat's lock and stores the user's message. 0, -EBUSY, or negative: whether it was taken is not
 * known. */
static int turn_lock(struct req *r, struct turn *t)
{
    int64_t until = now_ms() + t->lock_wait_ms;

    for (;;) {
        struct turn *holder = turn_find(t->all, str_from(t->chat_id));
        int rc;

        if (holder != NULL) {
            rc = turn_wait_for(holder, until);
            if (rc < 0)
                return rc == -ETIMEDOUT ? -EBUSY : rc;
            continue;
        }
        rc = turn_take_row(r, t);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        if (turn_find(t->all, str_from(t->chat_id)) != NULL)
            continue;
        rc = turn_end_dead_await(r, t->all, str_from(t->chat_id));
        if (rc < 0)
            return rc;
        if (rc == 1)
            continue;
        if (now_ms() >= until)
            return -EBUSY;
        rc = task_sleep_await(LOCK_POLL_MS);
        if (rc < 0)
            return rc;
    }
}

static void on_unwatched(void *arg);

static void turn_locked(struct turn *t)
{
    struct channel_options options = {
        .id = str_from(t->channel_id),
        .chat_id = str_from(t->chat_id),
        .user_id = t->user_id,
        .ttl_s = t->keeps_long ? CHANNEL_TTL_KEEP_ALIVE_S : CHANNEL_TTL_S,
        .on_unwatched = t->ends_unwatched ? on_unwatched : NULL,
        .arg = t,
    };

    t->is_locked = true;
    t->all->starting--;
    table_add(&t->all->by_chat, &t->node, str_from(t->chat_id));
    list_append(&t->all->list, &t->link);
    turn_lease_start(t->all);
    t->channel = channel_open(t->all->server->channels, &options);
    turn_job_write(t);
    turn_tell(t, false, 0, STR_NONE);
}

/* ---- the end ---- */

static void turn_free(struct turn *t)
{
    buf_fini(&t->text);
    buf_fini(&t->usage);
    arena_fini(&t->arena);
    free(t);
}

/* The chat is free for the next turn, here and in PostgreSQL. */
static void turn_unlock(struct turn *t)
{
    if (!t->is_locked)
        return;
    t->is_locked = false;
    table_remove(&t->all->by_chat, &t->node);
    list_remove(&t->link);
    list_each (s, &t->successors, struct turn_successor, link) {
        list_remove(&s->link);
        completion_finish(&s->freed, 0);
    }
}

static void turn_say_end(struct turn *t)
{
    struct channel *ch = t->channel;
    struct json_writer w;
    struct buf b;

    if (ch == NULL)
        return;
    t->channel = NULL;
    buf_init_arena(&b, &t->arena);
    json_write_init(&w, &b);
    json_object_begin(&w);
    if (t->kind == TURN_COMPLETED)
        json_field_str(&w, STR("status"), STR("completed"));
    else
        json_field_str(&w, STR("error"), t->error);
    json_object_end(&w);
    channel_end(ch, t->kind == TURN_COMPLETED ? "done" : "error", buf_str(&b));
}

/* One attempt to store the end. 1 stored, 0 the turn is not ours any more, negative: not now. */
static int turn_store_once(struct req *r, struct turn *t, struct str *message)
{
    const struct sql_turn_end_params params = {
        .channel_id = str_from(t->channel_id),
        .partial = buf_size(&t->text) != 0 ? buf_str(&t->text) : STR_NONE,
        .content = t->content_final,
        .error = t->kind == TURN_COMPLETED ? STR_NONE : t->error,
        .usage = arena_strf(&t->arena, "[" STR_FMT "]", STR_ARG(buf_str(&t->usage))),
    };
    struct rows rows;
    int rc = sql_turn_end_await(r, &rows, &params);

    if (rc < 0)
        return rc;
    if (rows.count == 0)
        return 0;
    *message = row_str(&rows, 0, "body");
    return 1;
}

/* What those who wait hear; what is to be stored stays as it is. */
static void turn_not_stored(struct turn *t)
{
    t->kind = TURN_FAILED;
    t->status = 503;
    t->error = STR("The answer could not be stored yet: the database is unavailable");
}

/* A text that PostgreSQL refuses must not keep the chat locked. */
static void turn_drop_text(struct turn *t)
{
    log_error("turn", "chat %s: the end of a turn is refused, it is stored without its text", t->chat_id);
    buf_clear(&t->text);
    turn_fail(t, 500, "The answer could not be stored");
}

/*
 * Stores the end, however long PostgreSQL is away: what clients have seen is
 * not given up. After STORE_ANNOUNCE_MS they are told that it could not be stored yet.
 */
static void turn_store(struct req *r, struct turn *t)
{
    int64_t announce_ms = now_ms() + STORE_ANNOUNCE_MS;
    struct str message = STR_NONE;
    int refusals = 0;
    int rc;

    while ((rc = turn_store_once(r, t, &message)) < 0) {
        bool is_refused = r->status != 503 && rc != -ECANCELED;

        reply_reset(r);
        if (is_refused && ++refusals % STORE_REFUSALS_MAX == 0) {
            if (refusals > STORE_REFUSALS_MAX)
                break;
            turn_drop_text(t);
        }
        if (now_ms() > announce_ms && t->channel != NULL) {
            turn_not_stored(t);
            turn_say_end(t);
            turn_tell_end(t, STR_NONE);
        }
        if (rc == -ECANCELED || task_sleep_await(STORE_RETRY_MS) < 0)
            break; /* this process ends: the next one ends the turn from its events */
    }
    if (rc < 0 && refusals <= STORE_REFUSALS_MAX)
        turn_not_stored(t);
    if (rc == 0 && t->is_locked)
        log_warn("turn", "chat %s: another reactor has ended this turn", t->chat_id);
    if (t->is_locked)
        turn_job_write(t);
    turn_unlock(t);
    turn_say_end(t);
    turn_tell_end(t, message);
}

static void turn_end_main(struct req *r, void *arg)
{
    struct turn *t = arg;

    t->r = r;
    turn_store(r, t);
    turn_free(t);
}

/* What a stopped turn says: the text that was sent so far is stored by itself. */
static void turn_stopped(struct turn *t)
{
    t->kind = TURN_STOPPED;
    t->status = t->stop == TURN_STOP_SHUTDOWN ? 503 : 409;
    t->error =
        t->stop == TURN_STOP_SHUTDOWN ? STR("The server is shutting down") : str_from(TURN_INTERRUPTED);
    t->content_final = STR_NONE;
}

static void turn_not_started(struct req *r, struct turn *t, int rc)
{
    t->all->starting--;
    t->kind = TURN_FAILED;
    t->error = str_from(TURN_INTERRUPTED);
    if (rc == -EBUSY) {
        turn_tell(t, true, 409, STR("Another message is being processed in this chat"));
        turn_free(t);
        return;
    }
    if (rc == -EINVAL) /* the chat, its user or the key was deleted in between */
        turn_tell(t, true, 404, STR("Chat not found"));
    else
        turn_tell(t, true, r->status != 0 ? r->status : 503,
                  r->failure.n != 0 ? r->failure : STR("Service temporarily unavailable"));
    turn_store(r, t); /* the row may be ours although the answer was lost */
    turn_free(t);
}

static void turn_main(struct req *r, void *arg)
{
    struct turn *t = arg;
    int rc;

    t->r = r;
    task_describe(r->task, t->chat_id);
    rc = turn_lock(r, t);
    if (rc < 0) {
        turn_not_started(r, t, rc);
        return;
    }
    turn_locked(t);
    if (!turn_is_stopped(t))
        turn_rounds(r, t);
    t->is_ending = true;
    if (turn_is_stopped(t))
        turn_stopped(t);
    if (task_is_cancelled(r->task)) /* nothing can be awaited in here any more */
        (void)req_spawn(t->all->server, "turn end", turn_end_main, t);
    else
        turn_end_main(r, t);
}

/* ---- stopping ---- */

static void turn_stop(struct turn *t, enum turn_stop why)
{
    if (turn_is_stopped(t) || t->is_ending)
        return;
    t->stop = why;
    if (t->is_locked && t->r != NULL)
        task_cancel(t->r->task);
}

static void on_unwatched(void *arg)
{
    struct turn *t = arg;

    turn_stop(t, TURN_STOP_CLIENT);
}

void turn_stop_chat(struct turns *all, struct str chat_id)
{
    struct turn *t = turn_find(all, chat_id);

    if (t != NULL)
        turn_stop(t, TURN_STOP_ARCHIVED);
}

void turn_fail(struct turn *t, int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    t->error = arena_vstrf(&t->arena, format, args);
    va_end(args);
    t->kind = TURN_FAILED;
    t->status = status;
    t->content_final = t->error;
}

/* ---- starting ---- */

static struct turn *turn_new(struct turns *all, const struct turn_options *o)
{
    struct turn *t = mem_zalloc(sizeof(*t));
    const struct record *context = o->context;
    const struct uuid channel_id = uuid_new();

    t->all = all;
    arena_init(&t->arena);
    list_init(&t->link);
    list_init(&t->waiters);
    list_init(&t->successors);
    buf_init(&t->text);
    buf_init(&t->usage);
    uuid_write(t->channel_id, &channel_id);
    memcpy(t->chat_id, o->chat_id.p, 36);
    t->user_id = arena_str(&t->arena, o->user_id);
    t->api_key_id = arena_str(&t->arena, o->api_key_id);
    t->content = (struct content){
        .is_parts = o->content->is_parts,
        .stored = arena_str(&t->arena, o->content->stored),
        .live = arena_str(&t->arena, o->content->live),
    };
    t->context = *context;
    t->context.names = arena_alloc(&t->arena, (size_t)context->count * sizeof(*context->names));
    t->context.values = arena_alloc(&t->arena, (size_t)context->count * sizeof(*context->values));
    for (int i = 0; i < context->count; i++) {
        t->context.names[i] = arena_cstr(&t->arena, str_from(context->names[i]));
        t->context.values[i] = arena_str(&t->arena, context->values[i]);
    }
    t->ends_unwatched = o->ends_unwatched;
    t->keeps_long = o->keeps_long;
    t->lock_wait_ms = o->lock_wait_ms;
    t->enqueued_at = (double)clock_real_us() / 1e6;
    t->deadline_ms = now_ms() + o->timeout_s * 1000;
    t->kind = TURN_COMPLETED;
    t->status = 200;
    all->starting++;
    return t;
}

/* Starts a turn and waits for its start or its end. 0, or -1 with the answer set, or -ECANCELED. */
static int turn_await(struct req *r, const struct turn_options *options, struct turn_result *result,
                      char channel_id[37])
{
    struct turns *all = r->server->app->turns;
    struct turn_waiter w = {.arena = &r->arena, .result = result};
    int rc;

    assert(r->confirm == NULL); /* a turn is something that others notice */
    if (r->server->is_draining)
        return fail(r, 503, "The server is shutting down");
    if (turns_count(all) >= (unsigned)conf.turns_max) {
        reply_header(r, "Retry-After", STR("1"));
        return fail(r, 503, "Too many agent turns are running");
    }
    list_init(&w.link);
    completion_init(&w.done);
    w.turn = turn_new(all, options);
    memcpy(channel_id, w.turn->channel_id, 37);
    list_append(&w.turn->waiters, &w.link);
    (void)req_spawn(r->server, "turn", turn_main, w.turn);
    rc = completion_await(&w.done, "the agent's turn", TASK_FOREVER);
    if (rc < 0) {
        list_remove(&w.link);
        if (w.turn != NULL && options->ends_unwatched)
            turn_stop(w.turn, TURN_STOP_CLIENT);
        return rc;
    }
    return w.status != 0 ? fail(r, w.status, STR_FMT, STR_ARG(w.error)) : 0;
}

int turn_start_await(struct req *r, const struct turn_options *options, struct str *channel_id)
{
    char id[37];
    int rc = turn_await(r, options, NULL, id);

    *channel_id = arena_str(&r->arena, str_from(id));
    return rc;
}

int turn_run_await(struct req *r, const struct turn_options *options, struct turn_result *result)
{
    char id[37];

    return turn_await(r, options, result, id);
}

/* ---- all of them ---- */

unsigned turns_count(const struct turns *all)
{
    return (unsigned)all->by_chat.count + all->starting;
}

struct turns *turns_new(struct server *s)
{
    struct turns *all = mem_zalloc(sizeof(*all));

    all->server = s;
    table_init(&all->by_chat);
    list_init(&all->list);
    memcpy(all->node, child_self()->node, sizeof(all->node));
    all->generation = (int64_t)child_self()->generation;
    return all;
}

void turns_free(struct turns *all)
{
    ev_timer_stop(all->server->loop.ev, &all->lease);
    ev_timer_stop(all->server->loop.ev, &all->grace);
    ev_timer_stop(all->server->loop.ev, &all->heartbeat);
    table_fini(&all->by_chat);
    free(all);
}

static void on_grace_end(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    struct turns *all = container_of(w, struct turns, grace);

    list_each (t, &all->list, struct turn, link)
        turn_stop(t, TURN_STOP_SHUTDOWN);
}

void turns_drain(struct turns *all)
{
    turn_heartbeat_stop(all);
    ev_timer_init(&all->grace, on_grace_end, GRACE_MS / 1000.0, 0);
    ev_timer_start(all->server->loop.ev, &all->grace);
}
