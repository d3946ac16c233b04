/*
 * Following streams. One XREAD BLOCK asks for all of them, on a link of its
 * own. A new follower makes the one under way stale: CLIENT UNBLOCK, said on the
 * command link, ends it early, and the next one asks for the new set. One that stops
 * waits for nothing: what still comes for it is dropped. Nothing is asked while nothing is followed.
 */
#include "core/redis_link.h"

#include "base/log.h"

enum { ENTRIES_MAX = 256, /* per stream and answer */ NUDGE_MS = 10, ARGS_BEFORE_KEYS = 6, ID_SIZE = 48 };

struct redis_follower {
    struct list link;
    struct redis_followers *set;
    struct str key;
    char last_id[ID_SIZE];
    uint64_t last_ms, last_seq;
    void (*on_entry)(void *arg, struct str id, const struct redis_value *fields);
    void (*lost)(void *arg);
    void *arg;
    bool is_asked; /* by the XREAD under way */
    bool is_ended; /* to be freed at the end of the turn */
    bool is_lost;  /* and to be told then */
};

/* ---- ids ---- */

static bool read_number(struct str text, uint64_t *n)
{
    *n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || *n > (UINT64_MAX - 9) / 10)
            return false;
        *n = *n * 10 + (uint64_t)(text.p[i] - '0');
    }
    return text.n > 0;
}

/* <ms>-<n>, or <ms> alone, which means <ms>-0. */
static bool read_id(struct str id, uint64_t *ms, uint64_t *seq)
{
    struct str rest = id;
    struct str head = str_cut(&rest, '-');

    *seq = 0;
    return read_number(head, ms) && (str_is_none(rest) || read_number(rest, seq));
}

/* Moves the follower to the entry when that lies ahead. */
static bool advance(struct redis_follower *f, struct str id)
{
    uint64_t ms, seq;

    if (!read_id(id, &ms, &seq) || id.n >= ID_SIZE)
        return false;
    if (ms < f->last_ms || (ms == f->last_ms && seq <= f->last_seq))
        return false;
    memcpy(f->last_id, id.p, id.n);
    f->last_id[id.n] = '\0';
    f->last_ms = ms;
    f->last_seq = seq;
    return true;
}

/* ---- asking ---- */

static void end(struct redis_follower *f, bool is_lost)
{
    struct redis_followers *fs = f->set;

    if (f->is_ended)
        return;
    f->is_ended = true;
    f->is_lost = is_lost;
    fs->count--;
    loop_defer(fs->link.loop, &fs->changed);
}

static void deliver_entries(struct redis_followers *fs, struct str key, const struct redis_value *entries)
{
    list_each (f, &fs->all, struct redis_follower, link) {
        if (!f->is_asked || !str_eq(f->key, key))
            continue;
        /* on_entry() may end this one or others; all stay on the list until the end of the turn. */
        for (size_t i = 0; i < entries->count && !f->is_ended; i++) {
            const struct redis_value *entry = &entries->items[i];

            if (entry->type == REDIS_ARRAY && entry->count == 2 && advance(f, entry->items[0].text))
                f->on_entry(f->arg, entry->items[0].text, &entry->items[1]);
        }
    }
}

static void deliver(struct redis_followers *fs, const struct redis_value *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        const struct redis_value *stream = &answer->items[i];

        if (stream->type == REDIS_ARRAY && stream->count == 2)
            deliver_entries(fs, stream->items[0].text, &stream->items[1]);
    }
}

static void on_entries(redisAsyncContext *context UNUSED, void *answer, void *arg)
{
    struct redis_followers *fs = arg;
    const redisReply *reply = answer;

    redis_link_answered(&fs->link);
    fs->is_blocked = false;
    if (reply == NULL)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        log_error("redis", "following streams failed: %.200s", reply->str);
        redis_link_break(&fs->link, "XREAD failed");
        return;
    }
    if (reply->type == REDIS_REPLY_ARRAY) {
        struct arena a;
        struct redis_value value;

        arena_init(&a);
        value = redis_value_of(&a, reply, false);
        deliver(fs, &value);
        arena_fini(&a);
    }
    loop_defer(fs->link.loop, &fs->changed);
}

/* XREAD COUNT n BLOCK ms STREAMS key … id … */
static void ask(struct redis_followers *fs)
{
    struct str *argv = mem_alloc((ARGS_BEFORE_KEYS + 2 * (size_t)fs->count) * sizeof(*argv));
    size_t n = ARGS_BEFORE_KEYS;
    char entries[16], block[16];

    argv[0] = STR("XREAD");
    argv[1] = STR("COUNT");
    argv[2] = str_of(entries, (size_t)snprintf(entries, sizeof(entries), "%d", ENTRIES_MAX));
    argv[3] = STR("BLOCK");
    argv[4] = str_of(block, (size_t)snprintf(block, sizeof(block), "%d", REDIS_BLOCK_MS));
    argv[5] = STR("STREAMS");
    list_each (f, &fs->all, struct redis_follower, link) {
        if (f->is_ended)
            continue;
        argv[n] = f->key;
        argv[n++ + fs->count] = str_from(f->last_id);
        f->is_asked = true;
    }
    fs->is_blocked = redis_link_send(&fs->link, (int)(n + fs->count), argv, on_entries, fs);
    fs->is_stale = false;
    free(argv);
}

/* ---- ending an XREAD early ---- */

static void nudge_later(struct redis_followers *fs)
{
    if (!ev_is_active(&fs->nudge)) {
        ev_timer_set(&fs->nudge, NUDGE_MS / 1000.0, 0);
        ev_timer_start(fs->link.loop->ev, &fs->nudge);
    }
}

/* 0: it was not blocked yet (or not any more), so it is said again if it still matters. */
static void on_unblocked(redisAsyncContext *context UNUSED, void *answer, void *arg)
{
    struct redis_followers *fs = arg;

    (void)answer;
    redis_link_answered(fs->commands);
    fs->is_unblocking = false;
    if (fs->is_stale && fs->is_blocked)
        nudge_later(fs);
}

static void unblock(struct redis_followers *fs)
{
    char id[24];
    struct str argv[] = {STR("CLIENT"), STR("UNBLOCK"),
                         str_of(id, (size_t)snprintf(id, sizeof(id), "%" PRId64, fs->link.client_id))};

    if (fs->is_unblocking)
        return;
    fs->is_unblocking = redis_link_send(fs->commands, nelem(argv), argv, on_unblocked, fs);
    if (!fs->is_unblocking)
        nudge_later(fs); /* the command link is away; XREAD ends by itself at the latest */
}

static void free_ended(struct redis_followers *fs)
{
    struct list ended = LIST_INIT(ended);
    struct list *link;

    list_each (f, &fs->all, struct redis_follower, link) {
        if (f->is_ended)
            list_move(&ended, &f->link);
    }
    while ((link = list_take(&ended)) != NULL) {
        struct redis_follower *f = list_entry(link, struct redis_follower, link);

        if (f->is_lost)
            f->lost(f->arg);
        free(f);
    }
}

static void catch_up(struct redis_followers *fs)
{
    if (fs->count == 0 || fs->link.state != LINK_UP)
        return;
    if (!fs->is_blocked)
        ask(fs);
    else if (fs->is_stale)
        unblock(fs);
}

static void on_changed(struct loop_hook *h)
{
    struct redis_followers *fs = container_of(h, struct redis_followers, changed);

    free_ended(fs);
    catch_up(fs);
}

static void on_nudge(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    catch_up(container_of(w, struct redis_followers, nudge));
}

/* ---- the link ---- */

static void on_up(struct redis_link *link)
{
    struct redis_followers *fs = container_of(link, struct redis_followers, link);

    loop_defer(link->loop, &fs->changed);
}

static void on_down(struct redis_link *link)
{
    struct redis_followers *fs = container_of(link, struct redis_followers, link);

    fs->is_blocked = false;
    list_each (f, &fs->all, struct redis_follower, link)
        end(f, true);
}

void redis_followers_init(struct redis_followers *fs, struct loop *l, const struct redis_address *address,
                          struct redis_link *commands)
{
    *fs = (struct redis_followers){.commands = commands};
    redis_link_init(&fs->link, l, "streams", address);
    fs->link.silence_ms = REDIS_BLOCK_MS + REDIS_SILENCE_MS;
    fs->link.on_up = on_up;
    fs->link.on_down = on_down;
    list_init(&fs->all);
    loop_hook_init(&fs->changed, on_changed);
    ev_init(&fs->nudge, on_nudge);
}

void redis_followers_fini(struct redis_followers *fs)
{
    redis_link_stop(&fs->link);
    on_down(&fs->link); /* also those that were never connected */
    free_ended(fs);
    loop_hook_cancel(&fs->changed);
    ev_timer_stop(fs->link.loop->ev, &fs->nudge);
}

struct redis_follower *redis_follow(struct redis *rd, struct str key, struct str after_id,
                                    void (*on_entry)(void *arg, struct str id,
                                                     const struct redis_value *fields),
                                    void (*lost)(void *arg), void *arg)
{
    struct redis_followers *fs = redis_followers_of(rd);
    struct redis_follower *f = mem_zalloc(sizeof(*f) + key.n);

    *f = (struct redis_follower){.set = fs, .on_entry = on_entry, .lost = lost, .arg = arg};
    list_init(&f->link);
    f->key = str_of(memcpy(f + 1, key.p, key.n), key.n);
    (void)snprintf(f->last_id, sizeof(f->last_id), "0-0");
    (void)advance(f, after_id);
    list_append(&fs->all, &f->link);
    fs->count++;
    fs->is_stale = true;
    if (!fs->link.has_failed || fs->commands->state == LINK_UP)
        redis_link_start(&fs->link);
    if (fs->link.state == LINK_DOWN || fs->count > REDIS_FOLLOWERS_MAX)
        end(f, true);
    loop_defer(fs->link.loop, &fs->changed);
    return f;
}

void redis_follow_stop(struct redis_follower *f)
{
    end(f, false);
    f->is_lost = false; /* if it was lost in this turn, nobody wants to know any more */
}
