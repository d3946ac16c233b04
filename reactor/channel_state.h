/* The inside of a channel, for channel.c (in memory) and channel_replay.c (from Redis) only. */
#ifndef REACTOR_CHANNEL_STATE_H
#define REACTOR_CHANNEL_STATE_H

#include "base/table.h"
#include "channel_event.h"

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
    struct list events; /* oldest first */
    struct list subscribers;
    struct event_id next;
    struct event_id dropped; /* events up to this are no longer in memory */
    struct event_id delivered;
    size_t bytes;       /* in memory */
    unsigned in_flight; /* XADDs without answer */
    int64_t ttl_s;
    int64_t active_ms; /* last event, or last ping */
    int64_t ended_ms;
    int64_t expiry_ms; /* when Redis was last told how long to keep the events; 0 never */
    void (*on_unwatched)(void *arg);
    void *arg;
    bool is_ended;
    bool missed_redis;     /* Redis lacks some events: all that are in memory are given to it again */
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

/* From here on the channel feeds the subscriber, and frees it (with free()) at its end. */
void channel_attach(struct channel *ch, struct subscriber *s);
/* The sink's on_close of an attached subscriber. */
void channel_on_subscriber_close(struct stream_sink *sink);
/* The headers of spec 20 §5 for r's answer. */
void channel_headers(struct req *r, struct str channel_id, bool is_resumable);

#endif
