/*
 * Resource kinds: a kind is one descriptor (style 9, design §3), and the five
 * verbs are written once. Validation, SQL, permissions (spec 10 §4.6), paging, duplicates,
 * soft deletion and detach-on-edit (spec 40 §0) all read the same table of
 * columns; what differs is a hook.
 *
 * Every verb is one PostgreSQL statement, made from the descriptor, that answers
 * with finished JSON. The caller's reach is one of its parameters where it is known from the path,
 * so that a row he may not see is never loaded.
 */
#ifndef HANDLERS_RESOURCE_H
#define HANDLERS_RESOURCE_H

#include "handlers/fields.h"
#include "handlers/perm.h"

enum resource_key {
    KEY_NS_NAME = 1, /* {namespace}/{name} */
    KEY_NAME,        /* {name} */
    KEY_ID,          /* {id} */
    KEY_NAME_OR_ID   /* {name}, which may also be an id; the name wins */
};

/* A constraint of the schema that a request can violate, and the answer to it. */
struct violation {
    const char *constraint;
    int status; /* 422 is reported at the field */
    const char *field;
    const char *text;
};

/* What is_active means for the verbs of a kind. */
enum resource_inactive {
    INACTIVE_LISTED,   /* nothing; also for kinds without that column */
    INACTIVE_UNLISTED, /* found by key; listed with ?include_inactive=true */
    INACTIVE_GONE      /* as if deleted */
};

struct resource {
    const char *noun; /* "Skill": "Skill not found" */
    const char *table;
    const char *permission; /* "sinas.skills" */
    enum resource_key key;
    bool is_fixed;       /* the routes check fixed permissions; rows have no rule of their own */
    bool owned;          /* has user_id: the creator owns the row */
    bool packaged;       /* has managed_by, config_name, config_checksum */
    bool has_visibility; /* spec 10 §4.6: rows that are not private can be read with :own */
    bool soft_delete;    /* DELETE clears is_active (and the exclusive column) */
    enum resource_inactive inactive;
    const char *
        exclusive; /* a bool column that one row at most has true, by a constraint at the end of statements */
    const char *order;     /* of the list; NULL: created_at, id */
    const char *duplicate; /* "<duplicate> '<key>' already exists"; NULL: the noun */
    const struct violation *violations;
    size_t violations_count;
    struct body create, update, list; /* see RESOURCE_BODIES, RESOURCE_LIST_TAKES */
    /* Looks at or changes the values before they are written. 0, or -1 with the answer set. */
    int (*before_write)(struct req *r, struct values *v);
    /* The answer from the row's JSON, for what PostgreSQL cannot compute. */
    struct str (*render)(struct req *r, struct str json);
};

/* What a list takes in its query, each with what stands above: how many of resource_list_columns. */
enum resource_list {
    LIST_PAGED = 2,        /* skip, limit */
    LIST_BY_NAMESPACE = 3, /* namespace */
    LIST_INACTIVE_TOO = 4  /* include_inactive */
};
extern const struct column resource_list_columns[LIST_INACTIVE_TOO];

/* The kind's one table is what may be created and updated. */
#define RESOURCE_BODIES(schema_name, table)                                                                  \
    .create = BODY(schema_name "Create", table), .update = BODY_UPDATE(schema_name "Update", table)
#define RESOURCE_LIST_TAKES(schema_name, count)                                                              \
    .list = {.name = schema_name "List", .columns = resource_list_columns, .columns_count = (count)}

/* The kinds, for the tests and for everything that walks over them. */
extern const struct resource *const resources[];
extern const size_t resources_count;

/* ---- the verbs; r->route->data is the descriptor ---- */
int resource_create(struct req *r);
int resource_list(struct req *r);
int resource_get(struct req *r);
int resource_update(struct req *r);
int resource_delete(struct req *r);
/* The row whose exclusive column is true, under the rule of get. */
int resource_get_exclusive(struct req *r);

#define RESOURCE_DECLARE(kind) extern const struct resource kind##_resource

/* ---- the statements (resource_sql.c) ---- */

enum resource_verb {
    RESOURCE_CREATE,
    RESOURCE_LIST,
    RESOURCE_GET,
    RESOURCE_UPDATE,
    RESOURCE_DELETE,
    RESOURCE_GET_EXCLUSIVE,
    RESOURCE_VERBS
};

/* Made at the first call, kept for the life of the process. NULL: the kind has no exclusive column. */
const struct sql_stmt *resource_stmt(const struct resource *kind, enum resource_verb verb);

#endif
