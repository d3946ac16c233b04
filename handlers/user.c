#include "handlers/user.h"

#include "base/conf.h"
#include "base/uuid.h"
#include "handlers/auth.h"
#include "handlers/login.h"
#include "sql.h"

static const struct column create_columns[] = {
    {"email", COL_EMAIL, COL_REQUIRED},
};
const struct body user_create_body = BODY("UserCreate", create_columns);

static const struct column update_columns[] = {
    {"is_active", COL_BOOL},
};
const struct body user_update_body = BODY_UPDATE("UserUpdate", update_columns);

static const struct column query_columns[] = {
    QUERY_SKIP,
    QUERY_LIMIT("100"),
    {"search", COL_TEXT},
    {"include_inactive", COL_BOOL, .fallback = "false"},
};
const struct body user_list_query = BODY("UserList", query_columns);

bool user_is_superadmin(struct str email)
{
    return !str_is_none(conf.superadmin_email) && str_ieq(str_trim(conf.superadmin_email), email);
}

int user_list(struct req *r)
{
    struct rows list;

    if (!auth_permits(r, STR("sinas.users.read:all")))
        return fail(r, 403, "Not authorized to list users");
    TRY(sql_user_list_await(r, &list, query_str(r, "search"), query_bool(r, "include_inactive"),
                            query_i64(r, "skip"), query_i64(r, "limit")));
    return reply_json(r, 200, row_str(&list, 0, "json"));
}

static int user_reply(struct req *r, int status, struct str id)
{
    struct rows user;

    TRY(sql_user_get_await(r, &user, id));
    return reply_json(r, status, row_str(&user, 0, "json"));
}

/* Adds or takes back; with the roles of §2.7. */
static int user_add(struct req *r, struct str email, struct str *id)
{
    struct uuid fresh = uuid_new();
    struct rows user, roles;

    TRY(sql_begin_await(r));
    TRY(sql_user_add_await(r, &user, uuid_text(&r->arena, &fresh), email));
    if (user.count == 0)
        return fail(r, 409, "User with email '" STR_FMT "' already exists",
                    STR_ARG(json_get_text(r->json, STR("email"))));
    *id = row_str(&user, 0, "id");
    TRY(sql_user_join_roles_await(r, &roles, *id, login_domain(email), conf.default_role_name,
                                  auth_user_id(r)));
    return sql_commit_await(r);
}

int user_create(struct req *r)
{
    struct str id;

    if (!auth_permits(r, STR("sinas.users.create:all")))
        return fail(r, 403, "Not authorized to create users");
    TRY(user_add(r, body_str(r, "email"), &id));
    return user_reply(r, 201, id);
}

/* The user of the path, when the caller may do that with him: users own themselves. */
static int user_find(struct req *r, const char *action, struct str *id, struct rows *user)
{
    TRY(path_uuid(r, "id", id));
    TRY(sql_user_get_await(r, user, *id));
    if (user->count == 0)
        return fail(r, 404, "User not found");
    if (auth_permitsf(r, "sinas.users.%s:all", action))
        return 0;
    if (str_eq(*id, auth_user_id(r)) && auth_permitsf(r, "sinas.users.%s:own", action))
        return 0;
    return fail(r, 403, "Not authorized to %s this resource", action);
}

int user_get(struct req *r)
{
    struct rows user;
    struct str id;

    TRY(user_find(r, "read", &id, &user));
    return reply_json(r, 200, row_str(&user, 0, "json"));
}

static int user_set_active(struct req *r, struct str id, const struct rows *user, bool wanted)
{
    struct rows rows;

    if (!auth_permits(r, STR("sinas.users.update:all")))
        return fail(r, 403, "Not authorized to update this resource");
    if (wanted == row_bool(user, 0, "is_active"))
        return 0;
    if (wanted)
        return user_add(r, row_str(user, 0, "email"), &id);
    if (str_eq(id, auth_user_id(r)))
        return fail(r, 400, "Cannot deactivate your own user account");
    if (user_is_superadmin(row_str(user, 0, "email")))
        return fail(r, 403, "Cannot deactivate the superadmin account");
    return sql_user_deactivate_await(r, &rows, id, auth_user_id(r));
}

int user_update(struct req *r)
{
    struct rows user;
    struct str id;

    TRY(user_find(r, "update", &id, &user));
    if (body_has(r, "is_active") && !body_is_null(r, "is_active"))
        TRY(user_set_active(r, id, &user, body_bool(r, "is_active")));
    return user_reply(r, 200, id);
}

int user_delete(struct req *r)
{
    struct rows user, rows;
    struct str id;

    TRY(path_uuid(r, "id", &id));
    if (str_eq(id, auth_user_id(r)))
        return fail(r, 400, "Cannot delete your own user account");
    TRY(user_find(r, "delete", &id, &user));
    if (user_is_superadmin(row_str(&user, 0, "email")))
        return fail(r, 403, "Cannot delete the superadmin account");
    TRY(sql_user_deactivate_await(r, &rows, id, auth_user_id(r)));
    return reply_empty(r, 204);
}
