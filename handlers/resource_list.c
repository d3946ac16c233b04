/*
 * Lists: exactly the rows on which the row's rule allows reading (spec 10 §4.6).
 *
 * A caller whose grants speak of all names at once (or whose kind has no names in its
 * permissions) is served by PostgreSQL alone. Grants for single namespaces or names are
 * handed over as patterns, which select a superset: everything
 * readable lies in what one of them, or reading one's own, can cover. The rule itself then decides on each
 * row, page by page.
 */
#include "handlers/auth.h"
#include "handlers/resource_sql.h"

enum { LIST_BATCH = 1000 };

const struct column resource_list_columns[LIST_INACTIVE_TOO] = {
    QUERY_SKIP,
    QUERY_LIMIT("1000"),
    {"namespace", COL_TEXT},
    {"include_inactive", COL_BOOL, .fallback = "false"},
};

struct listing {
    const struct resource *kind;
    struct perm_scope scope;
    enum perm_reach reach;
    struct buf spaces, names; /* array literals of the grants that speak of single paths */
    size_t patterns;
    int64_t skip, limit; /* what is still to be skipped and taken */
    struct buf out;
    struct json_writer w;
};

/* ---- grants with paths ---- */

static void array_add(struct buf *literal, struct str item)
{
    buf_add_byte(literal, buf_size(literal) == 0 ? '{' : ',');
    buf_add_byte(literal, '"');
    for (size_t i = 0; i < item.n; i++) {
        if (item.p[i] == '"' || item.p[i] == '\\')
            buf_add_byte(literal, '\\');
        buf_add_byte(literal, item.p[i]);
    }
    buf_add_byte(literal, '"');
}

static struct str array_end(struct buf *literal)
{
    if (buf_size(literal) == 0)
        return STR("{}");
    buf_add_byte(literal, '}');
    return buf_str(literal);
}

/*
 * The path of a grant that can cover reading something of this kind, as space and name. Those for every path
 * are left out: the reach has them. May say yes too often; the rule decides.
 */
static bool grant_path(struct str grant, struct str kind, struct str *space, struct str *name)
{
    ssize_t colon = str_rfind_byte(grant, ':'), dot, slash;
    struct str base, action;

    if (colon < 0)
        return false;
    grant = str_head(grant, (size_t)colon);
    dot = str_rfind_byte(grant, '.');
    slash = str_find_byte(grant, '/');
    if (dot < 0 || slash < 0 || slash > dot)
        return false;
    action = str_from_offset(grant, (size_t)dot + 1);
    base = str_head(grant, (size_t)slash);
    *name = str_of(grant.p + slash + 1, (size_t)(dot - slash - 1));
    *space = str_cut(name, '/');
    if (str_is_none(*name) || str_find_byte(*name, '/') >= 0)
        return false;
    if (str_eq(*space, STR("*")) && str_eq(*name, STR("*")))
        return false;
    return (str_eq(base, kind) || str_find_byte(base, '*') >= 0) &&
           (str_eq(action, STR("read")) || str_eq(action, STR("*")));
}

static void listing_add_grants(struct listing *l, const struct perm_set *set)
{
    struct str kind = str_from(l->kind->permission), grant, space, name;

    for (size_t i = 0; set != NULL && !str_is_none(grant = perm_set_at(set, i)); i++) {
        if (!grant_path(grant, kind, &space, &name))
            continue;
        array_add(&l->spaces, space);
        array_add(&l->names, name);
        l->patterns++;
    }
}

static struct perm_target listing_target(const struct listing *l, struct str space, struct str name)
{
    return (struct perm_target){
        .kind = str_from_offset(str_from(l->kind->permission), strlen("sinas.")),
        .space = space,
        .name = name,
        .has_owner = l->kind->owned,
    };
}

static void listing_find_reach(struct listing *l)
{
    bool has_path = resource_is_namespaced(l->kind);
    struct str any = has_path ? STR("*") : STR_NONE;
    struct perm_target everything = listing_target(l, any, any);

    l->reach = l->kind->is_fixed ? PERM_ALL : perm_reach(&l->scope, &everything, STR("read"));
    if (!has_path || l->reach == PERM_ALL)
        return;
    listing_add_grants(l, l->scope.user);
    listing_add_grants(l, l->scope.key);
}

/* ---- rows ---- */

static bool listing_may_show(const struct listing *l, const struct rows *rows, int row)
{
    struct perm_target target = listing_target(l, row_str(rows, row, "space"), row_str(rows, row, "name"));

    if (l->patterns == 0)
        return true; /* the statement has decided */
    target.is_owner = row_bool(rows, row, "is_mine");
    target.is_visible = row_bool(rows, row, "is_visible");
    return perm_row(&l->scope, &target, STR("read"));
}

static void listing_take(struct req *r, struct listing *l, const struct rows *rows)
{
    for (int i = 0; i < rows->count && l->limit > 0; i++) {
        struct str json = row_str(rows, i, "json");

        if (!listing_may_show(l, rows, i))
            continue;
        if (l->skip > 0) {
            l->skip--;
            continue;
        }
        l->limit--;
        json_write_raw(&l->w, l->kind->render != NULL ? l->kind->render(r, json) : json);
    }
}

/* Of a query field that not every kind's list takes. */
static struct str query_or(const struct req *r, const char *name, struct str otherwise)
{
    const struct value *v = values_find(r->query_fields, name);

    return v != NULL && v->is_set ? v->text : otherwise;
}

static int listing_load_await(struct req *r, struct listing *l)
{
    struct str values[] = {
        auth_user_id(r),
        arena_strf(&r->arena, "%d", l->reach),
        array_end(&l->spaces),
        array_end(&l->names),
        STR_NONE,
        STR_NONE,
        query_or(r, "namespace", STR_NONE),
        query_or(r, "include_inactive", STR("f")),
    };
    bool is_exact = l->patterns == 0;
    int64_t at = is_exact ? l->skip : 0, batch = is_exact ? l->limit : LIST_BATCH;
    struct rows rows;

    if (is_exact)
        l->skip = 0;
    do {
        values[4] = arena_strf(&r->arena, "%" PRId64, at);
        values[5] = arena_strf(&r->arena, "%" PRId64, batch);
        TRY(sql_exec_await(r, &rows, resource_stmt(l->kind, RESOURCE_LIST), values));
        listing_take(r, l, &rows);
        at += batch;
    } while (!is_exact && rows.count == batch && l->limit > 0);
    return 0;
}

int resource_list(struct req *r)
{
    struct listing *l = arena_zalloc(&r->arena, sizeof(*l));

    l->kind = r->route->data;
    l->scope = auth_scope(r);
    l->skip = query_i64(r, "skip");
    l->limit = query_i64(r, "limit");
    buf_init_arena(&l->spaces, &r->arena);
    buf_init_arena(&l->names, &r->arena);
    buf_init_arena(&l->out, &r->arena);
    json_write_init(&l->w, &l->out);
    listing_find_reach(l);
    json_array_begin(&l->w);
    if (l->reach != PERM_NONE || l->patterns != 0)
        TRY(listing_load_await(r, l));
    json_array_end(&l->w);
    return reply_json(r, 200, buf_str(&l->out));
}
