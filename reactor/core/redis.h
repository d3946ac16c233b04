/*
 * Redis: one connection for commands, pipelined (all that one turn issues goes
 * out in one write), one for following streams of other nodes (XREAD BLOCK).
 * Redis holds what may be lost or rebuilt, so nobody waits long for it: while
 * it is away calls answer -ENOTCONN at once and it is tried again in the background
 * (first after 50 ms, then up to once a second).
 */
#ifndef CORE_REDIS_H
#define CORE_REDIS_H

#include "base/arena.h"
#include "core/task.h"

struct redis;

enum redis_type { REDIS_NIL, REDIS_STATUS, REDIS_ERROR, REDIS_INTEGER, REDIS_STRING, REDIS_ARRAY };

struct redis_value {
    enum redis_type type;
    int64_t integer;
    struct str text;                 /* STATUS, ERROR, STRING */
    const struct redis_value *items; /* ARRAY */
    size_t count;
};

/* redis://[user[:password]@]host[:port][/db] or unix:///path[?db=n]. */
struct redis *redis_open(struct loop *l, struct str url);
void redis_close(struct redis *rd);
bool redis_is_up(const struct redis *rd);
/* How often a connection came up: when it changes, Redis may have lost what it held. */
uint64_t redis_connections(const struct redis *rd);
MUST_USE int redis_ready_await(struct redis *rd, int64_t timeout_ms);

/*
 * One command; arguments are binary safe. 0 and the answer in the arena, or
 * -ENOTCONN (none, or lost under way), -ETIMEDOUT (1 s), -ECANCELED, -EIO (an error answer: logged once
 * per kind and second; the value holds its text; out of memory is -ENOSPC).
 */
MUST_USE int redis_await(struct redis *rd, struct arena *a, struct redis_value *answer, int argc,
                         const struct str *argv);

/*
 * The same for the engine: done(arg, rc, answer) is called later, never from
 * inside redis_send(), and exactly once, also when the connection is lost. The answer is
 * valid during the call.
 */
typedef void (*redis_done_fn)(void *arg, int rc, const struct redis_value *answer);
void redis_send(struct redis *rd, int argc, const struct str *argv, redis_done_fn done, void *arg);

/*
 * Follows a stream from after the entry id ("0-0": from its start) with XREAD
 * BLOCK on the second connection, for any number of streams at once. on_entry is
 * called per entry in order; fields is the flat array name, value, …; lost(arg) once when the connection
 * broke (the follower is stopped then). redis_follow_stop() may be called from on_entry.
 */
struct redis_follower;
struct redis_follower *redis_follow(struct redis *rd, struct str key, struct str after_id,
                                    void (*on_entry)(void *arg, struct str id,
                                                     const struct redis_value *fields),
                                    void (*lost)(void *arg), void *arg);
void redis_follow_stop(struct redis_follower *f);

#endif
