/*
 * Events as clients and Redis get them (spec 20 §4.2, §5): a frame with id,
 * name and data for the one, a JSON entry for the other. "done" and "error" carry their
 * type only in the entry; other events carry it, where they have one, in both.
 */
#ifndef REACTOR_CHANNEL_EVENT_H
#define REACTOR_CHANNEL_EVENT_H

#include "channel.h"

/* Whether a channel ends with an event of that name. */
bool event_is_terminal(struct str event);

/* The Redis key of a channel's entries. */
struct str event_stream_key(struct arena *a, struct str channel_id);

/* Held once, by the caller. */
struct stream_text *event_frame_new(struct event_id id, struct str event, struct str data);

/* The frame of an entry that was read back from Redis, and whether it ends its channel; NULL when it is none
 * of ours. */
struct stream_text *event_frame_of_entry(struct arena *a, struct event_id id, struct str entry,
                                         bool *terminal);

#endif
