"""API keys: spec 10 §3 and §4.5."""

import hashlib
import re
import time
import uuid

import pytest

from harness import until
from test_auth import BAD_CREDENTIALS, jwt, me

PATH = "/api/v1/api-keys"


@pytest.fixture
def user(make_user, unique):
    return make_user(f"{unique}@keys.test")


def create(client, **body):
    answer = client.post(PATH, {"name": "k", **body})
    assert answer.status == 201, answer
    return answer.json()


def yes(*keys):
    return {key: True for key in keys}


def test_create_shows_the_key_once(sinas, user):
    made = create(user, name="ci", permissions={"sinas.chats.read:own": False})
    assert list(made) == ["id", "name", "key", "key_prefix", "permissions", "expires_at", "created_at"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", made["key"]) and made["key_prefix"] == made["key"][:8]
    assert made["permissions"] == {"sinas.chats.read:own": False} and made["expires_at"] is None
    row = sinas.psql(f"select key_hash, created_by, user_id from api_keys where id = '{made['id']}'")
    assert row == f"{hashlib.sha256(made['key'].encode()).hexdigest()}|{user.user['id']}|{user.user['id']}"

    shown = user.get(f"{PATH}/{made['id']}").json()
    assert list(shown) == ["id", "user_id", "user_email", "name", "key_prefix", "permissions", "is_active",
                           "last_used_at", "expires_at", "created_at", "revoked_at"]
    assert shown["user_email"] == user.user["email"] and shown["is_active"] is True
    assert user.get(PATH).json() == [shown]


@pytest.mark.parametrize("body, kind, loc", [
    ({}, "missing", ["body", "name"]),
    ({"name": ""}, "string_too_short", ["body", "name"]),
    ({"name": "x" * 256}, "string_too_long", ["body", "name"]),
    ({"name": "x", "permissions": None}, "dict_type", ["body", "permissions"]),
    ({"name": "x", "permissions": []}, "dict_type", ["body", "permissions"]),
    ({"name": "x", "permissions": {"a.b:own": "maybe"}}, "bool_parsing", ["body", "permissions", "a.b:own"]),
    ({"name": "x", "expires_at": "soon"}, None, ["body", "expires_at"]),
])
def test_create_checks_its_body(user, body, kind, loc):
    answer = user.post(PATH, body)
    assert answer.status == 422
    assert answer.detail[0]["loc"] == loc
    assert kind is None or answer.detail[0]["type"] == kind


def test_create_needs_its_permission(make_user, unique):
    guest = make_user(f"{unique}@keys.test", roles=("GuestUsers",))
    answer = guest.post(PATH, {"name": "x"})
    assert (answer.status, answer.detail) == (403, "Not authorized to create API keys")
    assert guest.post(PATH, {}).status == 422  # the body is checked first


def test_permissions_must_be_the_creators(user):
    answer = user.post(PATH, {"name": "x", "permissions": yes("sinas.*:all", "sinas.users.read:own", "a.b.c:own")})
    assert answer.status == 400
    head, _, tail = answer.detail.partition(" Violations: ")
    assert head == "API key permissions exceed user's role permissions."
    assert tail == "sinas.*:all, a.b.c:own"
    create(user, permissions={"sinas.*:all": False})  # false grants nothing


def test_key_cannot_create_a_stronger_key(sinas, user):
    weak = create(user, permissions=yes("sinas.api_keys.create:own", "sinas.users.read:own"))
    client = sinas.client(weak["key"])
    answer = client.post(PATH, {"name": "x", "permissions": yes("sinas.users.update:own")})
    assert answer.status == 400
    create(client, permissions=yes("sinas.users.read:own"))


def test_values_are_read_in_every_accepted_form(user):
    made = create(user, permissions={"sinas.users.read:own": "yes", "sinas.logs.read:own": 0})
    assert made["permissions"] == {"sinas.users.read:own": True, "sinas.logs.read:own": False}
    answer = user.post(PATH, {"name": "x", "permissions": {"sinas.*:all": "on"}})
    assert answer.status == 400


def test_last_of_equal_keys_counts(user):
    body = b'{"name":"x","permissions":{"sinas.*:all":true,"sinas.*:all":false}}'
    answer = user.request("POST", PATH, body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 201 and answer.json()["permissions"] == {"sinas.*:all": False}
    body = b'{"name":"x","permissions":{"sinas.*:all":false,"sinas.*:all":true}}'
    assert user.request("POST", PATH, body=body, headers={"Content-Type": "application/json"}).status == 400


def test_key_without_permissions_may_only_do_what_needs_none(sinas, user):
    client = sinas.client(create(user)["key"])
    assert client.get("/auth/me").json()["id"] == user.user["id"]
    assert client.get(PATH).json() == []
    assert client.get("/api/v1/permissions/reference").status == 200
    answer = client.post(PATH, {"name": "x"})
    assert answer.status == 403
    checks = client.post("/auth/check-permissions", {"permissions": ["sinas.users.read:own"]}).json()
    assert checks["result"] is False


def test_key_is_limited_by_its_owners_roles_of_today(sinas, make_user, unique):
    admin = make_user(f"{unique}@keys.test", roles=("Admins", "Users"))
    client = sinas.client(create(admin, permissions=yes("sinas.users.read:all"))["key"])
    assert client.get("/api/v1/users").status == 200
    sinas.psql("update user_roles m set active = false from roles r where r.id = m.role_id and r.name = 'Admins'"
               f" and m.user_id = '{admin.user['id']}'")
    assert client.get("/api/v1/users").status == 403


def test_key_acts_only_as_far_as_it_was_granted(sinas, make_user, unique):
    admin = make_user(f"{unique}@keys.test", roles=("Admins",))
    client = sinas.client(create(admin, permissions=yes("sinas.users.read:own"))["key"])
    assert client.get("/api/v1/users").status == 403
    assert client.get(f"/api/v1/users/{admin.user['id']}").status == 200


def test_revoked_expired_and_inactive(sinas, user):
    refused = (401, BAD_CREDENTIALS)
    ask = lambda key: (me(sinas, key).status, me(sinas, key).json().get("detail"))

    revoked = create(user)
    assert ask(revoked["key"]) == (200, None)
    assert user.delete(f"{PATH}/{revoked['id']}").status == 204
    assert ask(revoked["key"]) == refused
    shown = user.get(f"{PATH}/{revoked['id']}").json()
    assert shown["is_active"] is False and shown["revoked_at"] is not None
    assert user.delete(f"{PATH}/{revoked['id']}").status == 204
    assert user.get(f"{PATH}/{revoked['id']}").json() == shown  # the first revocation stays

    expired = create(user, expires_at="2020-02-03")
    assert expired["expires_at"] == "2020-02-03T00:00:00Z"
    assert ask(expired["key"]) == refused

    orphan = create(user)
    assert ask(orphan["key"]) == (200, None)
    sinas.psql(f"update users set is_active = false where id = '{user.user['id']}'")
    assert ask(orphan["key"]) == refused


def test_key_expires_while_it_is_in_use(sinas, user):
    """The grants are cached by then: no change in the database says that the time is over."""
    at = time.time() + 2
    key = create(user, expires_at=at)["key"]
    assert me(sinas, key).status == 200
    until(lambda: me(sinas, key).status == 401, what="expiry")
    assert time.time() >= at


def test_get_and_delete_of_anothers_key(user, make_user, unique, admin):
    other = make_user(f"{unique}b@keys.test")
    theirs = create(other)["id"]
    answer = user.get(f"{PATH}/{theirs}")
    assert (answer.status, answer.detail) == (403, "Not authorized to read this resource")
    answer = user.delete(f"{PATH}/{theirs}")
    assert (answer.status, answer.detail) == (403, "Not authorized to delete this resource")
    assert theirs not in [key["id"] for key in user.get(PATH).json()]
    assert theirs in [key["id"] for key in admin.get(PATH).json()]
    assert admin.get(f"{PATH}/{theirs}").status == 200
    assert admin.delete(f"{PATH}/{theirs}").status == 204


@pytest.mark.parametrize("id", ["x", "00000000-0000-0000-0000-000000000000"])
def test_unknown_keys(user, id):
    for answer in (user.get(f"{PATH}/{id}"), user.delete(f"{PATH}/{id}")):
        assert (answer.status, answer.detail) == (404, "APIKey not found")


def test_list_is_newest_first_and_paged(user):
    ids = [create(user, name=f"k{n}")["id"] for n in range(3)]
    assert [key["id"] for key in user.get(PATH).json()] == ids[::-1]
    assert [key["id"] for key in user.get(f"{PATH}?skip=1&limit=1").json()] == [ids[1]]
    assert user.get(f"{PATH}?limit=0").status == 422


def test_last_use_is_noted_once_a_minute(sinas, user):
    made = create(user)
    noted = lambda: sinas.psql(f"select last_used_at from api_keys where id = '{made['id']}'")
    assert noted() == ""
    assert me(sinas, made["key"]).status == 200
    first = until(noted, what="last_used_at")
    last_login = sinas.psql(f"select last_login_at from users where id = '{user.user['id']}'")
    for _ in range(3):
        assert me(sinas, made["key"]).status == 200
    assert noted() == first
    assert sinas.psql(f"select last_login_at from users where id = '{user.user['id']}'") == last_login


def test_token_of_a_key_is_limited_by_it_and_ends_with_it(sinas, make_user, unique):
    admin = make_user(f"{unique}@keys.test", roles=("Admins",))
    made = create(admin, permissions=yes("sinas.users.read:own"))
    now = int(time.time())
    claims = {"sub": admin.user["id"], "email": admin.user["email"], "iat": now, "exp": now + 60}
    secret = sinas.environment["SECRET_KEY"]
    client = sinas.client(jwt(secret, {**claims, "akid": made["id"]}))
    assert sinas.client(jwt(secret, claims)).get("/api/v1/users").status == 200
    assert client.get("/api/v1/users").status == 403
    assert client.get("/auth/me").status == 200
    assert admin.delete(f"{PATH}/{made['id']}").status == 204
    answer = client.get("/auth/me")
    assert (answer.status, answer.detail) == (401, BAD_CREDENTIALS)
    other = sinas.client(jwt(secret, {**claims, "akid": str(uuid.uuid4())}))
    assert other.get("/auth/me").status == 401
