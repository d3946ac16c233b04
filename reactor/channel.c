#include "channel_state.h"

#include "base/clock.h"

/*
 * An event's life: appended (queued for Redis) → saved or refused by Redis →
 * delivered to the subscribers of the moment, kept for later ones. The order of
 * the list is the order of ids, and events are delivered in it.
 */
enum event_state { EVENT_NEW, EVENT_SENT, EVENT_DELIVERED };

struct event {
    struct list link;
    struct channel *channel;
    struct event_id id;
    struct stream_text *frame; /* as clients get it */
    struct str entry;          /* as Redis gets it; points into frame where they are the same */
    char *entry_own;           /* its memory where not */
    enum event_state state;
    bool is_terminal;
};

enum { SWEEP_S = 1, EXPIRE_EVERY_MS = 1000, SAVE_AGAIN_MS = 1000 };

/* ---- events ---- */

static struct event *event_new(struct channel *ch, struct str event, struct str data)
{
    struct event *e = mem_zalloc(sizeof(*e));

    list_init(&e->link);
    e->channel = ch;
    e->id = ch->next;
    ch->next.n++;
    e->is_terminal = event_is_terminal(event);
    e->frame = event_frame_new(e->id, event, data);
    if (e->is_terminal) {
        struct buf b;

        assert(data.n >= 2 && data.p[0] == '{');
        buf_init(&b);
        buf_add(&b, STR("{\"type\":\""));
        buf_add(&b, event);
        buf_add(&b, STR("\""));
        if (data.n > 2)
            buf_add_byte(&b, ',');
        buf_add(&b, str_from_offset(data, 1));
        e->entry_own = b.p;
        e->entry = buf_str(&b);
    } else {
        e->entry = str_of(e->frame->bytes + e->frame->n - 4 - data.n, data.n);
    }
    return e;
}

static void event_free(struct event *e)
{
    list_remove(&e->link);
    e->channel->bytes -= e->frame->n;
    stream_text_drop(e->frame);
    free(e->entry_own);
    free(e);
}

/* ---- delivery ---- */

static void channel_trim(struct channel *ch)
{
    size_t max = ch->missed_redis ? CHANNEL_UNSAVED_MAX : CHANNEL_MEMORY_MAX;

    while (ch->bytes > max && !list_is_empty(&ch->events)) {
        struct event *oldest = list_entry(ch->events.next, struct event, link);

        if (oldest->state != EVENT_DELIVERED)
            break;
        ch->dropped = oldest->id;
        event_free(oldest);
    }
}

static void subscriber_free(struct subscriber *s)
{
    list_remove(&s->link);
    free(s);
}

static void channel_end_subscribers(struct channel *ch)
{
    list_each (s, &ch->subscribers, struct subscriber, link) {
        stream_end(&s->sink);
        subscriber_free(s);
    }
}

static void channel_deliver(struct channel *ch, struct event *e)
{
    e->state = EVENT_DELIVERED;
    ch->delivered = e->id;
    list_each (s, &ch->subscribers, struct subscriber, link) {
        if (event_id_after(e->id, s->last)) {
            stream_send(&s->sink, e->frame);
            s->last = e->id;
        }
    }
    ch->active_ms = loop_now_ms(&ch->all->server->loop);
    list_move(&ch->all->list, &ch->link);
    if (e->is_terminal)
        channel_end_subscribers(ch);
    channel_trim(ch);
}

static void channel_answered(struct channel *ch, bool is_lost)
{
    ch->in_flight--;
    if (is_lost) {
        ch->missed_redis = true;
        ch->save_again_ms = loop_now_ms(&ch->all->server->loop) + SAVE_AGAIN_MS;
    }
    if (ch->in_flight == 0)
        loop_defer(&ch->all->server->loop, &ch->flush); /* for those that waited for this answer */
}

static void on_event_saved(void *arg, int rc, const struct redis_value *answer UNUSED)
{
    struct event *e = arg;
    struct channel *ch = e->channel;

    channel_answered(ch, rc < 0);
    channel_deliver(ch, e);
}

static void on_sent_again(void *arg, int rc, const struct redis_value *answer UNUSED)
{
    struct channel *ch = arg;

    /* An id that Redis has already is refused (-EIO): that is what is wanted. */
    channel_answered(ch, rc == -ENOTCONN || rc == -ENOSPC || rc == -ETIMEDOUT);
}

static void on_ignored(void *arg UNUSED, int rc UNUSED, const struct redis_value *answer UNUSED)
{
}

/*
 * The key lives ttl_s from its last event on. The end is always said; in between, events that follow each
 * other closely do not say again what has just been said.
 */
static void channel_expire(struct channel *ch, struct str key)
{
    int64_t now_ms = loop_now_ms(&ch->all->server->loop);
    char seconds[24];
    int n = snprintf(seconds, sizeof(seconds), "%" PRId64, ch->ttl_s);
    struct str argv[] = {STR("EXPIRE"), key, str_of(seconds, (size_t)n)};

    if (!ch->is_ended && now_ms >= ch->expiry_ms && now_ms - ch->expiry_ms < EXPIRE_EVERY_MS)
        return;
    ch->expiry_ms = now_ms;
    redis_send(ch->all->server->redis, nelem(argv), argv, on_ignored, NULL);
}

static void channel_xadd(struct channel *ch, struct str key, struct event *e, redis_done_fn done, void *arg)
{
    char id[EVENT_ID_TEXT];
    struct str argv[] = {STR("XADD"), key, event_id_text(id, e->id), STR("data"), e->entry};

    ch->in_flight++;
    redis_send(ch->all->server->redis, nelem(argv), argv, done, arg);
}

static void channel_bind(struct channel *ch)
{
    char key[64], value[192], seconds[24];
    int key_n = snprintf(key, sizeof(key), "sinas:stream:meta:%s", ch->id);
    int value_n = snprintf(value, sizeof(value), "{\"chat_id\":\"%s\",\"user_id\":\"%s\",\"job_id\":\"%s\"}",
                           ch->chat_id, ch->user_id, ch->id);
    int seconds_n = snprintf(seconds, sizeof(seconds), "%" PRId64, ch->ttl_s);
    struct str argv[] = {STR("SET"), str_of(key, (size_t)key_n), str_of(value, (size_t)value_n), STR("EX"),
                         str_of(seconds, (size_t)seconds_n)};

    redis_send(ch->all->server->redis, nelem(argv), argv, on_ignored, NULL);
}

/* Redis has lost events, or all of them: it gets what is in memory, in order, before anything new. */
static void channel_save_again(struct channel *ch, struct str key)
{
    ch->missed_redis = false;
    ch->expiry_ms = 0;
    ch->connection = redis_connections(ch->all->server->redis);
    channel_bind(ch);
    list_each (e, &ch->events, struct event, link) {
        if (e->state == EVENT_DELIVERED)
            channel_xadd(ch, key, e, on_sent_again, ch);
    }
}

/*
 * Whether events can go to Redis now. A Redis that refuses (it is full) is tried
 * again now and then, not with every event: it is given everything from the first one it lacks.
 */
static bool channel_can_save(const struct channel *ch)
{
    const struct redis *redis = ch->all->server->redis;

    return redis_is_up(redis) &&
           (!ch->missed_redis || loop_now_ms(&ch->all->server->loop) >= ch->save_again_ms);
}

/* New events are the last ones of the list, which may be long. */
static struct list *channel_first_new(struct channel *ch)
{
    struct list *at = &ch->events;

    while (at->prev != &ch->events && list_entry(at->prev, struct event, link)->state == EVENT_NEW)
        at = at->prev;
    return at;
}

/* At the end of a loop turn: what it appended goes out in one batch. */
static void on_flush(struct loop_hook *h)
{
    struct channel *ch = container_of(h, struct channel, flush);
    char key_text[64];
    int n = snprintf(key_text, sizeof(key_text), "sinas:stream:%s", ch->id);
    struct str key = str_of(key_text, (size_t)n);
    bool saves = channel_can_save(ch);

    if (saves && (ch->missed_redis || ch->connection != redis_connections(ch->all->server->redis)))
        channel_save_again(ch, key);
    for (struct list *at = channel_first_new(ch); at != &ch->events;) {
        struct event *e = list_entry(at, struct event, link);

        at = at->next; /* a delivered event may be forgotten */
        if (saves) {
            e->state = EVENT_SENT;
            channel_xadd(ch, key, e, on_event_saved, e);
        } else if (ch->in_flight == 0) {
            ch->missed_redis = true;
            channel_deliver(ch, e);
        } else {
            break; /* earlier ones are delivered first: the last answer comes back here */
        }
    }
    if (saves)
        channel_expire(ch, key);
    if (saves && ch->is_ended)
        channel_bind(ch); /* so that it lives as long as the events */
}

/* ---- life ---- */

static void channel_free(struct channel *ch)
{
    assert(list_is_empty(&ch->subscribers) && ch->in_flight == 0);
    loop_hook_cancel(&ch->flush);
    table_remove(&ch->all->by_id, &ch->node);
    list_remove(&ch->link);
    while (!list_is_empty(&ch->events))
        event_free(list_entry(ch->events.next, struct event, link));
    free(ch);
}

static void on_sweep(struct ev_loop *ev, ev_timer *w, int revents UNUSED)
{
    struct channels *all = container_of(w, struct channels, sweep);
    int64_t now = loop_now_ms(&all->server->loop);

    list_each (ch, &all->list, struct channel, link) {
        if (now - ch->active_ms < CHANNEL_PING_MS)
            break; /* the rest was active later */
        if (ch->is_ended && ch->in_flight == 0 && list_is_empty(&ch->subscribers) &&
            now - ch->ended_ms >= CHANNEL_LINGER_MS) {
            channel_free(ch);
            continue;
        }
        if (ch->missed_redis)
            loop_defer(&all->server->loop, &ch->flush);
        list_each (s, &ch->subscribers, struct subscriber, link)
            stream_send(&s->sink, all->ping);
        ch->active_ms = now;
        list_move(&all->list, &ch->link);
    }
    if (list_is_empty(&all->list))
        ev_timer_stop(ev, w);
}

struct channels *channels_new(struct server *s)
{
    struct channels *all = mem_zalloc(sizeof(*all));

    all->server = s;
    table_init(&all->by_id);
    list_init(&all->list);
    list_init(&all->readers);
    ev_timer_init(&all->sweep, on_sweep, SWEEP_S, SWEEP_S);
    all->ping = stream_text_new(STR("event: ping\r\ndata: \r\n\r\n"));
    return all;
}

void channels_free(struct channels *all)
{
    ev_timer_stop(all->server->loop.ev, &all->sweep);
    list_each (ch, &all->list, struct channel, link) {
        channel_end_subscribers(ch);
        channel_free(ch);
    }
    table_fini(&all->by_id);
    stream_text_drop(all->ping);
    free(all);
}

static void id_copy(char out[37], struct str id)
{
    assert(id.n < 37);
    memcpy(out, id.p, id.n);
    out[id.n] = '\0';
}

struct channel *channel_open(struct channels *all, const struct channel_options *options)
{
    struct channel *ch = mem_zalloc(sizeof(*ch));

    ch->all = all;
    loop_hook_init(&ch->flush, on_flush);
    list_init(&ch->link);
    list_init(&ch->events);
    list_init(&ch->subscribers);
    id_copy(ch->id, options->id);
    id_copy(ch->chat_id, options->chat_id);
    id_copy(ch->user_id, options->user_id);
    ch->ttl_s = options->ttl_s;
    ch->on_unwatched = options->on_unwatched;
    ch->arg = options->arg;
    ch->next = (struct event_id){clock_real_us() / 1000, 1};
    ch->active_ms = loop_now_ms(&all->server->loop);
    ch->missed_redis = !redis_is_up(all->server->redis);
    ch->connection = redis_connections(all->server->redis);
    table_add(&all->by_id, &ch->node, str_from(ch->id));
    list_append(&all->list, &ch->link);
    if (!ev_is_active(&all->sweep))
        ev_timer_again(all->server->loop.ev, &all->sweep);
    channel_bind(ch);
    return ch;
}

void channel_append(struct channel *ch, const char *event, struct str data)
{
    struct event *e;

    assert(!ch->is_ended);
    e = event_new(ch, str_from(event), data);
    list_append(&ch->events, &e->link);
    ch->bytes += e->frame->n;
    loop_defer(&ch->all->server->loop, &ch->flush);
}

void channel_end(struct channel *ch, const char *event, struct str data)
{
    channel_append(ch, event, data);
    ch->is_ended = true;
    ch->ended_ms = loop_now_ms(&ch->all->server->loop);
    ch->on_unwatched = NULL;
}

struct channel *channel_find(struct channels *all, struct str id)
{
    struct table_node *node = table_find(&all->by_id, id);

    return node != NULL ? container_of(node, struct channel, node) : NULL;
}

struct str channel_chat_id(const struct channel *ch)
{
    return str_from(ch->chat_id);
}

bool channel_is_resumable(const struct channel *ch)
{
    return !ch->missed_redis;
}

/* ---- subscribers of a channel in memory ---- */

static void channel_is_left(struct channel *ch)
{
    if (list_is_empty(&ch->subscribers) && !ch->is_ended && ch->on_unwatched != NULL)
        ch->on_unwatched(ch->arg);
}

void channel_on_subscriber_close(struct stream_sink *sink)
{
    struct subscriber *s = container_of(sink, struct subscriber, sink);
    struct channel *ch = s->channel;

    subscriber_free(s);
    channel_is_left(ch);
}

static struct subscriber *subscriber_new(struct event_id after)
{
    struct subscriber *s = mem_zalloc(sizeof(*s));

    list_init(&s->link);
    s->last = after;
    s->sink.on_close = channel_on_subscriber_close;
    return s;
}

static bool channel_is_finished(const struct channel *ch)
{
    return ch->is_ended && (list_is_empty(&ch->events) ||
                            list_entry(ch->events.prev, struct event, link)->state == EVENT_DELIVERED);
}

void channel_attach(struct channel *ch, struct subscriber *s)
{
    s->channel = ch;
    list_append(&ch->subscribers, &s->link);
    list_each (e, &ch->events, struct event, link) {
        if (e->state == EVENT_DELIVERED && event_id_after(e->id, s->last)) {
            stream_send(&s->sink, e->frame);
            s->last = e->id;
        }
    }
    if (channel_is_finished(ch)) {
        stream_end(&s->sink);
        subscriber_free(s);
    }
}

void channel_headers(struct req *r, struct str channel_id, bool is_resumable)
{
    reply_header(r, "X-Stream-Channel", channel_id);
    if (!is_resumable)
        reply_header(r, "X-Stream-Resume", STR("this-node-only"));
}

int channel_subscribe(struct req *r, struct channel *ch, struct event_id after)
{
    struct subscriber *s = subscriber_new(after);

    channel_headers(r, str_from(ch->id), channel_is_resumable(ch));
    if (stream_begin(r, &s->sink) < 0) {
        subscriber_free(s);
        channel_is_left(ch);
        return -ECANCELED;
    }
    channel_attach(ch, s);
    return 0;
}
