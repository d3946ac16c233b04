/*
 * Stream channels: the events of one agent turn, with rising ids, replayable
 * (spec 20 §4, §5). Whoever runs the turn appends; any number of clients
 * subscribe, on any node.
 *
 * Append, then send: the events of one loop turn go to Redis in one batch of
 * XADD and to the clients after its acknowledgement, so a client never holds an
 * id that Redis has not. Without Redis events are delivered from memory, and
 * what Redis has missed is given to it when it returns.
 *
 * A channel lives in memory from channel_open() until CHANNEL_LINGER_MS after
 * its terminal event; afterwards, and on other nodes, it is read from Redis.
 */
#ifndef REACTOR_CHANNEL_H
#define REACTOR_CHANNEL_H

#include "server.h"
#include "stream.h"

enum {
    CHANNEL_MEMORY_MAX = 1 << 20,  /* of events kept per channel while Redis has them too */
    CHANNEL_UNSAVED_MAX = 8 << 20, /* the same when Redis has not */
    CHANNEL_LINGER_MS = 30000,
    CHANNEL_PING_MS = 15000, /* of silence, then clients get a ping */
    CHANNEL_TTL_S = 3600,    /* of the Redis stream, from its last event */
    CHANNEL_TTL_KEEP_ALIVE_S = 86400
};

/* <ms>-<n>; ordered. */
struct event_id {
    int64_t ms;
    int64_t n;
};

#define EVENT_ID_ZERO ((struct event_id){0, 0})
enum { EVENT_ID_TEXT = 48 };
struct str event_id_text(char out[EVENT_ID_TEXT], struct event_id id);
/* "0", "<ms>" or "<ms>-<n>"; -EINVAL otherwise. "$" is the caller's business. */
MUST_USE int event_id_parse(struct str text, struct event_id *id);
static inline bool event_id_after(struct event_id a, struct event_id b)
{
    return a.ms > b.ms || (a.ms == b.ms && a.n > b.n);
}

struct channel;
struct channels;

struct channels *channels_new(struct server *s);
void channels_free(struct channels *all);
/* SIGTERM: clients that follow channels of other nodes are sent away and come back, by their last event id.
 */
void channels_drain(struct channels *all);

struct channel_options {
    struct str id, chat_id, user_id;
    int64_t ttl_s;
    /* The last client has left a channel that is not at its end; may be NULL. */
    void (*on_unwatched)(void *arg);
    void *arg;
};

/* Valid until channel_end(). Writes the binding (chat, user) to Redis. */
struct channel *channel_open(struct channels *all, const struct channel_options *options);

/* One event. data is the JSON that clients get, one line. event is a literal: "message", "tool_start", … */
void channel_append(struct channel *ch, const char *event, struct str data);

/* The terminal event ("done" or "error"); the caller lets go of the channel. */
void channel_end(struct channel *ch, const char *event, struct str data);

/* The channel by id while it is in memory, or NULL. */
struct channel *channel_find(struct channels *all, struct str id);
struct str channel_chat_id(const struct channel *ch);
bool channel_is_resumable(const struct channel *ch); /* Redis has what was appended so far */

/* Answers r with the channel's events after the id, then follows it to its end. For a channel in memory. */
int channel_subscribe(struct req *r, struct channel *ch, struct event_id after);

/*
 * The chat a channel of any node belongs to (STR_NONE: unknown or expired), by
 * its binding in memory or Redis. 0, -ENOTCONN or -ECANCELED.
 */
MUST_USE int channel_binding_await(struct req *r, struct str id, struct str *chat_id);

/*
 * Answers r with the events of any channel after the id; only_new starts behind
 * the last event there is. settle is asked, in the request's task, when Redis holds no terminal event and
 * the channel is not in memory: it answers whether a turn still writes to it (1), or 0 after it has appended
 * the missing terminal event, or negative.
 */
int channel_replay(struct req *r, struct str id, struct event_id after, bool only_new,
                   int (*settle)(struct req *r, struct str channel_id));

/*
 * Appends a terminal event to a channel of a dead node, behind all it has,
 * unless it has one. 0 also when Redis has forgotten the channel.
 */
MUST_USE int channel_close_orphan_await(struct req *r, struct str id, const char *event, struct str data);

/*
 * The text that clients have seen since the last tool round of a dead node's
 * channel: what its turn had not stored (in the request's arena).
 */
MUST_USE int channel_orphan_text_await(struct req *r, struct str id, struct str *text);

#endif
