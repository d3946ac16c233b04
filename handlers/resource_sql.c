/*
 * The statements of a kind, from its descriptor. An answer is made with
 * row_to_json(), whose text is compact and leaves json columns as they are
 * stored. Parameters of columns have no declared type: PostgreSQL
 * takes the column's.
 *
 * An update sets a column to its parameter where its bit in the mask is 1. So there is one
 * statement per kind, not one per set of fields.
 */
#include "handlers/resource_sql.h"

enum {
    KINDS_MAX = 64,
    PARAMS_MAX = RESOURCE_COLUMNS_MAX + 16,
    OID_INFERRED = 0,
    OID_BOOL = 16,
    OID_BIGINT = 20,
    OID_INT = 23,
    OID_TEXT = 25,
    OID_TEXTS = 1009,
    OID_UUID = 2950
};

/* Made once, from constants. */
static struct {
    struct arena arena;
    struct {
        const struct resource *kind;
        const struct sql_stmt *stmts[RESOURCE_VERBS];
    } kinds[KINDS_MAX];
    size_t count;
} state;

/* A statement while it is written. */
struct draft {
    struct buf text;
    unsigned types[PARAMS_MAX];
    unsigned count;
};

static unsigned draft_param(struct draft *d, unsigned type)
{
    assert(d->count < PARAMS_MAX);
    d->types[d->count++] = type;
    return d->count;
}

bool resource_writes(const struct column *col, enum resource_verb verb)
{
    unsigned never =
        COL_READ_ONLY | COL_TRANSIENT | (verb == RESOURCE_CREATE ? COL_UPDATE_ONLY : COL_CREATE_ONLY);

    return (col->flags & never) == 0;
}

static const struct column *kind_column(const struct resource *k, const char *name)
{
    for (size_t i = 0; i < k->create.columns_count; i++) {
        if (strcmp(k->create.columns[i].name, name) == 0)
            return &k->create.columns[i];
    }
    return NULL;
}

bool resource_is_namespaced(const struct resource *kind)
{
    return kind_column(kind, "namespace") != NULL;
}

/* ---- pieces ---- */

static void add_answer_column(struct draft *d, const struct column *col)
{
    if (col->sql != NULL)
        buf_addf(&d->text, "%s as \"%s\"", col->sql, col->name);
    else if (col->type == COL_TIME)
        buf_addf(&d->text, "wire_ts(t.\"%s\") as \"%s\"", col->name, col->name);
    else
        buf_addf(&d->text, "t.\"%s\"", col->name);
}

/* (select row_to_json(x)::text from (select columns of t) x) */
static void add_row_json(struct draft *d, const struct resource *k, const char *from)
{
    const char *separator = "";

    buf_add(&d->text, STR("(select row_to_json(x)::text from (select "));
    for (size_t i = 0; i < k->create.columns_count; i++) {
        const struct column *col = &k->create.columns[i];

        if (col->flags & (COL_SECRET | COL_TRANSIENT))
            continue;
        buf_addf(&d->text, "%s", separator);
        add_answer_column(d, col);
        separator = ", ";
    }
    buf_addf(&d->text, "%s) x)", from);
}

/* $1 is the caller. */
static const char *mine_sql(const struct resource *k)
{
    return k->owned ? "coalesce(t.user_id = $1, false)" : "true";
}

static const char *visible_sql(const struct resource *k)
{
    return k->has_visibility ? "t.visibility <> 'private'" : "false";
}

/* $1 is the caller, $2 his enum perm_reach. */
static void add_allowed(struct draft *d, const struct resource *k, bool is_reading)
{
    buf_addf(&d->text, "($2 = %d or ($2 = %d and (%s or %s)))", PERM_ALL, PERM_OWN, mine_sql(k),
             is_reading ? visible_sql(k) : "false");
}

static void add_key_condition(struct draft *d, const struct resource *k)
{
    unsigned first;

    switch (k->key) {
    case KEY_NS_NAME:
        first = draft_param(d, OID_TEXT);
        buf_addf(&d->text, "t.namespace = $%u and t.name = $%u", first, draft_param(d, OID_TEXT));
        break;
    case KEY_NAME:
        buf_addf(&d->text, "t.name = $%u", draft_param(d, OID_TEXT));
        break;
    case KEY_ID:
        buf_addf(&d->text, "t.id = $%u", draft_param(d, OID_UUID));
        break;
    case KEY_NAME_OR_ID:
        first = draft_param(d, OID_TEXT);
        buf_addf(&d->text,
                 "t.id = (select k.id from %s k where k.name = $%u or k.id = $%u order by k.name = $%u desc "
                 "limit 1)",
                 k->table, first, draft_param(d, OID_UUID), first);
        break;
    }
    if (k->inactive == INACTIVE_GONE)
        buf_add(&d->text, STR(" and t.is_active"));
}

/* with found as (select id, is_allowed …): what a writing statement starts with. $1 and $2 as above. */
static void add_found(struct draft *d, const struct resource *k)
{
    draft_param(d, OID_UUID);
    draft_param(d, OID_INT);
    buf_add(&d->text, STR("with found as (select t.id, "));
    add_allowed(d, k, false);
    buf_addf(&d->text, " as is_allowed from %s t where ", k->table);
}

/* ---- statements ---- */

/* The flag leaves the row that has it, in the statement that gives it to another. */
static void add_cleared(struct draft *d, const struct resource *k, unsigned takes, bool from_found)
{
    if (k->exclusive == NULL)
        return;
    buf_addf(&d->text,
             "cleared as (update %s t set \"%s\" = false, updated_at = now()%s where $%u and t.\"%s\"%s), ",
             k->table, k->exclusive, from_found ? " from found" : "", takes, k->exclusive,
             from_found ? " and found.is_allowed and t.id <> found.id" : "");
}

static void draft_create(struct draft *d, const struct resource *k)
{
    struct buf values;
    unsigned user = draft_param(d, OID_UUID), takes = draft_param(d, OID_BOOL);

    buf_init_arena(&values, &state.arena);
    buf_add(&d->text, STR("with "));
    add_cleared(d, k, takes, false);
    buf_addf(&d->text, "t as (insert into %s (", k->table);
    for (size_t i = 0; i < k->create.columns_count; i++) {
        const struct column *col = &k->create.columns[i];

        if (!resource_writes(col, RESOURCE_CREATE))
            continue;
        buf_addf(&d->text, "\"%s\", ", col->name);
        buf_addf(&values, "$%u, ", draft_param(d, OID_INFERRED));
    }
    if (k->owned) {
        buf_add(&d->text, STR("user_id, "));
        buf_addf(&values, "$%u, ", user);
    }
    buf_addf(&d->text, "created_at, updated_at) values (" STR_FMT "now(), now()) returning *) select ",
             STR_ARG(buf_str(&values)));
    add_row_json(d, k, "");
    buf_add(&d->text, STR(" as json from t"));
}

static void draft_get(struct draft *d, const struct resource *k, bool by_key)
{
    draft_param(d, OID_UUID);
    draft_param(d, OID_INT);
    buf_add(&d->text, STR("select "));
    add_allowed(d, k, true);
    buf_add(&d->text, STR(" as is_allowed, case when "));
    add_allowed(d, k, true);
    buf_add(&d->text, STR(" then "));
    add_row_json(d, k, "");
    buf_addf(&d->text, " end as json from %s t where ", k->table);
    if (by_key)
        add_key_condition(d, k);
    else
        buf_addf(&d->text, "t.\"%s\"%s", k->exclusive,
                 k->inactive == INACTIVE_GONE ? " and t.is_active" : "");
}

/* What has been detached from its package is nobody's; what a config document declares will be restored by
 * the next apply. */
static void add_detach(struct draft *d)
{
    buf_add(&d->text,
            STR(", managed_by = case when t.managed_by like 'pkg:%' then null else t.managed_by end"
                ", config_name = case when t.managed_by like 'pkg:%' then null else t.config_name end"
                ", config_checksum = null"));
}

static void draft_update(struct draft *d, const struct resource *k)
{
    unsigned takes, mask;

    add_found(d, k);
    takes = draft_param(d, OID_BOOL);
    mask = draft_param(d, OID_BIGINT);
    add_key_condition(d, k);
    buf_add(&d->text, STR("), "));
    add_cleared(d, k, takes, true);
    buf_addf(&d->text, "changed as (update %s t set updated_at = now()", k->table);
    for (size_t i = 0; i < k->update.columns_count; i++) {
        const char *name = k->update.columns[i].name;

        if (resource_writes(&k->update.columns[i], RESOURCE_UPDATE))
            buf_addf(&d->text, ", \"%s\" = case when $%u & %" PRIu64 " <> 0 then $%u else t.\"%s\" end", name,
                     mask, UINT64_C(1) << i, draft_param(d, OID_INFERRED), name);
    }
    if (k->packaged)
        add_detach(d);
    buf_add(&d->text,
            STR(" from found where t.id = found.id and found.is_allowed returning t.*) select is_allowed, "));
    add_row_json(d, k, " from changed t");
    buf_add(&d->text, STR(" as json from found"));
}

static void draft_delete(struct draft *d, const struct resource *k)
{
    add_found(d, k);
    add_key_condition(d, k);
    buf_add(&d->text, STR("), gone as ("));
    if (k->soft_delete) {
        buf_addf(&d->text, "update %s t set is_active = false, updated_at = now()", k->table);
        if (k->exclusive != NULL)
            buf_addf(&d->text, ", \"%s\" = false", k->exclusive);
        buf_add(&d->text, STR(" from found"));
    } else {
        buf_addf(&d->text, "delete from %s t using found", k->table);
    }
    buf_add(&d->text, STR(" where t.id = found.id and found.is_allowed returning t.id) "
                          "select is_allowed, exists (select from gone) as is_gone from found"));
}

static void add_list_filters(struct draft *d, const struct resource *k, unsigned space, unsigned inactive_too)
{
    if (k->list.columns_count >= LIST_BY_NAMESPACE)
        buf_addf(&d->text, " and ($%u is null or t.namespace = $%u)", space, space);
    if (k->inactive == INACTIVE_GONE)
        buf_add(&d->text, STR(" and t.is_active"));
    if (k->inactive == INACTIVE_UNLISTED)
        buf_addf(&d->text, " and (t.is_active or $%u)", inactive_too);
}

static void draft_list(struct draft *d, const struct resource *k)
{
    bool has_path = resource_is_namespaced(k);
    unsigned spaces, names, skip, limit, space, inactive_too;

    draft_param(d, OID_UUID);
    draft_param(d, OID_INT);
    spaces = draft_param(d, OID_TEXTS);
    names = draft_param(d, OID_TEXTS);
    skip = draft_param(d, OID_BIGINT);
    limit = draft_param(d, OID_BIGINT);
    space = draft_param(d, OID_TEXT);
    inactive_too = draft_param(d, OID_BOOL);
    buf_add(&d->text, STR("select "));
    add_row_json(d, k, "");
    buf_addf(&d->text, " as json, %s as space, %s as name, %s as is_mine, %s as is_visible from %s t where (",
             has_path ? "t.namespace" : "null::text", has_path ? "t.name" : "null::text", mine_sql(k),
             visible_sql(k), k->table);
    add_allowed(d, k, true);
    if (has_path)
        buf_addf(&d->text,
                 " or exists (select from unnest($%u, $%u) as granted (space, name) "
                 "where granted.space in ('*', t.namespace) and granted.name in ('*', t.name))",
                 spaces, names);
    buf_add(&d->text, STR(")"));
    add_list_filters(d, k, space, inactive_too);
    buf_addf(&d->text, " order by %s offset $%u limit $%u",
             k->order != NULL ? k->order : "t.created_at, t.id", skip, limit);
}

static bool draft_verb(struct draft *d, const struct resource *k, enum resource_verb verb)
{
    switch (verb) {
    case RESOURCE_CREATE:
        draft_create(d, k);
        return true;
    case RESOURCE_LIST:
        draft_list(d, k);
        return true;
    case RESOURCE_GET:
        draft_get(d, k, true);
        return true;
    case RESOURCE_UPDATE:
        draft_update(d, k);
        return true;
    case RESOURCE_DELETE:
        draft_delete(d, k);
        return true;
    case RESOURCE_GET_EXCLUSIVE:
        if (k->exclusive == NULL)
            return false;
        draft_get(d, k, false);
        return true;
    case RESOURCE_VERBS:
        break;
    }
    return false;
}

static const struct sql_stmt *stmt_make(const struct resource *k, enum resource_verb verb)
{
    static const char *const verbs[RESOURCE_VERBS] = {"create", "list",   "get",
                                                      "update", "delete", "get_exclusive"};
    struct draft *d = arena_zalloc(&state.arena, sizeof(*d));
    struct sql_stmt *s = arena_alloc(&state.arena, sizeof(*s));

    assert(k->create.columns_count <= RESOURCE_COLUMNS_MAX);
    buf_init_arena(&d->text, &state.arena);
    if (!draft_verb(d, k, verb))
        return NULL;
    *s = (struct sql_stmt){
        .name = arena_printf(&state.arena, "%s.%s", k->table, verbs[verb]),
        .text = arena_cstr(&state.arena, buf_str(&d->text)),
        .lane = verb == RESOURCE_GET || verb == RESOURCE_LIST || verb == RESOURCE_GET_EXCLUSIVE ? SQL_READ
                                                                                                : SQL_WRITE,
        .params_count = d->count,
        .param_types = d->types,
    };
    return s;
}

const struct sql_stmt *resource_stmt(const struct resource *kind, enum resource_verb verb)
{
    size_t i = 0;

    if (state.count == 0)
        arena_init(&state.arena);
    while (i < state.count && state.kinds[i].kind != kind)
        i++;
    if (i == state.count) {
        assert(i < KINDS_MAX);
        state.kinds[i].kind = kind;
        state.count++;
    }
    if (state.kinds[i].stmts[verb] == NULL)
        state.kinds[i].stmts[verb] = stmt_make(kind, verb);
    return state.kinds[i].stmts[verb];
}
