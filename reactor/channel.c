#include "channel.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/table.h"

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

struct subscriber {
    struct stream_sink sink;
    struct list link;
    struct channel *channel;
    struct event_id last; /* it has everything up to this */
};

struct channel {
    struct table_node node; /* by id */
    struct list link;       /* all, least recently active first */
    struct channels *all;
    struct loop_hook flush;
    struct list events;      /* oldest first */
    struct list subscribers;
    struct event_id next;
    struct event_id dropped; /* events up to this are no longer in memory */
    struct event_id delivered;
    size_t bytes;            /* in memory */
    unsigned in_flight;      /* XADDs without answer */
    int64_t ttl_s;
    int64_t active_ms;       /* last event, or last ping */
    int64_t ended_ms;
    void (*on_unwatched)(void *arg);
    void *arg;
    bool is_ended;
    bool missed_redis; /* Redis lacks some events: all that are in memory are given to it again */
    int64_t save_again_ms; /* not before this, after Redis has refused */
    uint64_t connection;   /* to Redis, that the last ones were saved on */
    char id[37];
    char chat_id[37];
    char user_id[37];
};

struct channels {
    struct server *server;
    struct table by_id;
    struct list list;
    struct list readers;
    ev_timer sweep; /* runs only while there are channels */
    struct stream_text *ping;
};

enum { SWEEP_S = 1, SAVE_AGAIN_MS = 1000, REPLAY_PAGE = 256, REPLAY_QUEUE_MAX = STREAM_QUEUE_BYTES_MAX / 4 };

/* ---- ids ---- */

struct str event_id_text(char out[EVENT_ID_TEXT], struct event_id id)
{
    int n = snprintf(out, EVENT_ID_TEXT, "%" PRId64 "-%" PRId64, id.ms, id.n);

    return str_of(out, (size_t)n);
}

int event_id_parse(struct str text, struct event_id *id)
{
    struct str rest = text;
    struct str ms = str_cut(&rest, '-');

    *id = EVENT_ID_ZERO;
    if (str_to_i64(ms, &id->ms) < 0 || id->ms < 0)
        return -EINVAL;
    if (!str_is_none(rest) && (str_to_i64(rest, &id->n) < 0 || id->n < 0))
        return -EINVAL;
    return 0;
}

/* ---- frames ---- */

/* "done" and "error" carry their type only in Redis; other events carry it, where they have one, in both. */
static bool event_is_terminal(struct str event)
{
    return str_eq(event, STR("done")) || str_eq(event, STR("error"));
}

static struct str stream_key(struct arena *a, struct str channel_id)
{
    return arena_strf(a, "sinas:stream:" STR_FMT, STR_ARG(channel_id));
}

static struct stream_text *frame_new(struct event_id id, struct str event, struct str data)
{
    char id_text[EVENT_ID_TEXT];
    struct buf b;
    struct stream_text *frame;

    buf_init(&b);
    buf_add(&b, STR("id: "));
    buf_add(&b, event_id_text(id_text, id));
    buf_add(&b, STR("\r\nevent: "));
    buf_add(&b, event);
    buf_add(&b, STR("\r\ndata: "));
    buf_add(&b, data);
    buf_add(&b, STR("\r\n\r\n"));
    frame = stream_text_new(buf_str(&b));
    buf_fini(&b);
    return frame;
}

/* The frame of an entry that was read back from Redis. Sets *terminal. */
static struct stream_text *frame_of_entry(struct arena *a, struct event_id id, struct str entry, bool *terminal)
{
    static const char *const named[] = {"approval_required", "tool_start", "tool_end", "ping", "done", "error"};
    const struct json *root;
    struct json_error error;
    struct str event = STR("message");
    struct str data = entry;

    *terminal = false;
    if (json_parse(a, entry, &root, &error) < 0)
        return NULL; /* not ours */
    for (size_t i = 0; i < nelem(named); i++) {
        if (str_eq(json_get_text(root, STR("type")), str_from(named[i])))
            event = str_from(named[i]);
    }
    if (event_is_terminal(event)) {
        struct json_writer w;
        struct buf b;

        buf_init_arena(&b, a);
        json_write_init(&w, &b);
        json_object_begin(&w);
        json_each_member (m, root) {
            if (str_eq(json_text(json_key(m)), STR("type")))
                continue;
            json_key_write(&w, json_text(json_key(m)));
            json_write_value(&w, json_value(m));
        }
        json_object_end(&w);
        data = buf_str(&b);
        *terminal = true;
    } else if (str_eq(event, STR("ping"))) {
        data = STR("");
    }
    return frame_new(id, event, data);
}

static struct event *event_new(struct channel *ch, struct str event, struct str data)
{
    struct event *e = mem_zalloc(sizeof(*e));

    list_init(&e->link);
    e->channel = ch;
    e->id = ch->next;
    ch->next.n++;
    e->is_terminal = event_is_terminal(event);
    e->frame = frame_new(e->id, event, data);
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

static void channel_expire(struct channel *ch, struct str key)
{
    char seconds[24];
    int n = snprintf(seconds, sizeof(seconds), "%" PRId64, ch->ttl_s);
    struct str argv[] = {STR("EXPIRE"), key, str_of(seconds, (size_t)n)};

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
    list_each (e, &ch->events, struct event, link) {
        if (e->state != EVENT_NEW)
            continue;
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

static void on_subscriber_close(struct stream_sink *sink)
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
    s->sink.on_close = on_subscriber_close;
    return s;
}

static bool channel_is_finished(const struct channel *ch)
{
    return ch->is_ended &&
           (list_is_empty(&ch->events) ||
            list_entry(ch->events.prev, struct event, link)->state == EVENT_DELIVERED);
}

/* From here on the channel feeds the subscriber. */
static void channel_attach(struct channel *ch, struct subscriber *s)
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

static void subscribe_headers(struct req *r, struct str channel_id, bool is_resumable)
{
    reply_header(r, "X-Stream-Channel", channel_id);
    if (!is_resumable)
        reply_header(r, "X-Stream-Resume", STR("this-node-only"));
}

int channel_subscribe(struct req *r, struct channel *ch, struct event_id after)
{
    struct subscriber *s = subscriber_new(after);

    subscribe_headers(r, str_from(ch->id), channel_is_resumable(ch));
    if (stream_begin(r, &s->sink) < 0) {
        subscriber_free(s);
        channel_is_left(ch);
        return -ECANCELED;
    }
    channel_attach(ch, s);
    return 0;
}

/* ---- channels of other nodes, and finished ones: from Redis ---- */

int channel_binding_await(struct req *r, struct str id, struct str *chat_id)
{
    struct channel *ch = channel_find(r->server->channels, id);
    struct str argv[] = {STR("GET"), arena_strf(&r->arena, "sinas:stream:meta:" STR_FMT, STR_ARG(id))};
    struct redis_value answer;
    struct json_error error;
    const struct json *meta;
    int rc;

    *chat_id = STR_NONE;
    if (ch != NULL) {
        *chat_id = arena_str(&r->arena, channel_chat_id(ch));
        return 0;
    }
    rc = redis_await(r->server->redis, &r->arena, &answer, nelem(argv), argv);
    if (rc < 0)
        return rc;
    if (answer.type == REDIS_STRING && json_parse(&r->arena, answer.text, &meta, &error) == 0)
        *chat_id = json_get_text(meta, STR("chat_id"));
    return 0;
}

/* The value of the field "data" of an entry, given as name, value, …; STR_NONE when it has none. */
static struct str entry_data(const struct redis_value *fields)
{
    for (size_t i = 0; i + 1 < fields->count; i += 2) {
        if (str_eq(fields->items[i].text, STR("data")))
            return fields->items[i + 1].text;
    }
    return STR_NONE;
}

struct entry_visit {
    struct event_id last; /* in: start behind it. out: the last one seen */
    bool ended;           /* a terminal entry was seen; nothing behind it is visited */
    /* Negative stops. data is the entry's JSON; a of the page. */
    int (*visit)(void *arg, struct arena *a, struct event_id id, struct str data);
    void *arg;
};

static bool entry_is_terminal(struct arena *a, struct str data)
{
    const struct json *root;
    struct json_error error;

    return json_parse(a, data, &root, &error) == 0 && event_is_terminal(json_get_text(root, STR("type")));
}

/* One page of entries. Their number, or negative. */
static int visit_page_await(struct req *r, struct str key, struct entry_visit *v, struct arena *a)
{
    char from[EVENT_ID_TEXT + 1], count[16];
    struct redis_value answer;
    int count_n = snprintf(count, sizeof(count), "%d", REPLAY_PAGE);
    int rc;

    from[0] = '(';
    {
        struct str id = event_id_text(from + 1, v->last);
        struct str argv[] = {STR("XRANGE"), key, str_of(from, id.n + 1), STR("+"), STR("COUNT"),
                             str_of(count, (size_t)count_n)};

        rc = redis_await(r->server->redis, a, &answer, nelem(argv), argv);
    }
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < answer.count && !v->ended; i++) {
        const struct redis_value *entry = &answer.items[i];
        struct event_id id;
        struct str data;

        if (entry->count != 2 || event_id_parse(entry->items[0].text, &id) < 0)
            continue;
        v->last = id;
        data = entry_data(&entry->items[1]);
        if (str_is_none(data))
            continue;
        v->ended = entry_is_terminal(a, data);
        rc = v->visit(v->arg, a, id, data);
        if (rc < 0)
            return rc;
    }
    return (int)answer.count;
}

/* All entries behind v->last, page by page. 0, or negative. */
static int visit_entries_await(struct req *r, struct str channel_id, struct entry_visit *v)
{
    struct str key = stream_key(&r->arena, channel_id);
    int rc;

    do {
        struct arena page;

        arena_init(&page);
        rc = visit_page_await(r, key, v, &page);
        arena_fini(&page);
    } while (rc > 0 && !v->ended);
    return rc < 0 ? rc : 0;
}

/*
 * A client that is not fed by a channel in memory: first its request's task
 * sends what Redis has, then a follower sends what other nodes add.
 */
struct reader {
    struct subscriber base; /* first: it may become a plain subscriber */
    struct redis_follower *follower;
};

static int replay_entry(void *arg, struct arena *a, struct event_id id, struct str data)
{
    struct reader *reader = arg;
    struct stream_sink *sink = &reader->base.sink;
    bool terminal;
    struct stream_text *frame = frame_of_entry(a, id, data, &terminal);

    if (sink->conn == NULL)
        return -ECANCELED;
    if (frame == NULL)
        return 0;
    stream_send(sink, frame);
    stream_text_drop(frame);
    reader->base.last = id;
    while (stream_queued(sink) > REPLAY_QUEUE_MAX) { /* history at the pace of the client */
        if (task_sleep_await(20) < 0)
            return -ECANCELED;
    }
    return sink->conn == NULL ? -ECANCELED : 0;
}

static void reader_free(struct reader *reader)
{
    if (reader->follower != NULL)
        redis_follow_stop(reader->follower);
    list_remove(&reader->base.link);
    free(reader);
}

static void on_reader_close_in_task(struct stream_sink *sink UNUSED)
{
    /* The task sees that sink->conn is NULL and frees. */
}

static void on_reader_close(struct stream_sink *sink)
{
    reader_free(container_of(sink, struct reader, base.sink));
}

static void on_followed_entry(void *arg, struct str id_text, const struct redis_value *fields)
{
    struct reader *reader = arg;
    struct str data = entry_data(fields);
    struct event_id id;
    struct stream_text *frame;
    struct arena a;
    bool terminal = false;

    if (str_is_none(data) || event_id_parse(id_text, &id) < 0)
        return;
    arena_init(&a);
    frame = frame_of_entry(&a, id, data, &terminal);
    arena_fini(&a);
    if (frame == NULL)
        return;
    stream_send(&reader->base.sink, frame);
    stream_text_drop(frame);
    if (terminal) {
        stream_end(&reader->base.sink);
        reader_free(reader);
    }
}

/* Redis is gone: the client shall come back, by its last event id. */
static void on_follow_lost(void *arg)
{
    struct reader *reader = arg;

    reader->follower = NULL;
    stream_end(&reader->base.sink);
    reader_free(reader);
}

static void reader_follow(struct req *r, struct reader *reader, struct str id)
{
    char after[EVENT_ID_TEXT];

    reader->base.sink.on_close = on_reader_close;
    list_append(&r->server->channels->readers, &reader->base.link);
    reader->follower = redis_follow(r->server->redis, stream_key(&r->arena, id),
                                    event_id_text(after, reader->base.last), on_followed_entry, on_follow_lost, reader);
}

static int replay_start(struct req *r, struct str id, bool only_new, struct event_id *after)
{
    struct str argv[] = {STR("XREVRANGE"), stream_key(&r->arena, id), STR("+"), STR("-"), STR("COUNT"), STR("1")};
    struct redis_value answer;

    if (!only_new)
        return 0;
    if (redis_await(r->server->redis, &r->arena, &answer, nelem(argv), argv) < 0)
        return fail(r, 503, "Stream is unavailable");
    *after = EVENT_ID_ZERO;
    if (answer.count == 1 && answer.items[0].count == 2 &&
        event_id_parse(answer.items[0].items[0].text, after) < 0)
        *after = EVENT_ID_ZERO;
    return 0;
}

void channels_drain(struct channels *all)
{
    list_each (reader, &all->readers, struct reader, base.link) {
        stream_end(&reader->base.sink);
        reader_free(reader);
    }
}

/* Sends all that exists. 1: the channel goes on and the reader was handed over; 0: over. */
static int reader_run_await(struct req *r, struct reader *reader, struct str id,
                            int (*settle)(struct req *r, struct str channel_id))
{
    struct entry_visit v = {.last = reader->base.last, .visit = replay_entry, .arg = reader};

    for (;;) {
        struct channel *ch = channel_find(r->server->channels, id);
        int rc;

        if (ch != NULL && (!event_id_after(ch->dropped, reader->base.last) || !redis_is_up(r->server->redis))) {
            reader->base.sink.on_close = on_subscriber_close;
            channel_attach(ch, &reader->base);
            return 1;
        }
        if (visit_entries_await(r, id, &v) < 0 || v.ended || reader->base.sink.conn == NULL)
            return 0;
        if (channel_find(r->server->channels, id) != NULL)
            continue;
        rc = settle(r, id);
        if (rc < 0 || reader->base.sink.conn == NULL)
            return 0;
        if (rc == 1) {
            reader_follow(r, reader, id);
            return 1;
        }
    }
}

int channel_replay(struct req *r, struct str id, struct event_id after, bool only_new,
                   int (*settle)(struct req *r, struct str channel_id))
{
    struct channel *ch = channel_find(r->server->channels, id);
    struct reader *reader;

    if (ch != NULL && only_new)
        after = ch->delivered;
    else if (replay_start(r, id, only_new, &after) < 0)
        return -1;
    subscribe_headers(r, id, ch == NULL || channel_is_resumable(ch));
    reader = mem_zalloc(sizeof(*reader));
    list_init(&reader->base.link);
    reader->base.last = after;
    reader->base.sink.on_close = on_reader_close_in_task;
    if (stream_begin(r, &reader->base.sink) < 0) {
        reader_free(reader);
        return -ECANCELED;
    }
    if (r->head.method != HTTP_HEAD && reader_run_await(r, reader, id, settle) == 1)
        return 0;
    stream_end(&reader->base.sink);
    reader_free(reader);
    return 0;
}

/* ---- what a dead node left ---- */

static int skip_entry(void *arg UNUSED, struct arena *a UNUSED, struct event_id id UNUSED, struct str data UNUSED)
{
    return 0;
}

int channel_close_orphan_await(struct req *r, struct str id, const char *event, struct str data)
{
    struct entry_visit v = {.visit = skip_entry};
    struct str key = stream_key(&r->arena, id);
    char id_text[EVENT_ID_TEXT];
    struct event_id next;
    struct redis_value answer;
    struct str entry;
    int rc = visit_entries_await(r, id, &v);

    if (rc < 0)
        return rc;
    if (v.ended || (v.last.ms == 0 && v.last.n == 0))
        return 0;
    next = (struct event_id){clock_real_us() / 1000, 0};
    if (!event_id_after(next, v.last))
        next = (struct event_id){v.last.ms + 1, 0}; /* the dead node's clock was ahead */
    entry = arena_strf(&r->arena, "{\"type\":\"%s\"%s" STR_FMT, event, data.n > 2 ? "," : "",
                       STR_ARG(str_from_offset(data, 1)));
    {
        struct str argv[] = {STR("XADD"), key, event_id_text(id_text, next), STR("data"), entry};

        rc = redis_await(r->server->redis, &r->arena, &answer, nelem(argv), argv);
    }
    return rc == -EIO ? 0 : rc; /* somebody else appended in between: the same repair */
}

static int collect_text(void *arg, struct arena *a, struct event_id id UNUSED, struct str data)
{
    struct buf *text = arg;
    const struct json *root;
    struct json_error error;

    if (json_parse(a, data, &root, &error) < 0)
        return 0;
    if (str_eq(json_get_text(root, STR("type")), STR("tool_start")))
        buf_clear(text); /* what came before is stored with the round's calls */
    else if (str_is_none(json_get_text(root, STR("type"))) && !str_is_none(json_get_text(root, STR("content"))))
        buf_add(text, json_get_text(root, STR("content")));
    return 0;
}

int channel_orphan_text_await(struct req *r, struct str id, struct str *text)
{
    struct buf collected;
    struct entry_visit v = {.visit = collect_text, .arg = &collected};
    int rc;

    buf_init(&collected);
    rc = visit_entries_await(r, id, &v);
    *text = rc < 0 ? STR_NONE : arena_str(&r->arena, buf_str(&collected));
    buf_fini(&collected);
    return rc;
}
