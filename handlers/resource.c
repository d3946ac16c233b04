/*
 * The five verbs. Each finds out how far the caller's permissions reach for the row's path, runs the one
 * statement of the kind and verb, and answers with the JSON it returns. Lists are in resource_list.c.
 */
#include "handlers/resource.h"

#include "base/conf.h"
#include "base/log.h"
#include "base/uuid.h"
#include "handlers/auth.h"
#include "handlers/resource_sql.h"
#include "sql.h"

enum { WRITE_ATTEMPTS = 3 }; /* after a deadlock or a serialization failure */

/* A statement's parameters, in their order. */
struct params {
    struct str values[RESOURCE_COLUMNS_MAX + 16];
    size_t count;
};

static const struct resource *kind_of(const struct req *r)
{
    return r->route->data;
}

static void params_add(struct params *p, struct str value)
{
    assert(p->count < nelem(p->values));
    p->values[p->count++] = value;
}

static void params_add_i64(struct req *r, struct params *p, int64_t n)
{
    params_add(p, arena_strf(&r->arena, "%" PRId64, n));
}

static struct params *params_new(struct req *r)
{
    struct params *p = arena_zalloc(&r->arena, sizeof(*p));

    params_add(p, auth_user_id(r));
    return p;
}

/* ---- whose row ---- */

/* The text of a path parameter that is a UUID; STR_NONE, which no row has, when it is none. */
static struct str uuid_or_none(struct req *r, struct str text)
{
    struct uuid u;

    return uuid_parse(text, &u, NULL) == 0 ? uuid_text(&r->arena, &u) : STR_NONE;
}

static void params_add_key(struct req *r, struct params *p)
{
    struct str first = r->match.params[0];

    switch (kind_of(r)->key) {
    case KEY_NS_NAME:
        params_add(p, first);
        params_add(p, r->match.params[1]);
        break;
    case KEY_NAME:
        params_add(p, first);
        break;
    case KEY_ID:
        params_add(p, uuid_or_none(r, first));
        break;
    case KEY_NAME_OR_ID:
        params_add(p, first);
        params_add(p, uuid_or_none(r, first));
        break;
    }
}

static struct perm_target target_of(const struct resource *k, struct str space, struct str name)
{
    return (struct perm_target){
        .kind = str_from_offset(str_from(k->permission), strlen("sinas.")),
        .space = space,
        .name = name,
        .has_owner = k->owned,
    };
}

static bool reach_has(struct req *r, const struct perm_target *target, const char *action, const char *scope)
{
    return auth_permits(r, perm_text(&r->arena, target, str_from(action), str_from(scope)));
}

static enum perm_reach reach_at(struct req *r, const struct resource *k, struct str space, struct str name,
                                const char *action)
{
    struct perm_target target = target_of(k, space, name);

    if (k->is_fixed || reach_has(r, &target, action, "all"))
        return PERM_ALL;
    return reach_has(r, &target, action, "own") ? PERM_OWN : PERM_NONE;
}

/* How far the caller reaches for the row that the path names. */
static enum perm_reach reach_of_path(struct req *r, const char *action)
{
    const struct resource *k = kind_of(r);

    if (k->key == KEY_NS_NAME)
        return reach_at(r, k, r->match.params[0], r->match.params[1], action);
    assert(k->is_fixed || !resource_is_namespaced(k));
    return reach_at(r, k, STR_NONE, STR_NONE, action);
}

/* A row that moves needs the permission where it goes as well: else one grant would open every name. */
static enum perm_reach reach_of_update(struct req *r, const struct values *v)
{
    const struct resource *k = kind_of(r);
    enum perm_reach here = reach_of_path(r, "update"), there;
    struct str space, name;

    if (k->key != KEY_NS_NAME || here == PERM_NONE)
        return here;
    space = values_find(v, "namespace")->is_given ? values_find(v, "namespace")->text : r->match.params[0];
    name = values_find(v, "name")->is_given ? values_find(v, "name")->text : r->match.params[1];
    if (str_eq(space, r->match.params[0]) && str_eq(name, r->match.params[1]))
        return here;
    there = reach_at(r, k, space, name, "update");
    return there < here ? there : here;
}

/* ---- answers ---- */

static int fail_absent(struct req *r)
{
    return fail(r, 404, "%s not found", kind_of(r)->noun);
}

static int fail_refused(struct req *r, const char *action)
{
    return fail(r, 403, "Not authorized to %s this resource", action);
}

static struct str value_or(const struct values *v, const char *name, struct str otherwise)
{
    const struct value *value = values_find(v, name);

    return value != NULL && value->is_set ? value->text : otherwise;
}

/* The key that is already taken: what the body asks for, else what the path says. */
static int fail_taken(struct req *r)
{
    const struct resource *k = kind_of(r);
    bool has_path = r->match.params_count != 0;
    struct str name =
        value_or(r->fields, "name", has_path ? r->match.params[r->match.params_count - 1] : STR(""));
    const char *what = k->duplicate != NULL ? k->duplicate : k->noun;

    if (k->key == KEY_NS_NAME) {
        struct str space = value_or(r->fields, "namespace", has_path ? r->match.params[0] : STR(""));

        return fail(r, 400, "%s '" STR_FMT "/" STR_FMT "' already exists", what, STR_ARG(space),
                    STR_ARG(name));
    }
    return fail(r, 400, "%s '" STR_FMT "' already exists", what, STR_ARG(name));
}

static int fail_violation(struct req *r, int rc, struct str constraint)
{
    const struct resource *k = kind_of(r);

    for (size_t i = 0; i < k->violations_count; i++) {
        const struct violation *v = &k->violations[i];

        if (!str_eq(constraint, str_from(v->constraint)))
            continue;
        return v->status == 422 ? fail_field(r, v->field, v->text) : fail(r, v->status, "%s", v->text);
    }
    if (rc == -EEXIST && r->fields != NULL)
        return fail_taken(r);
    log_error("resource", "%s: constraint " STR_FMT " has no answer", k->table, STR_ARG(constraint));
    return fail(r, 500, "Internal Server Error");
}

/* Whether the row is to take the kind's exclusive flag from whoever has it. */
static bool takes_exclusive(const struct resource *k, const struct values *v)
{
    return k->exclusive != NULL && str_eq(values_find(v, k->exclusive)->text, STR("t"));
}

/*
 * Two that take the flag at once would each wait for the row of the other, or both see nobody who has it. So
 * they take turns, in a transaction whose second statement sees what the one before left.
 */
static int write_exclusively_await(struct req *r, const struct sql_stmt *stmt, const struct params *p,
                                   struct rows *rows)
{
    struct rows none;

    TRY(sql_begin_await(r));
    TRY(sql_exclusive_lock_await(r, &none, str_from(kind_of(r)->table)));
    TRY(sql_exec_await(r, rows, stmt, p->values));
    return sql_commit_await(r);
}

/* Runs a writing statement. 0 and the row, or -1 with the answer set. */
static int write_await(struct req *r, enum resource_verb verb, const struct params *p, struct rows *rows)
{
    const struct sql_stmt *stmt = resource_stmt(kind_of(r), verb);
    bool takes = verb != RESOURCE_DELETE && takes_exclusive(kind_of(r), r->fields);
    int rc = -EAGAIN;

    assert(stmt->params_count == p->count);
    *rows = (struct rows){0};
    for (int attempt = 0; attempt < WRITE_ATTEMPTS && rc == -EAGAIN; attempt++) {
        rc = takes ? write_exclusively_await(r, stmt, p, rows) : sql_exec_await(r, rows, stmt, p->values);
        sql_rollback(r); /* of one that failed */
    }
    if (rc == -EEXIST || rc == -EINVAL)
        return fail_violation(r, rc, rows->constraint);
    if (rc == -EAGAIN)
        return fail(r, 503, "Service temporarily unavailable");
    return rc < 0 ? rc : 0;
}

static int reply_row(struct req *r, int status, struct str json)
{
    const struct resource *k = kind_of(r);

    return reply_json(r, status, k->render != NULL ? k->render(r, json) : json);
}

/* ---- values ---- */

static struct str stored_text(struct req *r, const struct value *v)
{
    if ((v->column->flags & COL_SECRET) && !str_is_none(v->text))
        return fernet_encrypt(&r->arena, &conf.fernet, v->text);
    return v->text;
}

static int64_t mask_of(const struct values *v)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < v->count; i++) {
        if (v->items[i].is_given && resource_writes(v->items[i].column, RESOURCE_UPDATE))
            mask |= UINT64_C(1) << i;
    }
    return (int64_t)mask;
}

static void params_add_values(struct req *r, struct params *p, const struct values *v,
                              enum resource_verb verb)
{
    for (size_t i = 0; i < v->count; i++) {
        if (resource_writes(v->items[i].column, verb))
            params_add(p, stored_text(r, &v->items[i]));
    }
}

/* ---- verbs ---- */

/* "Not authorized to create database triggers" */
static int fail_create(struct req *r, struct str kind)
{
    char *words = arena_cstr(&r->arena, kind);

    for (size_t i = 0; i < kind.n; i++) {
        if (words[i] == '_')
            words[i] = ' ';
    }
    return fail(r, 403, "Not authorized to create %s", words);
}

static int create_permit(struct req *r)
{
    const struct resource *k = kind_of(r);
    bool has_path = resource_is_namespaced(k);
    struct perm_target flat = target_of(k, STR_NONE, STR_NONE), exact;

    if (k->is_fixed || reach_has(r, &flat, "create", "own"))
        return 0;
    exact = target_of(k, has_path ? body_str(r, "namespace") : STR_NONE,
                      has_path ? body_str(r, "name") : STR_NONE);
    return has_path && reach_has(r, &exact, "create", "own") ? 0 : fail_create(r, flat.kind);
}

int resource_create(struct req *r)
{
    const struct resource *k = kind_of(r);
    struct params *p = params_new(r);
    struct rows rows;

    TRY(create_permit(r));
    if (k->before_write != NULL)
        TRY(k->before_write(r, r->fields));
    params_add(p, sql_bool(takes_exclusive(k, r->fields)));
    params_add_values(r, p, r->fields, RESOURCE_CREATE);
    TRY(write_await(r, RESOURCE_CREATE, p, &rows));
    return reply_row(r, 201, row_str(&rows, 0, "json"));
}

static int get_reply(struct req *r, const struct rows *rows)
{
    if (rows->count == 0)
        return fail_absent(r);
    if (!row_bool(rows, 0, "is_allowed"))
        return fail_refused(r, "read");
    return reply_row(r, 200, row_str(rows, 0, "json"));
}

int resource_get(struct req *r)
{
    struct params *p = params_new(r);
    struct rows rows;

    params_add_i64(r, p, reach_of_path(r, "read"));
    params_add_key(r, p);
    TRY(sql_exec_await(r, &rows, resource_stmt(kind_of(r), RESOURCE_GET), p->values));
    return get_reply(r, &rows);
}

int resource_get_exclusive(struct req *r)
{
    const struct resource *k = kind_of(r);
    const struct json *row = NULL;
    struct json_error e;
    struct params *p = params_new(r);
    struct rows rows;

    /* The row's path is not known yet: it is loaded, and its rule decided here. */
    params_add_i64(r, p, PERM_ALL);
    TRY(sql_exec_await(r, &rows, resource_stmt(k, RESOURCE_GET_EXCLUSIVE), p->values));
    if (rows.count == 0 || json_parse(&r->arena, row_str(&rows, 0, "json"), &row, &e) < 0)
        return fail_absent(r);
    switch (reach_at(r, k, json_get_text(row, STR("namespace")), json_get_text(row, STR("name")), "read")) {
    case PERM_ALL:
        return get_reply(r, &rows);
    case PERM_OWN:
        if (!k->owned || str_eq(json_get_text(row, STR("user_id")), auth_user_id(r)))
            return get_reply(r, &rows);
        break;
    case PERM_NONE:
        break;
    }
    return fail_refused(r, "read");
}

int resource_update(struct req *r)
{
    const struct resource *k = kind_of(r);
    struct params *p = params_new(r);
    struct rows rows;

    params_add_i64(r, p, reach_of_update(r, r->fields));
    if (k->before_write != NULL)
        TRY(k->before_write(r, r->fields));
    params_add(p, sql_bool(takes_exclusive(k, r->fields)));
    params_add_i64(r, p, mask_of(r->fields));
    params_add_key(r, p);
    params_add_values(r, p, r->fields, RESOURCE_UPDATE);
    TRY(write_await(r, RESOURCE_UPDATE, p, &rows));
    if (rows.count != 0 && !row_bool(&rows, 0, "is_allowed"))
        return fail_refused(r, "update");
    if (rows.count == 0 || row_is_null(&rows, 0, "json")) /* null: deleted meanwhile */
        return fail_absent(r);
    return reply_row(r, 200, row_str(&rows, 0, "json"));
}

int resource_delete(struct req *r)
{
    struct params *p = params_new(r);
    struct rows rows;

    params_add_i64(r, p, reach_of_path(r, "delete"));
    params_add_key(r, p);
    TRY(write_await(r, RESOURCE_DELETE, p, &rows));
    if (rows.count != 0 && !row_bool(&rows, 0, "is_allowed"))
        return fail_refused(r, "delete");
    if (rows.count == 0 || !row_bool(&rows, 0, "is_gone"))
        return fail_absent(r);
    return reply_empty(r, 204);
}
