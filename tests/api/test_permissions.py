"""The permission registry, check-permissions, users and roles: spec 10 §4.7, §4.8, §5, §6, §7."""

import uuid

import pytest

ROLES = "/api/v1/roles"
USERS = "/api/v1/users"


@pytest.fixture
def user(make_user, unique):
    return make_user(f"{unique}@perm.test")


@pytest.fixture
def role(admin, unique):
    """A fresh role's name."""
    assert admin.post(ROLES, {"name": f"role {unique}"}).status == 201
    return f"role {unique}"


def path(name, *rest):
    return "/".join([ROLES, name.replace(" ", "%20"), *rest])


def refused(answer, status, detail):
    assert (answer.status, answer.detail) == (status, detail)


# ---- registry ----


def test_reference(user):
    answer = user.get("/api/v1/permissions/reference")
    assert answer.json() == user.get("/api/v1/roles/permissions/reference").json()
    kinds = {kind["resource"]: kind for kind in answer.json()}
    assert kinds["agents"]["actions"] == ["create", "read", "update", "delete", "chat"]
    assert kinds["agents"]["namespaced"] is True and "adminOnly" not in kinds["agents"]
    assert kinds["roles"]["adminOnly"] is True and "namespaced" not in kinds["roles"]
    assert kinds["states"]["actions"] == ["create", "read", "update", "delete"] and "namespaced" not in kinds["states"]
    assert len(kinds) == 26 and all(kind["description"] for kind in kinds.values())


def test_reference_needs_a_credential(http):
    assert http.get("/api/v1/permissions/reference").status == 401


def test_defaults(admin, user):
    refused(user.get(f"{ROLES}/permissions/defaults"), 403, "Not authorized to view role permissions")
    defaults = admin.get(f"{ROLES}/permissions/defaults").json()
    assert set(defaults) == {"Admins", "Users", "GuestUsers"}
    assert defaults["Admins"] == {"sinas.*:all": True}
    assert defaults["GuestUsers"] == {"sinas.users.read:own": True, "sinas.users.update:own": True}
    assert defaults["Users"]["sinas.agents/*/*.chat:all"] is True


def test_defaults_are_what_was_seeded(sinas, admin):
    for name, grants in admin.get(f"{ROLES}/permissions/defaults").json().items():
        stored = sinas.psql("select permission_key from role_permissions p join roles r on r.id = p.role_id"
                            f" where r.name = '{name}' and permission_value")
        assert set(grants) <= set(stored.split("\n"))


# ---- check-permissions ----


def check(client, permissions, **more):
    return client.post("/auth/check-permissions", {"permissions": permissions, **more})


def test_check_permissions(user):
    answer = check(user, ["sinas.agents.create:own", "sinas.users.read:all", "sinas.agents.create:own"])
    assert answer.json() == {"result": False, "logic": "AND", "checks": [
        {"permission": "sinas.agents.create:own", "has_permission": True},
        {"permission": "sinas.users.read:all", "has_permission": False},
        {"permission": "sinas.agents.create:own", "has_permission": True}]}
    assert check(user, ["sinas.agents.create:own", "x.y.z:own"], logic="OR").json()["result"] is True
    assert check(user, []).json() == {"result": True, "logic": "AND", "checks": []}
    assert check(user, [], logic="OR").json()["result"] is False


def test_check_permissions_checks_its_body(user, http):
    assert check(http, []).status == 401
    assert check(user, ["a"], logic="and").status == 422
    assert check(user, ["a", 1]).detail[0]["loc"] == ["body", "permissions", 1]
    assert check(user, None).status == 422
    assert check(user, ["a"] * 1000).status == 200
    assert check(user, ["a"] * 1001).status == 422


# ---- users ----


def test_users_are_listed_for_admins_only(admin, user, make_user, unique, sinas):
    refused(user.get(USERS), 403, "Not authorized to list users")
    assert user.get(f"{USERS}?limit=1001").status == 422
    other = make_user(f"{unique}%_x@perm.test")
    listed = admin.get(f"{USERS}?search={unique.upper()}%25_").json()
    assert [entry["email"] for entry in listed] == [f"{unique}%_x@perm.test"]
    assert list(listed[0]) == ["id", "email", "is_active", "last_login_at", "created_at", "roles"]
    assert listed[0]["roles"] == ["Users"]
    sinas.psql(f"update users set is_active = false where id = '{other.user['id']}'")
    assert admin.get(f"{USERS}?search={unique}%25").json() == []
    assert len(admin.get(f"{USERS}?search={unique}%25&include_inactive=true").json()) == 1


def test_create_user(admin, user, unique):
    email = f"{unique}new@perm.test"
    refused(user.post(USERS, {"email": email}), 403, "Not authorized to create users")
    assert admin.post(USERS, {"email": "x"}).status == 422
    made = admin.post(USERS, {"email": email.upper()})
    assert made.status == 201
    assert made.json()["email"] == email and made.json()["roles"] == ["GuestUsers"]
    refused(admin.post(USERS, {"email": email.title()}), 409, f"User with email '{email.title()}' already exists")


def test_get_user(admin, user, make_user, unique):
    other = make_user(f"{unique}b@perm.test")
    assert user.get(f"{USERS}/{user.user['id']}").json()["email"] == user.user["email"]
    refused(user.get(f"{USERS}/{other.user['id']}"), 403, "Not authorized to read this resource")
    refused(user.get(f"{USERS}/{uuid.uuid4()}"), 404, "User not found")
    answer = user.get(f"{USERS}/x")
    assert answer.status == 422 and answer.detail[0]["loc"] == ["path", "id"]
    assert admin.get(f"{USERS}/{{{other.user['id'].upper()}}}").status == 200


def test_delete_ends_every_credential(sinas, admin, user, http):
    id = user.user["id"]
    key = user.post("/api/v1/api-keys", {"name": "k"}).json()["key"]
    refused(user.delete(f"{USERS}/{id}"), 400, "Cannot delete your own user account")
    assert admin.delete(f"{USERS}/{id}").status == 204
    assert user.get("/auth/me").status == 401
    assert sinas.client(key).get("/auth/me").status == 401
    assert http.post("/auth/refresh", {"refresh_token": user.tokens["refresh_token"]}).status == 401
    assert http.post("/auth/login", {"email": user.user["email"]}).status == 403
    assert admin.delete(f"{USERS}/{id}").status == 204
    shown = admin.get(f"{USERS}/{id}").json()
    assert shown["is_active"] is False and shown["roles"] == []

    # The address is taken back with the default roles; old credentials stay dead.
    back = admin.post(USERS, {"email": user.user["email"]})
    assert (back.status, back.json()["id"], back.json()["roles"]) == (201, id, ["GuestUsers"])
    assert sinas.client(key).get("/auth/me").status == 401
    assert http.post("/auth/refresh", {"refresh_token": user.tokens["refresh_token"]}).status == 401


def test_delete_needs_permission(user, make_user, unique, admin):
    other = make_user(f"{unique}b@perm.test")
    refused(user.delete(f"{USERS}/{other.user['id']}"), 403, "Not authorized to delete this resource")
    refused(admin.delete(f"{USERS}/{uuid.uuid4()}"), 404, "User not found")


def test_superadmin_cannot_be_deleted(make_user, admin, unique):
    other = make_user(f"{unique}b@perm.test", roles=("Admins",))
    root = admin.get("/auth/me").json()["id"]
    refused(other.delete(f"{USERS}/{root}"), 403, "Cannot delete the superadmin account")
    refused(other.patch(f"{USERS}/{root}", {"is_active": False}), 403, "Cannot deactivate the superadmin account")


def test_update_user(sinas, admin, user):
    id = user.user["id"]
    assert user.patch(f"{USERS}/{id}", {"email": "x@y.zz", "any": 1}).json()["email"] == user.user["email"]
    refused(user.patch(f"{USERS}/{id}", {"is_active": False}), 403, "Not authorized to update this resource")
    assert user.patch(f"{USERS}/{id}", {"is_active": None}).status == 200
    assert admin.patch(f"{USERS}/{id}", {"is_active": False}).json()["is_active"] is False
    assert user.get("/auth/me").status == 401
    assert admin.patch(f"{USERS}/{id}", {"is_active": True}).json()["is_active"] is True
    root = admin.get("/auth/me").json()["id"]
    refused(admin.patch(f"{USERS}/{root}", {"is_active": False}), 400, "Cannot deactivate your own user account")


# ---- roles ----


def test_create_role(admin, user, unique):
    refused(user.post(ROLES, {}), 403, "Permission denied: sinas.roles.create:own")  # before the body
    assert admin.post(ROLES, {}).status == 422
    assert admin.post(ROLES, {"name": "a/b"}).status == 422
    assert admin.post(ROLES, {"name": "a\nb"}).status == 422
    made = admin.post(ROLES, {"name": unique, "description": "d", "email_domain": ""})
    assert made.status == 201
    assert list(made.json()) == ["id", "name", "description", "email_domain", "created_at", "updated_at"]
    assert (made.json()["description"], made.json()["email_domain"]) == ("d", "")
    members = admin.get(path(unique, "members")).json()
    assert [member["user_email"] for member in members] == ["root@sinas.test"]
    refused(admin.post(ROLES, {"name": unique}), 400, f"Role '{unique}' already exists")


def test_roles_are_listed_for_members(admin, user, role):
    assert [entry["name"] for entry in user.get(ROLES).json()] == ["Users"]
    names = [entry["name"] for entry in admin.get(f"{ROLES}?limit=1000").json()]
    assert role in names and names == sorted(names)
    assert user.get(path("Users")).status == 200
    refused(user.get(path(role)), 403, "Not authorized to view this role")
    refused(user.get(path("nothing")), 404, "Role 'nothing' not found")


def test_update_role(admin, user, role, unique):
    refused(user.patch(path(role), {"name": "x"}), 403, "Not authorized to update roles")
    refused(user.patch(path("nothing"), {"name": "x"}), 404, "Role 'nothing' not found")
    refused(admin.patch(path(role), {"name": "Users"}), 400, "Role name 'Users' already exists")
    changed = admin.patch(path(role), {"description": "d", "email_domain": "x.test"}).json()
    assert (changed["name"], changed["description"], changed["email_domain"]) == (role, "d", "x.test")
    assert changed["updated_at"] is not None
    changed = admin.patch(path(role), {"description": None, "name": None}).json()
    assert (changed["name"], changed["description"], changed["email_domain"]) == (role, None, "x.test")
    assert admin.patch(path(role), {"name": f"new {unique}"}).json()["name"] == f"new {unique}"
    assert admin.get(path(role)).status == 404


def test_admins_role_is_protected(admin):
    assert admin.patch(path("Admins"), {"name": "x"}).status == 403
    assert admin.patch(path("Admins"), {"email_domain": "x.test"}).status == 403
    assert admin.patch(path("Admins"), {"description": "d"}).status == 200
    assert admin.delete(path("Admins")).status == 403
    grants = path("Admins", "permissions")
    refused(admin.post(grants, {"permission_key": "a.b.c:own", "permission_value": True}), 403,
            "Cannot modify Admins role permissions")
    assert admin.delete(f"{grants}?permission_key=sinas.*:all").status == 403


def test_delete_role(sinas, admin, user, role):
    refused(user.delete(path(role)), 403, "Not authorized to delete roles")
    refused(user.delete(path("nothing")), 404, "Role 'nothing' not found")
    assert admin.delete(path(role)).status == 204
    assert admin.get(path(role)).status == 404


def test_members(sinas, admin, user, role):
    id, body = user.user["id"], {"user_id": user.user["id"]}
    refused(user.get(path(role, "members")), 403, "Not authorized to view role members")
    refused(user.post(path("nothing", "members"), body), 403, "Not authorized to manage role members")
    refused(admin.post(path("nothing", "members"), body), 404, "Role 'nothing' not found")
    refused(admin.post(path(role, "members"), {"user_id": str(uuid.uuid4())}), 404, "User not found")
    assert admin.post(path(role, "members"), {"user_id": "x"}).status == 422
    added = admin.post(path(role, "members"), body)
    assert added.status == 200
    assert list(added.json()) == ["id", "role_id", "user_id", "user_email", "active", "added_at"]
    refused(admin.post(path(role, "members"), body), 400, "User is already a member of this role")
    assert role in user.get("/auth/me").json()["roles"]

    refused(user.delete(path(role, "members", id)), 403, "Not authorized to manage role members")
    assert admin.delete(path(role, "members", id)).status == 204
    refused(admin.delete(path(role, "members", id)), 404, "Membership not found")
    row = sinas.psql(f"select active, removed_at is not null, removed_by is not null from user_roles"
                     f" where id = '{added.json()['id']}'")
    assert row == "f|t|t"
    assert role not in user.get("/auth/me").json()["roles"]
    again = admin.post(path(role, "members"), body).json()
    assert (again["id"], again["added_at"], again["active"]) == (added.json()["id"], added.json()["added_at"], True)
    assert sinas.psql(f"select removed_at, removed_by from user_roles where id = '{again['id']}'") == "|"


def test_superadmin_stays_admin(admin):
    root = admin.get("/auth/me").json()["id"]
    refused(admin.delete(path("Admins", "members", root)), 403, "Cannot remove the superadmin from the Admins role")


def test_last_admin_stays(new_sinas):
    sinas = new_sinas(SUPERADMIN_EMAIL="")
    last = sinas.make_user("last@perm.test", roles=("Admins",))
    refused(last.delete(path("Admins", "members", last.user["id"])), 403,
            "Cannot remove the last member of the Admins role")
    other = sinas.make_user("other@perm.test", roles=("Admins",))
    assert last.delete(path("Admins", "members", other.user["id"])).status == 204


def manager(sinas, make_user, unique):
    """A user who manages roles and holds little else."""
    sinas.psql(f"insert into roles (name) values ('m-{unique}')")
    sinas.psql("insert into role_permissions (role_id, permission_key, permission_value) select id, k, true from roles,"
               " unnest(array['sinas.roles.manage_members:all', 'sinas.roles.manage_permissions:all',"
               f" 'sinas.roles.read:all', 'sinas.logs.read:own']) k where name = 'm-{unique}'")
    return make_user(f"{unique}m@perm.test", roles=(f"m-{unique}",))


def test_nobody_grants_what_he_does_not_hold(sinas, make_user, unique, role):
    client = manager(sinas, make_user, unique)
    grant = lambda key, value=True: client.post(path(role, "permissions"),
                                                {"permission_key": key, "permission_value": value}).status
    assert grant("sinas.*:all") == 403
    assert grant("*.*:all") == 403
    assert grant("sinas.logs.read:all") == 403
    assert grant("sinas.logs.read:own") == 200
    assert grant("shop.carts.read:all") == 200
    assert grant("sinas.logs.read:all", False) == 200
    answer = client.post(path("Admins", "members"), {"user_id": client.user["id"]})
    assert answer.status == 403


def test_permissions(admin, user, role):
    grants = path(role, "permissions")
    body = {"permission_key": "sinas.chats.read:own", "permission_value": True}
    refused(user.get(path("nothing", "permissions")), 403, "Not authorized to view role permissions")
    refused(user.post(grants, body), 403, "Not authorized to manage role permissions")
    refused(admin.post(path("nothing", "permissions"), body), 404, "Role 'nothing' not found")
    entry = admin.post(grants, body)
    assert entry.status == 200
    assert list(entry.json()) == ["id", "role_id", "permission_key", "permission_value", "created_at", "updated_at"]
    changed = admin.post(grants, {**body, "permission_value": False}).json()
    assert (changed["id"], changed["permission_value"]) == (entry.json()["id"], False)
    assert admin.get(grants).json() == [changed]
    for key in ("", "x" * 256, "nonsense", "a.b:team", "a.b*.c:own"):
        assert admin.post(grants, {"permission_key": key, "permission_value": True}).status == 422
    everything = {"permission_key": "sinas.*:all", "permission_value": False}
    refused(admin.post(grants, everything), 403,
            "Cannot disable sinas.*:all — this would remove all access for the role")
    refused(admin.delete(f"{grants}?permission_key=sinas.*:all"), 403,
            "Cannot delete sinas.*:all — this would remove all access for the role")
    answer = admin.delete(grants)
    assert answer.status == 422 and answer.detail[0]["loc"] == ["query", "permission_key"]
    assert admin.delete(f"{grants}?permission_key=sinas.chats.read:own").status == 204
    refused(admin.delete(f"{grants}?permission_key=sinas.chats.read:own"), 404, "Permission not found")


def test_false_entries_survive_a_restart_and_deleted_ones_come_back(new_sinas):
    sinas = new_sinas()
    admin = sinas.client(sinas.new_key("sinas.*:all"))
    grants = path("GuestUsers", "permissions")
    assert admin.post(grants, {"permission_key": "sinas.users.read:own", "permission_value": False}).status == 200
    assert admin.delete(f"{grants}?permission_key=sinas.users.update:own").status == 204
    sinas.stop()
    sinas.start()
    entries = {entry["permission_key"]: entry["permission_value"] for entry in admin.get(grants).json()}
    assert entries == {"sinas.users.read:own": False, "sinas.users.update:own": True}


def test_start_without_changes_leaves_the_epoch(new_sinas):
    sinas = new_sinas()
    sinas.stop()
    epoch = sinas.psql("select epoch from auth_epoch")
    sinas.start()
    assert sinas.psql("select epoch from auth_epoch") == epoch


def test_default_agent_is_made_once(new_sinas):
    sinas = new_sinas()
    assert sinas.psql("select namespace, name, is_default, user_id is not null from agents") == "default|default|t|t"
    sinas.psql("delete from agents")
    sinas.stop()
    sinas.start()
    assert sinas.psql("select count(*) from agents") == "0"


def test_superadmin_is_made_only_while_there_is_none(new_sinas, servers):
    sinas = new_sinas(SUPERADMIN_EMAIL=" First@Admin.test ")
    admins = ("select u.email from user_roles m join users u on u.id = m.user_id join roles r on r.id = m.role_id"
              " where r.name = 'Admins' and m.active")
    assert sinas.psql(admins) == "first@admin.test"
    sinas.stop()
    sinas.environment["SUPERADMIN_EMAIL"] = "second@admin.test"
    sinas.start()
    assert sinas.psql(admins) == "first@admin.test"
    sinas.stop()
    sinas.psql("update user_roles set active = false")
    sinas.environment["SUPERADMIN_EMAIL"] = "first@admin.test"
    sinas.start()
    assert sinas.psql(admins) == "first@admin.test"
