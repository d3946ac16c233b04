#include "handlers/role.h"

#include "handlers/auth.h"
#include "handlers/user.h"
#include "sql.h"

static const char everything[] = "sinas.*:all";

/* ---- bodies ---- */

/* Roles are addressed by name, and dot segments of a path lead nowhere. */
static void check_name(struct check *c, const struct json *v)
{
    struct str name = json_text(v);

    if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
        check_rule(c, v, "a role's name is not '.' or '..'");
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '/' || (unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f) {
            check_rule(c, v, "a role's name has no '/' and no control characters");
            return;
        }
    }
}

static void check_permission_key(struct check *c, const struct json *v)
{
    if (!perm_is_valid(json_text(v)))
        check_rule(c, v, "a permission is written service.resource.action:scope, with scope own or all");
}

static const struct column role_columns[] = {
    {"name", COL_TEXT, COL_REQUIRED, .min = 1, .max = 255, .check = check_name},
    {"description", COL_TEXT, COL_NULLABLE},
    {"email_domain", COL_TEXT, COL_NULLABLE, .max = 255},
};
const struct body role_create_body = BODY("RoleCreate", role_columns);
const struct body role_update_body = BODY_UPDATE("RoleUpdate", role_columns);

static const struct column member_columns[] = {
    {"user_id", COL_UUID, COL_REQUIRED},
};
const struct body role_member_body = BODY("RoleMemberAdd", member_columns);

static const struct column permission_columns[] = {
    {"permission_key", COL_TEXT, COL_REQUIRED, .min = 1, .max = 255, .check = check_permission_key},
    {"permission_value", COL_BOOL, COL_REQUIRED},
};
const struct body role_permission_body = BODY("RolePermissionUpdate", permission_columns);

static const struct column list_columns[] = {QUERY_SKIP, QUERY_LIMIT("100")};
const struct body role_list_query = BODY("RoleList", list_columns);

static const struct column key_columns[] = {
    {"permission_key", COL_TEXT, COL_REQUIRED},
};
const struct body role_permission_query = BODY("RolePermissionDelete", key_columns);

/* ---- shared ---- */

static bool is_admins(struct req *r)
{
    return str_eq(param(r, "name"), STR("Admins"));
}

static int role_find(struct req *r, struct rows *role)
{
    TRY(sql_role_get_await(r, role, param(r, "name"), auth_user_id(r)));
    if (role->count != 0)
        return 0;
    return fail(r, 404, "Role '" STR_FMT "' not found", STR_ARG(param(r, "name")));
}

static int role_refuse_unless(struct req *r, struct str permission, const char *refusal)
{
    return auth_permits(r, permission) ? 0 : fail(r, 403, "%s", refusal);
}

/* ---- roles ---- */

int role_create(struct req *r)
{
    struct rows role;
    int rc = sql_role_insert_await(r, &role, body_str(r, "name"), body_str(r, "description"),
                                   body_str(r, "email_domain"), auth_user_id(r));

    if (rc == -EEXIST)
        return fail(r, 400, "Role '" STR_FMT "' already exists", STR_ARG(body_str(r, "name")));
    TRY(rc);
    return reply_json(r, 201, row_str(&role, 0, "json"));
}

int role_list(struct req *r)
{
    bool sees_all = auth_permits(r, STR("sinas.roles.read:all"));
    struct rows list;

    TRY(sql_role_list_await(r, &list, sees_all ? STR_NONE : auth_user_id(r), query_i64(r, "skip"),
                            query_i64(r, "limit")));
    return reply_json(r, 200, row_str(&list, 0, "json"));
}

int role_get(struct req *r)
{
    struct rows role;

    TRY(role_find(r, &role));
    if (!auth_permits(r, STR("sinas.roles.read:all")) && !row_bool(&role, 0, "is_member"))
        return fail(r, 403, "Not authorized to view this role");
    return reply_json(r, 200, row_str(&role, 0, "json"));
}

/* Admins keep their name, and nobody joins them by an e-mail address. */
static int role_check_admins(struct req *r)
{
    if (!is_admins(r))
        return 0;
    if (!str_is_none(body_str(r, "name")) && !str_eq(body_str(r, "name"), STR("Admins")))
        return fail(r, 403, "Cannot rename the Admins role");
    if (body_str(r, "email_domain").n != 0)
        return fail(r, 403, "Cannot set an e-mail domain on the Admins role");
    return 0;
}

int role_update(struct req *r)
{
    struct rows role, changed;
    int rc;

    TRY(role_find(r, &role));
    TRY(role_refuse_unless(r, STR("sinas.roles.update:all"), "Not authorized to update roles"));
    TRY(role_check_admins(r));
    rc = sql_role_update_await(r, &changed,
                               &(struct sql_role_update_params){
                                   .id = row_str(&role, 0, "id"),
                                   .name = body_str(r, "name"),
                                   .has_description = body_has(r, "description"),
                                   .description = body_str(r, "description"),
                                   .has_email_domain = body_has(r, "email_domain"),
                                   .email_domain = body_str(r, "email_domain"),
                               });
    if (rc == -EEXIST)
        return fail(r, 400, "Role name '" STR_FMT "' already exists", STR_ARG(body_str(r, "name")));
    TRY(rc);
    if (changed.count == 0)
        return fail(r, 404, "Role '" STR_FMT "' not found", STR_ARG(param(r, "name")));
    return reply_json(r, 200, row_str(&changed, 0, "json"));
}

int role_delete(struct req *r)
{
    struct rows role, done;

    TRY(role_find(r, &role));
    TRY(role_refuse_unless(r, STR("sinas.roles.delete:all"), "Not authorized to delete roles"));
    if (is_admins(r))
        return fail(r, 403, "Cannot delete the Admins role");
    TRY(sql_role_delete_await(r, &done, row_str(&role, 0, "id")));
    return reply_empty(r, 204);
}

/* ---- members ---- */

int role_members(struct req *r)
{
    struct rows role, list;

    TRY(role_find(r, &role));
    TRY(role_refuse_unless(r, STR("sinas.roles.read:all"), "Not authorized to view role members"));
    TRY(sql_role_members_await(r, &list, row_str(&role, 0, "id")));
    return reply_json(r, 200, row_str(&list, 0, "json"));
}

static int role_may_manage_members(struct req *r)
{
    return role_refuse_unless(r, STR("sinas.roles.manage_members:all"),
                              "Not authorized to manage role members");
}

static int role_already_member(struct req *r)
{
    return fail(r, 400, "User is already a member of this role");
}

int role_member_add(struct req *r)
{
    struct rows role, candidate, member;
    struct str id;

    TRY(role_may_manage_members(r));
    TRY(role_find(r, &role));
    id = row_str(&role, 0, "id");
    TRY(sql_role_candidate_await(r, &candidate, id, body_str(r, "user_id")));
    if (!row_bool(&candidate, 0, "is_user"))
        return fail(r, 404, "User not found");
    if (row_bool(&candidate, 0, "is_member"))
        return role_already_member(r);
    if (is_admins(r))
        TRY(role_refuse_unless(r, str_from(everything), "Not authorized to add members to the Admins role"));
    TRY(sql_role_member_add_await(r, &member, id, body_str(r, "user_id"), auth_user_id(r)));
    if (member.count == 0)
        return role_already_member(r);
    return reply_json(r, 200, row_str(&member, 0, "json"));
}

/* Of a role that is locked: whether its member may go. */
static int role_check_removal(struct req *r, const struct rows *membership)
{
    if (is_admins(r) && user_is_superadmin(row_str(membership, 0, "email")))
        return fail(r, 403, "Cannot remove the superadmin from the Admins role");
    if (!row_bool(membership, 0, "is_member"))
        return fail(r, 404, "Membership not found");
    if (is_admins(r) && !row_bool(membership, 0, "has_others"))
        return fail(r, 403, "Cannot remove the last member of the Admins role");
    return 0;
}

int role_member_remove(struct req *r)
{
    struct rows role, locked, membership, done;
    struct str id, user_id;

    TRY(path_uuid(r, "user_id", &user_id));
    TRY(role_may_manage_members(r));
    TRY(role_find(r, &role));
    id = row_str(&role, 0, "id");
    TRY(sql_begin_await(r));
    TRY(sql_role_lock_await(r, &locked, param(r, "name")));
    TRY(sql_role_membership_await(r, &membership, id, user_id));
    TRY(role_check_removal(r, &membership));
    TRY(sql_role_member_remove_await(r, &done, id, user_id, auth_user_id(r)));
    TRY(sql_commit_await(r));
    return reply_empty(r, 204);
}

/* ---- permissions ---- */

int role_permissions(struct req *r)
{
    struct rows role, list;

    TRY(role_refuse_unless(r, STR("sinas.roles.manage_permissions:all"),
                           "Not authorized to view role permissions"));
    TRY(role_find(r, &role));
    TRY(sql_role_permissions_await(r, &list, row_str(&role, 0, "id")));
    return reply_json(r, 200, row_str(&list, 0, "json"));
}

/* The role of the path when the caller may change what it grants. */
static int role_find_changeable(struct req *r, struct rows *role)
{
    TRY(role_refuse_unless(r, STR("sinas.roles.manage_permissions:all"),
                           "Not authorized to manage role permissions"));
    TRY(role_find(r, role));
    return is_admins(r) ? fail(r, 403, "Cannot modify Admins role permissions") : 0;
}

/* Nobody grants of ours what he does not hold himself; custom services are free. */
static int role_check_grant(struct req *r, struct str key)
{
    bool is_ours =
        str_starts(key, STR("sinas.")) || str_starts(key, STR("sinas/")) || str_starts(key, STR("*"));

    if (!is_ours || auth_permits(r, key))
        return 0;
    return fail(r, 403, "Not authorized to grant a permission you do not hold: " STR_FMT, STR_ARG(key));
}

int role_permission_set(struct req *r)
{
    struct str key = body_str(r, "permission_key");
    bool value = body_bool(r, "permission_value");
    struct rows role, entry;

    TRY(role_find_changeable(r, &role));
    if (!value && str_eq(key, str_from(everything)))
        return fail(r, 403, "Cannot disable %s — this would remove all access for the role", everything);
    if (value)
        TRY(role_check_grant(r, key));
    TRY(sql_role_permission_set_await(r, &entry, row_str(&role, 0, "id"), key, value));
    return reply_json(r, 200, row_str(&entry, 0, "json"));
}

int role_permission_delete(struct req *r)
{
    struct rows role, done;
    struct str key = query_str(r, "permission_key");
    int rc;

    TRY(role_find_changeable(r, &role));
    if (str_eq(key, str_from(everything)))
        return fail(r, 403, "Cannot delete %s — this would remove all access for the role", everything);
    rc = sql_role_permission_delete_await(r, &done, row_str(&role, 0, "id"), key);
    TRY(rc);
    return rc == 0 ? fail(r, 404, "Permission not found") : reply_empty(r, 204);
}
