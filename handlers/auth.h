/*
 * Who asks (spec 10 §2.2, §2.6, §3, §4.5): the credential of a request, its user
 * and what it may do.
 *
 * Grants are compiled once and cached per credential together with the
 * auth_epoch they were read at: any change to users, keys, roles, members or grants
 * raises that number in its own transaction. So a cached credential needs only the
 * number, and where nothing can happen before the answer (GET) that statement
 * travels with the handler's first read: r->confirm is set until it was awaited.
 *
 * An identity lives in the arena of the request that loaded it. What runs longer
 * keeps the two ids, not the identity: it loads its own, and so acts with the
 * grants of today.
 */
#ifndef HANDLERS_AUTH_H
#define HANDLERS_AUTH_H

#include "handlers/perm.h"
#include "req.h"

/*
 * Finds out who sent r and sets r->identity. 0, or -1 with the answer set (401, 429, 503).
 * may_defer leaves the check of cached grants to auth_confirm_await(); then nothing
 * that others could notice may happen before that.
 */
MUST_USE int auth_authenticate_await(struct req *r, bool may_defer);

/*
 * Settles a deferred check; 0 at once when none is open. -ESTALE: the grants have
 * changed or the credential is no longer valid; every later call says so too. Just return:
 * dispatch() starts the request again from its credential. Other failures have an answer set.
 */
MUST_USE int auth_confirm_await(struct req *r);

/* Of r->identity, which must be set. All texts live as long as r. */
struct str auth_user_id(const struct req *r); /* lower case */
struct str auth_user_email(const struct req *r);
struct str auth_api_key_id(const struct req *r); /* STR_NONE for a login */
struct perm_scope auth_scope(const struct req *r);

/* Whether r's identity holds the permission. */
bool auth_permits(struct req *r, struct str permission);
bool auth_permitsf(struct req *r, const char *format, ...) PRINTF_LIKE(2, 3);

/* fail(r, 403, "Permission denied: <permission>") unless it is held. */
MUST_USE int auth_require(struct req *r, struct str permission);

/* 401 with the header that belongs to it. Returns -1. */
int auth_refuse(struct req *r, const char *detail);

/*
 * The identity of a user, for work that acts in his name: an agent's turn, a schedule, a job.
 * api_key_id limits it to that key (STR_NONE: none). NULL when the user or the
 * key is no longer valid (fail 401 is set) or cannot be read (503). Set it as r->identity.
 */
struct identity *auth_identity_load_await(struct req *r, struct str user_id, struct str api_key_id);

/*
 * Makes r->identity current in long work: what a user lost since, he no longer has.
 * 0, or -1 with 401 or 503 as above.
 */
MUST_USE int auth_identity_refresh_await(struct req *r);

/*
 * An access token in a user's name (§2.2), for him and for work of our own; api_key_id limits it to
 * that key (STR_NONE: none). The ids must be UUIDs.
 */
struct str auth_token(struct arena *a, struct str user_id, struct str email, struct str api_key_id,
                      int64_t lifetime_s);

/* The cache of compiled grants: owned by struct app. */
struct auth_cache;
struct auth_cache *auth_cache_new(size_t entries_max);
void auth_cache_free(struct auth_cache *cache);

#endif
