/*
 * Agent turns (spec 20 §5, §8; design §4): from a user's message to the stored
 * answer. A turn is owned by its chat, not by a connection: it runs in a task
 * of its own, holds the chat's row in turns as a lock, appends its events to
 * a channel, and stores what the clients have seen before it says that it is
 * over.
 *
 * turn.c        start, lock, end, waiting, cancelling
 * turn_run.c    rounds: prompt, history, model, tools
 * turn_owner.c  this node's lease; ending the turns of dead reactors
 * turn_job.c    what the queue's readers see of it
 */
#ifndef HANDLERS_TURN_H
#define HANDLERS_TURN_H

#include "channel.h"
#include "handlers/content.h"
#include "handlers/record.h"

struct turns; /* all that run on this reactor */
struct turn;

struct turns *turns_new(struct server *s);
/* Starts ending what dead reactors left, and renewing the lease while turns run. */
void turns_start(struct turns *all);
/* SIGTERM: running turns may finish until their grace ends, then they are stopped. */
void turns_drain(struct turns *all);
void turns_free(struct turns *all);
unsigned turns_count(const struct turns *all);

struct turn_options {
    struct str chat_id;
    struct str user_id, api_key_id; /* who acts; STR_NONE: no key */
    const struct record *context;   /* a row of chat_context */
    const struct content *content;  /* the user's message */
    bool ends_unwatched;            /* stops when its last client leaves (§5) */
    bool keeps_long;                /* events live as long as those of keep-alive chats */
    int64_t timeout_s;
    int64_t lock_wait_ms; /* for the turn before it */
};

enum turn_end_kind { TURN_COMPLETED, TURN_FAILED, TURN_STOPPED };

struct turn_result {
    enum turn_end_kind kind;
    int status;         /* of the answer to whoever waited: 200, or what failed */
    struct str error;   /* when it is not 200 */
    struct str message; /* the last stored message as JSON; STR_NONE: none was stored */
    struct str reply;   /* its text */
    bool has_usage;
    int64_t prompt_tokens, completion_tokens, total_tokens;
};

/*
 * Starts a turn and waits until its user message is stored. 0 and the channel's
 * id in *channel_id, or -1 with the answer set (409 busy, 503). Everything in options is copied. When the
 * caller's client leaves meanwhile the turn runs on, unless it ends_unwatched.
 */
int turn_start_await(struct req *r, const struct turn_options *options, struct str *channel_id);

/* The same, and waits for its end. 0 and *result in r's arena, or -1. */
int turn_run_await(struct req *r, const struct turn_options *options, struct turn_result *result);

/* Stops the chat's turn if it runs here (its chat was archived or deleted). */
void turn_stop_chat(struct turns *all, struct str chat_id);

/* The Redis key of a turn's status record (20 §19); a turn's job id is the id of its channel. */
struct str turn_job_key(struct arena *a, struct str channel_id);

/*
 * For readers of a channel without terminal event that is not in memory (see
 * channel_replay): 1 when a living reactor still writes to it, 0 after its terminal event was appended.
 */
int turn_settle_channel(struct req *r, struct str channel_id);

#endif
