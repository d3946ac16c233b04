/* Commands: one link, one small record per command under way. */
#include "core/redis_link.h"

#include "base/log.h"

enum { KIND_SIZE = 24 };

struct redis {
    struct loop *loop;
    struct arena arena; /* the address */
    struct redis_address address;
    struct redis_link link;
    struct redis_followers followers;
    struct list refused; /* commands that could not be sent: they are told at the end of the turn */
    struct loop_hook tell_refused;
    struct list ready_waiters;
    struct arena scratch;        /* of one answer */
    bool is_usable;              /* the URL could be read */
    char logged_kind[KIND_SIZE]; /* of the last error that was logged, and when */
    ev_tstamp logged_at;
};

struct command {
    struct list link; /* of refused */
    struct redis *rd;
    redis_done_fn done; /* NULL: forgotten */
    void *arg;
    struct arena *arena; /* the answer's texts are copied into this one; NULL: they stay the reply's */
};

struct ready_waiter {
    struct list link;
    struct completion done;
};

struct redis_followers *redis_followers_of(struct redis *rd)
{
    return &rd->followers;
}

/* ---- answers ---- */

static struct redis_value text_value(struct arena *a, enum redis_type type, const redisReply *reply,
                                     bool copies)
{
    struct str text = str_of(reply->str, reply->len);

    return (struct redis_value){.type = type, .text = copies ? arena_str(a, text) : text};
}

static struct redis_value array_value(struct arena *a, const redisReply *reply, bool copies)
{
    struct redis_value *items = arena_alloc(a, (reply->elements + 1) * sizeof(*items));

    for (size_t i = 0; i < reply->elements; i++)
        items[i] = redis_value_of(a, reply->element[i], copies); /* hiredis nests at most 9 deep */
    return (struct redis_value){.type = REDIS_ARRAY, .items = items, .count = reply->elements};
}

struct redis_value redis_value_of(struct arena *a, const redisReply *reply, bool copies)
{
    switch (reply->type) {
    case REDIS_REPLY_STATUS:
        return text_value(a, REDIS_STATUS, reply, copies);
    case REDIS_REPLY_ERROR:
        return text_value(a, REDIS_ERROR, reply, copies);
    case REDIS_REPLY_STRING:
        return text_value(a, REDIS_STRING, reply, copies);
    case REDIS_REPLY_INTEGER:
        return (struct redis_value){.type = REDIS_INTEGER, .integer = reply->integer};
    case REDIS_REPLY_ARRAY:
        return array_value(a, reply, copies);
    default:
        return (struct redis_value){.type = REDIS_NIL};
    }
}

/* Once per kind (the error's first word) and second. */
static void log_error_answer(struct redis *rd, struct str text)
{
    ev_tstamp now = ev_now(rd->loop->ev);
    struct str rest = text;
    struct str kind = str_cut(&rest, ' ');
    char *known = rd->logged_kind;

    if (kind.n >= KIND_SIZE)
        kind.n = KIND_SIZE - 1;
    if (str_eq(kind, str_from(known)) && now - rd->logged_at < 1)
        return;
    memcpy(known, kind.p, kind.n);
    known[kind.n] = '\0';
    rd->logged_at = now;
    log_error("redis", "a command failed: %.200s", text.p);
}

static int error_rc(struct redis *rd, struct str text)
{
    /* It is there, but not for us: loading its data, or become a replica. */
    if (str_starts(text, STR("LOADING")) || str_starts(text, STR("MASTERDOWN")))
        return -ENOTCONN;
    if (str_starts(text, STR("READONLY"))) {
        redis_link_break(&rd->link, "the server has become a replica");
        return -ENOTCONN;
    }
    log_error_answer(rd, text);
    return str_starts(text, STR("OOM")) ? -ENOSPC : -EIO;
}

static void on_answer(redisAsyncContext *context UNUSED, void *answer, void *arg)
{
    struct command *command = arg;
    struct redis *rd = command->rd;
    const redisReply *reply = answer;
    int rc = -ENOTCONN;

    redis_link_answered(&rd->link);
    if (reply != NULL)
        rc = reply->type == REDIS_REPLY_ERROR ? error_rc(rd, str_of(reply->str, reply->len)) : 0;
    if (command->done != NULL && reply == NULL) {
        command->done(command->arg, rc, NULL);
    } else if (command->done != NULL) {
        bool copies = command->arena != NULL;
        struct redis_value value = redis_value_of(copies ? command->arena : &rd->scratch, reply, copies);

        command->done(command->arg, rc, &value);
        if (!copies)
            arena_fini(&rd->scratch);
    }
    free(command);
}

/* ---- sending ---- */

static void on_tell_refused(struct loop_hook *h)
{
    struct redis *rd = container_of(h, struct redis, tell_refused);
    struct list *link;

    while ((link = list_take(&rd->refused)) != NULL) {
        struct command *command = list_entry(link, struct command, link);

        if (command->done != NULL)
            command->done(command->arg, -ENOTCONN, NULL);
        free(command);
    }
}

/* Not up, but the first attempt is under way: what is said now goes out behind the handshake. */
static bool can_send(const struct redis *rd)
{
    return rd->link.state == LINK_UP || (rd->link.state == LINK_CONNECTING && !rd->link.has_failed);
}

static struct command *send_command(struct redis *rd, int argc, const struct str *argv, redis_done_fn done,
                                    void *arg)
{
    struct command *command = mem_zalloc(sizeof(*command));

    *command = (struct command){.rd = rd, .done = done, .arg = arg};
    list_init(&command->link);
    if (!can_send(rd) || !redis_link_send(&rd->link, argc, argv, on_answer, command)) {
        list_append(&rd->refused, &command->link);
        loop_defer(rd->loop, &rd->tell_refused);
    }
    return command;
}

void redis_send(struct redis *rd, int argc, const struct str *argv, redis_done_fn done, void *arg)
{
    (void)send_command(rd, argc, argv, done, arg);
}

struct waiter {
    struct completion done;
    struct redis_value *answer;
};

static void on_awaited(void *arg, int rc, const struct redis_value *answer)
{
    struct waiter *w = arg;

    if (answer != NULL)
        *w->answer = *answer;
    completion_finish(&w->done, rc);
}

int redis_await(struct redis *rd, struct arena *a, struct redis_value *answer, int argc,
                const struct str *argv)
{
    struct waiter w = {.answer = answer};
    struct command *command;
    int rc;

    *answer = (struct redis_value){.type = REDIS_NIL};
    if (task_is_cancelled(task_self()))
        return -ECANCELED;
    if (!can_send(rd))
        return -ENOTCONN;
    command = send_command(rd, argc, argv, on_awaited, &w);
    command->arena = a;
    rc = completion_await(&w.done, "Redis", REDIS_TIMEOUT_MS);
    if (!w.done.is_done)
        command->done = NULL; /* freed with its answer */
    return rc;
}

/* ---- opening and closing ---- */

static void on_up(struct redis_link *link)
{
    struct redis *rd = container_of(link, struct redis, link);

    list_each (w, &rd->ready_waiters, struct ready_waiter, link)
        completion_finish(&w->done, 0);
}

static void on_down(struct redis_link *link UNUSED)
{
    /* The commands under way were told by their callbacks. */
}

struct redis *redis_open(struct loop *l, struct str url)
{
    struct redis *rd = mem_zalloc(sizeof(*rd));

    rd->loop = l;
    arena_init(&rd->arena);
    arena_init(&rd->scratch);
    list_init(&rd->refused);
    list_init(&rd->ready_waiters);
    loop_hook_init(&rd->tell_refused, on_tell_refused);
    rd->is_usable = redis_address_parse(&rd->arena, url, &rd->address) == 0;
    if (!rd->is_usable)
        log_error("redis",
                  "the URL is not redis://[user[:password]@]host[:port][/db] or unix:///path[?db=n]");
    redis_link_init(&rd->link, l, "commands", &rd->address);
    rd->link.on_up = on_up;
    rd->link.on_down = on_down;
    redis_followers_init(&rd->followers, l, &rd->address, &rd->link);
    if (rd->is_usable)
        redis_link_start(&rd->link);
    return rd;
}

void redis_close(struct redis *rd)
{
    redis_followers_fini(&rd->followers);
    redis_link_stop(&rd->link);
    on_tell_refused(&rd->tell_refused);
    loop_hook_cancel(&rd->tell_refused);
    arena_fini(&rd->scratch);
    arena_fini(&rd->arena);
    free(rd);
}

bool redis_is_up(const struct redis *rd)
{
    return rd->link.state == LINK_UP;
}

uint64_t redis_connections(const struct redis *rd)
{
    return rd->link.connections;
}

int redis_ready_await(struct redis *rd, int64_t timeout_ms)
{
    struct ready_waiter waiter;
    int rc;

    if (redis_is_up(rd))
        return 0;
    completion_init(&waiter.done);
    list_init(&waiter.link);
    list_append(&rd->ready_waiters, &waiter.link);
    rc = completion_await(&waiter.done, "Redis", timeout_ms);
    list_remove(&waiter.link);
    return rc;
}
