#include "handlers/api_key.h"

#include "base/hash.h"
#include "base/rand.h"
#include "base/scalar.h"
#include "base/uuid.h"
#include "handlers/auth.h"
#include "handlers/perm_defaults.h"
#include "sql.h"

enum { KEY_PREFIX_SIZE = 8, KEY_PERMISSIONS_MAX = 1000 };

/* ---- the body ---- */

static const struct column permission_column = {"", COL_BOOL};

static void check_permissions(struct check *c, const struct json *v)
{
    if (json_count(v) > KEY_PERMISSIONS_MAX) {
        check_rule(c, v, "at most %d permissions are allowed", KEY_PERMISSIONS_MAX);
        return;
    }
    json_each_member (member, v) {
        check_enter_str(c, json_text(json_key(member)));
        check_value(c, &permission_column, json_value(member));
        check_leave(c);
    }
}

/* Whether a value that was checked is a yes: "true", 1 and "on" are accepted too (§1.3). */
static bool is_yes(const struct json *v)
{
    const struct scalar_error *error;
    bool yes = false;

    return scalar_json_bool(v, &yes, &error) == 0 && yes;
}

/* Each key once, the last of equal ones, with a plain true or false. */
static struct str normal_permissions(struct arena *a, const struct json *v)
{
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_object_begin(&w);
    json_each_member (member, v) {
        struct str key = json_text(json_key(member));

        if (json_get(v, key) == json_value(member))
            json_field_bool(&w, key, is_yes(json_value(member)));
    }
    json_object_end(&w);
    return buf_str(&out);
}

static const struct column key_columns[] = {
    {"name", COL_TEXT, COL_REQUIRED, .min = 1, .max = 255},
    {"permissions", COL_OBJECT, .fallback = "{}", .check = check_permissions, .normal = normal_permissions},
    {"expires_at", COL_TIME, COL_NULLABLE},
};
const struct body api_key_body = BODY("APIKeyCreate", key_columns);

static const struct column query_columns[] = {QUERY_SKIP, QUERY_LIMIT("1000")};
const struct body api_key_query = BODY("APIKeyList", query_columns);

/* ---- create ---- */

/* Every permission that the key shall have must be its creator's (the subset rule). */
static int key_check_subset(struct req *r)
{
    const struct json *permissions = body_json(r, "permissions");
    struct perm_scope scope = auth_scope(r);
    struct str *wanted = arena_alloc(&r->arena, (json_count(permissions) + 1) * sizeof(*wanted));
    struct buf violations;
    size_t n = 0;

    json_each_member (member, permissions) {
        struct str key = json_text(json_key(member));

        if (json_get(permissions, key) == json_value(member) && is_yes(json_value(member)))
            wanted[n++] = key;
    }
    buf_init_arena(&violations, &r->arena);
    if (perm_covers(&scope, wanted, n, &violations))
        return 0;
    return fail(r, 400, "API key permissions exceed user's role permissions. Violations: " STR_FMT,
                STR_ARG(buf_str(&violations)));
}

int api_key_create(struct req *r)
{
    struct uuid id = uuid_new();
    struct str key = rand_token(&r->arena);
    struct sql_api_key_insert_params params = {
        .id = uuid_text(&r->arena, &id),
        .user_id = auth_user_id(r),
        .name = body_str(r, "name"),
        .key_hash = hash_sha256_hex(&r->arena, key),
        .key_prefix = str_head(key, KEY_PREFIX_SIZE),
        .permissions = body_str(r, "permissions"),
        .expires_at = body_str(r, "expires_at"),
    };
    struct json_writer w;
    struct rows row;

    if (!auth_permits(r, STR("sinas.api_keys.create:own")))
        return fail(r, 403, "Not authorized to create API keys");
    TRY(key_check_subset(r));
    TRY(sql_api_key_insert_await(r, &row, &params));
    reply_begin(r, &w);
    json_object_begin(&w);
    json_field_str(&w, STR("id"), params.id);
    json_field_str(&w, STR("name"), params.name);
    json_field_str(&w, STR("key"), key);
    json_field_str(&w, STR("key_prefix"), params.key_prefix);
    json_field_raw(&w, STR("permissions"), params.permissions);
    json_field_str(&w, STR("expires_at"), row_str(&row, 0, "expires_at"));
    json_field_str(&w, STR("created_at"), row_str(&row, 0, "created_at"));
    json_object_end(&w);
    return reply_written(r, 201);
}

/* ---- the others ---- */

static enum perm_reach key_reach(struct req *r, const char *action)
{
    if (auth_permitsf(r, "sinas.api_keys.%s:all", action))
        return PERM_ALL;
    return auth_permitsf(r, "sinas.api_keys.%s:own", action) ? PERM_OWN : PERM_NONE;
}

int api_key_list(struct req *r)
{
    enum perm_reach reach = key_reach(r, "read");
    struct rows list;

    if (reach == PERM_NONE)
        return reply_json(r, 200, STR("[]"));
    TRY(sql_api_key_list_await(r, &list, reach == PERM_ALL ? STR_NONE : auth_user_id(r), query_i64(r, "skip"),
                               query_i64(r, "limit")));
    return reply_json(r, 200, row_str(&list, 0, "json"));
}

/* The key of the path when the caller may do that with it. Its id is a plain text in the contract: no 422. */
static int key_find(struct req *r, const char *action, struct rows *key)
{
    enum perm_reach reach = key_reach(r, action);
    struct uuid id;

    if (uuid_parse(param(r, "id"), &id, NULL) < 0)
        return fail(r, 404, "APIKey not found");
    TRY(sql_api_key_get_await(r, key, uuid_text(&r->arena, &id)));
    if (key->count == 0)
        return fail(r, 404, "APIKey not found");
    if (reach == PERM_ALL || (reach == PERM_OWN && str_eq(row_str(key, 0, "user_id"), auth_user_id(r))))
        return 0;
    return fail(r, 403, "Not authorized to %s this resource", action);
}

int api_key_get(struct req *r)
{
    struct rows key;

    TRY(key_find(r, "read", &key));
    return reply_json(r, 200, row_str(&key, 0, "json"));
}

int api_key_delete(struct req *r)
{
    struct rows key, done;

    TRY(key_find(r, "delete", &key));
    TRY(sql_api_key_revoke_await(r, &done, row_str(&key, 0, "id"), auth_user_id(r)));
    return reply_empty(r, 204);
}

/* ---- what there is to grant ---- */

static void write_actions(struct json_writer *w, struct str actions)
{
    json_key_write(w, STR("actions"));
    json_array_begin(w);
    while (!str_is_none(actions))
        json_write_str(w, str_cut(&actions, ' '));
    json_array_end(w);
}

static void write_resource(struct json_writer *w, const struct perm_resource *kind)
{
    json_object_begin(w);
    json_field_str(w, STR("resource"), str_from(kind->name));
    json_field_str(w, STR("description"), str_from(kind->description));
    write_actions(w, str_from(kind->actions));
    if (kind->flags & PERM_NAMESPACED)
        json_field_bool(w, STR("namespaced"), true);
    if (kind->flags & PERM_ADMIN_ONLY)
        json_field_bool(w, STR("adminOnly"), true);
    json_object_end(w);
}

int permission_reference(struct req *r)
{
    struct json_writer w;

    reply_begin(r, &w);
    json_array_begin(&w);
    for (size_t i = 0; i < perm_resources_count; i++)
        write_resource(&w, &perm_resources[i]);
    json_array_end(&w);
    return reply_written(r, 200);
}

static void write_role(struct json_writer *w, const struct perm_role *role)
{
    json_key_write(w, str_from(role->name));
    json_object_begin(w);
    for (size_t i = 0; i < role->permissions_count; i++)
        json_field_bool(w, str_from(role->permissions[i]), true);
    json_object_end(w);
}

int permission_defaults(struct req *r)
{
    struct json_writer w;

    reply_begin(r, &w);
    json_object_begin(&w);
    for (size_t i = 0; i < perm_roles_count; i++)
        write_role(&w, &perm_roles[i]);
    json_object_end(&w);
    return reply_written(r, 200);
}
