"""The authorization matrix: every route × every kind of caller × own, other's and absent object (design §2).

What is expected is in matrix.py. A route without a row there fails, and so does a row without a route.
"""

import base64
import collections
import hashlib
import hmac
import itertools
import json
import secrets
import time
import types
import urllib.parse
import uuid

import pytest

from harness import Sinas, until
from matrix import ROWS, VALID, Each, Shows

PRINCIPALS = ("guest", "user", "other", "admin")
ROLES = {"guest": "GuestUsers", "user": "Users", "other": "Users", "admin": "Admins", "gone": "Admins"}
# Whose objects are "another's" to a caller.
STRANGER = {"guest": "other", "user": "other", "other": "user", "admin": "other"}
OWNER = {"empty": "user", "narrowed": "user", "elsewhere": "user", "overgranted": "guest", "revoked": "admin"}
KEYS = {
    "empty": {},
    "narrowed": {"sinas.agents/open/*.read:all": True, "sinas.agents/open/*.chat:own": True,
                 "sinas.skills/open/*.read:own": True, "sinas.api_keys.read:own": True, "sinas.agents/open/*.delete:all": False},
    "elsewhere": {"sinas.*/closed/*.*:all": True},
    "overgranted": {"*.*:all": True, "sinas.*:all": True},
    "revoked": {"sinas.*:all": True},
}
INVALID = {
    "none": "Missing authorization header",
    "garbage": "Invalid or expired credentials",
    "expired": "Invalid or expired credentials",
    "forged": "Invalid or expired credentials",
    "purpose": "Invalid token payload",
    "revoked": "Invalid or expired credentials",
    "deactivated": "User not found",
}
SAFE = ("GET", "HEAD")
# What a refused request may not have changed. Columns that only note a use are left out.
TABLES = ("users", "roles", "user_roles", "role_permissions", "api_keys", "agents", "skills", "llm_providers", "chats",
          "messages", "turns", "otp_sessions", "refresh_tokens")


def quote(value):
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"


def jwt(key, claims):
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    head = part(b'{"alg":"HS256","typ":"JWT"}') + "." + part(json.dumps(claims).encode())
    return head + "." + part(hmac.new(key.encode(), head.encode(), hashlib.sha256).digest())


class World:
    """A server with its callers. Targets are made by SQL, many at once: add_* notes a statement, make() runs them."""

    def __init__(self, sinas, vendor):
        self.sinas = sinas
        self.numbers = itertools.count(1)
        self.statements = []
        self.ids = {name: str(uuid.uuid4()) for name in ROLES}
        self.credentials = {}
        self.provider = self.insert("llm_providers", name="vendor", provider_type="openai", default_model="scripted",
                                    api_endpoint=vendor.url + "/v1", is_default=True)
        self.make_callers()
        self.make()
        self.add_scenery()
        self.make()
        self.channels = {name: self.run_turn(name) for name in ("user", "other", "admin")}

    def insert(self, table, **columns):
        id = columns.setdefault("id", str(uuid.uuid4()))
        self.statements.append(f"insert into {table} ({', '.join(columns)}) values ({', '.join(map(quote, columns.values()))})")
        return id

    def make(self):
        if self.statements:
            self.sinas.psql("; ".join(self.statements))
        self.statements = []

    def word(self):
        return f"x{next(self.numbers)}"

    # ---- callers ----

    def token(self, name, **changes):
        claims = {"sub": self.ids[name], "email": f"{name}@matrix.test", "iat": int(time.time()),
                  "exp": int(time.time()) + 3600, **changes}
        return jwt(self.sinas.environment["SECRET_KEY"], claims)

    def make_callers(self):
        for name, role in ROLES.items():
            self.insert("users", id=self.ids[name], email=f"{name}@matrix.test", is_active=name != "gone")
            self.statements.append("insert into user_roles (role_id, user_id) select id, " + quote(self.ids[name]) +
                                   f" from roles where name = '{role}'")
        self.credentials = {name: self.token(name) for name in PRINCIPALS}
        for name, permissions in KEYS.items():
            self.credentials[name] = secrets.token_urlsafe(32)
            self.insert("api_keys", user_id=self.ids[OWNER[name]], name=name, permissions=json.dumps(permissions),
                        key_hash=hashlib.sha256(self.credentials[name].encode()).hexdigest(), is_active=name != "revoked",
                        key_prefix=self.credentials[name][:8])
        self.credentials |= {
            "none": None,
            "garbage": secrets.token_urlsafe(32),
            "expired": self.token("admin", exp=int(time.time()) - 1),
            "forged": self.token("admin")[:-4] + "AAAA",
            "purpose": self.token("admin", purpose="file_serve"),
            "deactivated": self.token("gone"),
        }

    def send(self, caller, method, path, body=None, raw=None):
        """As from an address of its own: the limits of failed attempts are tested elsewhere."""
        headers = {"X-Forwarded-For": f"2001:db8::{next(self.numbers):x}"}
        if self.credentials[caller] is not None:
            headers["Authorization"] = "Bearer " + self.credentials[caller]
        if raw is not None:
            headers["Content-Type"] = "application/json"
        return self.sinas.client().request(method, path, json=body, body=raw, headers=headers)

    # ---- targets: path parameters and what a body may name; owner None: there is none ----

    def named(self, table, owner, namespace, **columns):
        name = self.word()
        if owner:
            self.insert(table, user_id=self.ids[owner], namespace=namespace, name=name, **columns)
        return {"namespace": namespace, "name": name}

    def agent(self, owner, namespace="open"):
        return self.named("agents", owner, namespace)

    def skill(self, owner, namespace="open"):
        return self.named("skills", owner, namespace, description="d", content="c")

    def api_key(self, owner):
        hash = hashlib.sha256(secrets.token_bytes(8)).hexdigest()
        return {"id": self.insert("api_keys", user_id=self.ids[owner], name="k", key_hash=hash, key_prefix="k")
                if owner else str(uuid.uuid4())}

    def user(self, owner, caller=None):
        if owner and owner == caller:
            return {"id": self.ids[owner]}
        id = str(uuid.uuid4())
        return {"id": self.insert("users", id=id, email=f"{id}@matrix.test") if owner else id}

    def role(self, owner):
        name = self.word()
        if owner:
            id = self.insert("roles", name=name)
            self.insert("user_roles", role_id=id, user_id=self.ids[owner])
            self.insert("role_permissions", role_id=id, permission_key="shop.cart.read:own", permission_value=True)
        return {"name": name}

    def member(self, owner):
        return self.role(owner) | {"user_id": self.ids[owner or "user"]}

    def new_member(self, owner):
        return self.role(owner) | {"user_id": self.user("nobody")["id"]}

    def provider(self, owner):
        name = self.word()
        return {"name": name, "id": self.insert("llm_providers", name=name, provider_type="openai") if owner
                else str(uuid.uuid4())}

    def chat(self, owner, namespace="open", **columns):
        if not owner:
            return {"id": str(uuid.uuid4())}
        name = self.word()
        agent = self.insert("agents", user_id=self.ids["other"], namespace=namespace, name=name)
        return {"id": self.insert("chats", user_id=self.ids[owner], agent_id=agent, agent_namespace=namespace,
                                  agent_name=name, title="t", **columns)}

    def channel(self, owner):
        """The channel of a turn that has ended; guests have had none."""
        return self.channels.get(owner) or self.chat(owner) | {"channel_id": str(uuid.uuid4())}

    def foreign_channel(self, owner):
        stranger = "other" if owner == "user" else "user"
        return self.chat(owner) | {"channel_id": self.channels[stranger]["channel_id"]}

    def job(self, owner):
        return {"job_id": self.channels["user"]["channel_id"] if owner else str(uuid.uuid4())}

    def asset(self, owner):
        return {"file": self.word()}

    def run_turn(self, owner):
        chat = self.chat(owner)
        self.make()
        answer = self.send(owner, "POST", f"/chats/{chat['id']}/messages", {"content": "hello"})
        assert answer.status == 200, answer
        return chat | {"channel_id": self.sinas.psql(f"select channel_id from turns where chat_id = '{chat['id']}'")}

    # ---- lists ----

    def add_scenery(self):
        """Rows of everybody in both namespaces, and rows that no list shows."""
        for owner in PRINCIPALS:
            for namespace in ("open", "closed"):
                self.agent(owner, namespace)
                self.skill(owner, namespace)
                self.chat(owner, namespace)
            self.chat(owner, archived=True)
            self.chat(owner, expires_at="2020-01-01")
            self.named("skills", owner, "open", description="d", content="c", is_active=False)
            self.named("agents", owner, "open", is_active=False)
            self.role(owner)

    def rows_of(self, kind):
        """What the database holds now of what a list may show at all."""
        names = {id: name for name, id in self.ids.items()}
        rows = []
        for text in self.sinas.psql(ROWS_OF[kind]).splitlines():
            row = json.loads(text)
            row["owner"] = names.get(row.get("user_id"))
            row["members"] = {names.get(id) for id in row.get("members") or ()}
            rows.append(types.SimpleNamespace(**row))
        return rows

    def digest(self):
        return self.sinas.psql("; ".join(
            f"select md5(coalesce(string_agg((to_jsonb(t) - 'last_used_at')::text, ',' order by t.id), '')) from {table} t"
            .replace("t.id", "t.chat_id" if table == "turns" else "t.id") for table in TABLES))


ROWS_OF = {
    "agent": "select row_to_json(x) from (select id, user_id, namespace from agents where is_active) x",
    "skill": "select row_to_json(x) from (select id, user_id, namespace from skills where is_active) x",
    "api_key": "select row_to_json(x) from (select id, user_id from api_keys) x",
    "user": "select row_to_json(x) from (select id, is_active from users) x",
    "role": "select row_to_json(x) from (select id, (select array_agg(user_id) from user_roles m"
            " where m.role_id = r.id and m.active) as members from roles r) x",
    "provider": "select row_to_json(x) from (select id from llm_providers) x",
    "chat": "select row_to_json(x) from (select id, user_id from chats where not archived"
            " and (expires_at is null or expires_at > now())) x",
}


@pytest.fixture(scope="module")
def world(servers, vendor):
    sinas = Sinas(servers)
    try:
        sinas.start()
        yield World(sinas, vendor)
    finally:
        sinas.close()


# ---- cases ----

Case = collections.namedtuple("Case", "row caller which values expected")


def filled(thing, values):
    """Names in braces replaced, in texts at any depth."""
    if isinstance(thing, str):
        for name, value in values.items():
            thing = thing.replace("{" + name + "}", value)
        return thing
    if isinstance(thing, dict):
        return {name: filled(value, values) for name, value in thing.items()}
    return thing


def target_values(world, row, caller, which):
    values = {"unique": world.word()}
    if row.target is None:
        return values
    principal = OWNER.get(caller, caller)
    principal = principal if principal in PRINCIPALS else "admin"
    owner = {"own": principal, "others": STRANGER[principal], "absent": None}[which]
    make = getattr(World, row.target)
    return values | (make(world, owner, principal) if row.target == "user" else make(world, owner))


def cases_of(world, row, rule):
    for caller in (*INVALID, *VALID):
        for which in ("own", "others", "absent") if row.target else (None,):
            if caller in VALID:
                expected = row.answers[caller]
            else:
                expected = (401, INVALID[caller]) if rule != "public" else row.answers["user"]
            expected = getattr(expected, which) if isinstance(expected, Each) else expected
            yield Case(row, caller, which, target_values(world, row, caller, which), expected)


def path_of(case, route):
    path = route["path"]
    for name, value in case.values.items():
        path = path.replace("{" + name + "}", urllib.parse.quote(value, safe=""))
    return path + filled(case.row.query, case.values)


def ids_of_list(answer):
    return sorted(row["id"] for row in answer.json())


def check(world, case, route):
    answer = world.send(case.caller, route["method"], path_of(case, route), filled(case.row.body, case.values))
    expected = case.expected
    if isinstance(expected, Shows):
        assert answer.status == 200, answer
        assert ids_of_list(answer) == sorted(row.id for row in world.rows_of(case.row.kind) if expected.passes(row))
    elif isinstance(expected, tuple):
        assert answer.status == expected[0], answer
        assert answer.detail == filled(expected[1], case.values)
    else:
        assert answer.status == expected, answer
    if answer.status == 401 and route["rule"] != "public":
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    return answer


def check_head(world, case, route, answer):
    """HEAD is another door to the same thing."""
    head = world.send(case.caller, "HEAD", path_of(case, route))
    assert (head.status, head.body) == (answer.status, b"")


def is_refused(case):
    return isinstance(case.expected, tuple)


def check_order(world, case, route):
    """Without a credential, or without the route's own permission, the body is not looked at (10 §1.7)."""
    answer = world.send(case.caller, route["method"], path_of(case, route), raw=b'{"')
    comes_first = case.caller in INVALID or (route["rule"] in ("fixed", "path") and is_refused(case) and case.expected[0] == 403)
    assert answer.status == (case.expected[0] if comes_first else 422), answer


def run_cases(world, cases, route):
    failures = []
    for case in cases:
        try:
            answer = check(world, case, route)
            if route["method"] == "GET":
                check_head(world, case, route, answer)
            if route["has_body"] and route["rule"] != "public":
                check_order(world, case, route)
        except AssertionError as failure:
            failures.append(f"{case.caller}, {case.which}: {failure}")
    assert not failures, "\n".join(failures)


def routes_of(world):
    return {f"{route['method']} {route['path']}": route for route in json.loads(world.sinas.run("routes").stdout)}


# ---- the tests ----


def test_every_route_has_a_row(world):
    routes, rows = set(routes_of(world)), {row.route for row in ROWS}
    assert routes - rows == set(), "routes that matrix.py has no row for"
    assert rows - routes == set(), "rows of matrix.py for routes that do not exist"


def test_every_row_says_something_for_every_caller():
    for row in ROWS:
        assert set(row.answers) == set(VALID), row.route
        assert row.target or not any(isinstance(answer, Each) for answer in row.answers.values()), row.route


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.route} {n}" for n, row in enumerate(ROWS)])
def test_route(world, row):
    route = routes_of(world)[row.route]
    cases = list(cases_of(world, row, route["rule"]))
    world.make()
    refused = [case for case in cases if is_refused(case)]
    before = world.digest()
    run_cases(world, refused, route)
    assert world.digest() == before, "a refused request has changed something"
    run_cases(world, [case for case in cases if not is_refused(case)], route)


def test_another_spelling_of_a_path_is_no_other_door(world):
    """Encoded, with another case of a uuid, with a slash at its end: the same rule decides."""
    chat, key = world.chat("other"), world.api_key("other")
    agent = world.agent("other", "closed")
    world.make()
    chat_id, key_id = chat["id"], key["id"]
    for id in (chat_id.upper(), chat_id.replace("-", ""), "%7B" + chat_id + "%7D", "urn:uuid:" + chat_id, chat_id + "/"):
        assert world.send("user", "GET", f"/chats/{id}").detail == "Chat not found"
        assert world.send("admin", "GET", f"/chats/{id}").detail == "Chat not found"
        assert world.send("other", "GET", f"/chats/{id}").status == 200
    for id in (key_id.upper(), key_id.replace("-", "")):
        assert world.send("user", "GET", f"/api/v1/api-keys/{id}").status == 403
        assert world.send("user", "DELETE", f"/api/v1/api-keys/{id}").status == 403
    encoded = "".join(f"%{byte:02x}" for byte in agent["name"].encode())
    for caller, status in (("narrowed", 403), ("elsewhere", 200), ("user", 200)):
        assert world.send(caller, "GET", f"/api/v1/agents/%63losed/{encoded}").status == status
        assert world.send(caller, "GET", f"/api/v1/agents/closed/{encoded}/").status == status


@pytest.mark.parametrize("namespace, name", [
    ("*", "*"), ("open", "*"), ("*", "x"), ("open/x", "y"), ("open", "x/y"), ("open", "x.chat:own"), ("open", "x.*:all"),
    ("open", "a.read"), ("open.chat:all", "x"), ("", "x"), ("closed/../open", "x"), ("open", "x\n"),
    ("open", " x"), ("OPEN", "x"), ("open", "é*")])
def test_characters_of_the_grammar_in_a_path_open_nothing(world, namespace, name):
    """narrowed may chat in open/*: no spelling of a path gives more than that one segment is worth."""
    path = "/".join(urllib.parse.quote(part, safe="") for part in (namespace, name))
    answer = world.send("narrowed", "POST", f"/agents/{path}/chats", {})
    if namespace == "open" and "/" not in name:
        assert (answer.status, answer.detail) == (404, "Agent not found")
    else:
        assert answer.status in ((403,) if namespace else (403, 404)), answer
    assert world.send("empty", "POST", f"/agents/{path}/chats", {}).status in ((403,) if namespace else (403, 404))


# Agents may have colons in their names: the last one of a permission is its scope's (10 §4.4, 68).
@pytest.mark.parametrize("kind, name", [
    *itertools.product(("agents", "skills"), ("*", "a/b", "a.b", "", " a", "a*", "a\u0000", "-a")), ("skills", "a:own")])
def test_names_are_never_part_of_the_grammar(world, kind, name):
    """A row's name becomes part of permissions: neither new nor renamed rows can have one that means something there."""
    target = getattr(world, kind[:-1])("user")
    world.make()
    body = {"namespace": "open", "name": name, "description": "d", "content": "c"}
    assert world.send("user", "POST", f"/api/v1/{kind}", body).status == 422
    assert world.send("user", "POST", f"/api/v1/{kind}", body | {"namespace": name, "name": "a"}).status == 422
    path = f"/api/v1/{kind}/open/{target['name']}"
    assert world.send("user", "PUT", path, {"name": name}).status == 422
    assert world.send("user", "PUT", path, {"namespace": name}).status == 422


READ_ONLY = {"id": "00000000-0000-4000-8000-000000000001", "user_id": None, "created_at": "2001-01-01T00:00:00Z",
             "updated_at": "2001-01-01T00:00:00Z", "managed_by": "config", "config_name": "c", "config_checksum": "x",
             "key_hash": "0" * 64, "key_prefix": "x", "is_revoked": False, "created_by": None, "email": "root@sinas.test",
             "roles": ["Admins"], "last_login_at": None, "external_user_id": "x", "agent_namespace": "closed",
             "agent_name": "x", "agent_id": None, "session_key": "s", "expires_at": "2999-01-01T00:00:00Z", "last_seq": 7,
             "chat_metadata": {"agent_input": 1}, "active_channel_id": "00000000-0000-4000-8000-000000000001"}


@pytest.mark.parametrize("target, method, path, table, may", [
    ("agent", "PUT", "/api/v1/agents/{namespace}/{name}", "agents", {"updated_at", "description"}),
    ("skill", "PUT", "/api/v1/skills/{namespace}/{name}", "skills", {"updated_at", "description"}),
    ("chat", "PUT", "/chats/{id}", "chats", {"updated_at", "title"}),
    ("user", "PATCH", "/api/v1/users/{id}", "users", set()),
])
def test_fields_that_are_not_the_callers_are_ignored(world, target, method, path, table, may):
    """Mass assignment: a body may name every column, only what the contract lets through changes."""
    values = world.user("user", "user") if target == "user" else getattr(world, target)("user")
    world.make()
    condition = f"id = '{values['id']}'" if "id" in values else f"name = '{values['name']}'"
    stored = lambda: json.loads(world.sinas.psql(f"select to_jsonb(t) from {table} t where {condition}"))
    before = stored()
    foreign = {**READ_ONLY, "user_id": world.ids["other"], "created_by": world.ids["other"]}
    body = {**foreign, "title": "new", "description": "new"}
    answer = world.send("user", method, filled(path, values), body)
    assert answer.status == 200, answer
    after = stored()
    assert {name for name in after if after[name] != before[name]} <= may


def test_created_rows_are_the_callers(world):
    foreign = {**READ_ONLY, "user_id": world.ids["other"], "expires_at": None}
    for path, body in (("agents", {"name": world.word()}), ("skills", {"name": world.word(), "content": "c"}),
                       ("api-keys", {"name": "k"})):
        answer = world.send("user", "POST", f"/api/v1/{path}", {**foreign, "description": "d", **body})
        assert answer.status == 201, answer
        table = path.replace("-", "_")
        owner = world.sinas.psql(f"select user_id, id = '{READ_ONLY['id']}', created_at > '2002-01-01' from {table}"
                                 f" where id = '{answer.json()['id']}'")
        assert owner == f"{world.ids['user']}|f|t"
