/*
 * Permissions (spec 10 §4): the grammar, the matcher, API keys limited by their
 * owner's roles, and the rule for rows. Pure: grants are loaded elsewhere.
 *
 * A perm_set is built once per user or key, in the arena of whoever caches it, and
 * is not changed afterwards.
 */
#ifndef HANDLERS_PERM_H
#define HANDLERS_PERM_H

#include "base/buf.h"

enum { PERM_LENGTH_MAX = 255 }; /* characters of a permission that may be stored */

/*
 * Whether s is of the grammar of §4.1, for keys that are about to be stored. A requirement may be
 * longer than a grant (a namespace and a name have 255 characters each), and is never refused for it.
 */
bool perm_is_valid(struct str s);

struct perm_set;

/* The grants whose value is true; false entries never deny, so leave them out. The texts are copied. */
struct perm_set *perm_set_new(struct arena *a, const struct str *granted, size_t granted_count);

/* Whether some grant of the set covers the requirement (§4.2, §4.3). */
bool perm_set_has(const struct perm_set *set, struct str required);

/* The grants again, for listing: the i-th, or STR_NONE. */
struct str perm_set_at(const struct perm_set *set, size_t i);

/* What a credential may do: key is NULL for a login, else both must grant (§4.5). */
struct perm_scope {
    const struct perm_set *user, *key;
};

bool perm_has(const struct perm_scope *scope, struct str required);
bool perm_hasf(const struct perm_scope *scope, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * Whether every one of the requested grants is held, for creating API keys (§4.5). Those that are
 * not are appended to violations, ", " in between, when violations is not NULL.
 */
bool perm_covers(const struct perm_scope *scope, const struct str *requested, size_t requested_count,
                 struct buf *violations);

/* How far a scope reaches for one action on one name. */
enum perm_reach { PERM_NONE, PERM_OWN, PERM_ALL };

/* A row of a kind, as far as §4.6 asks. Use STR_NONE for what it has not. */
struct perm_target {
    struct str kind;        /* "agents" */
    struct str space, name; /* its path: both for namespaced kinds, space alone for states */
    bool is_owner;          /* the caller owns the row */
    bool has_owner;         /* the kind has an owner column */
    bool is_visible;        /* the kind has a visibility and the row is not private */
};

/*
 * With space and name "*" this asks for every row of the kind: whoever gets PERM_ALL there needs
 * no check per row, which is what lists put into their SQL.
 */
enum perm_reach perm_reach(const struct perm_scope *scope, const struct perm_target *target,
                           struct str action);
/* The rule of §4.6 for get, update, delete and the kinds' own actions. */
bool perm_row(const struct perm_scope *scope, const struct perm_target *target, struct str action);
/* §4.6, create: path-less or for the new row's own name; the kind, space and name of target count. */
bool perm_create(const struct perm_scope *scope, const struct perm_target *target);

/* A requirement's text, in the arena: sinas.KIND[/space[/name]].ACTION:SCOPE. */
struct str perm_text(struct arena *a, const struct perm_target *target, struct str action, struct str scope);

#endif
