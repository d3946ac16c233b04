/* Channels that are not in memory: of other nodes, finished ones, and those that a dead node left. From
 * Redis. */
#include "channel_state.h"

#include "base/clock.h"

enum { REPLAY_PAGE = 256, REPLAY_QUEUE_MAX = STREAM_QUEUE_BYTES_MAX / 4 };

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
        struct str argv[] = {STR("XRANGE"), key,          str_of(from, id.n + 1),
                             STR("+"),      STR("COUNT"), str_of(count, (size_t)count_n)};

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
    struct str key = event_stream_key(&r->arena, channel_id);
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
    struct stream_text *frame = event_frame_of_entry(a, id, data, &terminal);

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
    frame = event_frame_of_entry(&a, id, data, &terminal);
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
    reader->follower =
        redis_follow(r->server->redis, event_stream_key(&r->arena, id),
                     event_id_text(after, reader->base.last), on_followed_entry, on_follow_lost, reader);
}

static int replay_start(struct req *r, struct str id, bool only_new, struct event_id *after)
{
    struct str argv[] = {STR("XREVRANGE"), event_stream_key(&r->arena, id), STR("+"), STR("-"), STR("COUNT"),
                         STR("1")};
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

        if (ch != NULL &&
            (!event_id_after(ch->dropped, reader->base.last) || !redis_is_up(r->server->redis))) {
            reader->base.sink.on_close = channel_on_subscriber_close;
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
    channel_headers(r, id, ch == NULL || channel_is_resumable(ch));
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

static int skip_entry(void *arg UNUSED, struct arena *a UNUSED, struct event_id id UNUSED,
                      struct str data UNUSED)
{
    return 0;
}

int channel_close_orphan_await(struct req *r, struct str id, const char *event, struct str data)
{
    struct entry_visit v = {.visit = skip_entry};
    struct str key = event_stream_key(&r->arena, id);
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
    else if (str_is_none(json_get_text(root, STR("type"))) &&
             !str_is_none(json_get_text(root, STR("content"))))
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
