"""Agents as a resource: spec 20 §1.2 to §1.5 and lines 1 to 3 of its checklist."""

import re
import threading
import uuid

import pytest

AGENTS = "/api/v1/agents"
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$")
DEFAULTS = {
    "description": None, "llm_provider_id": None, "model": None, "temperature": 0.7, "max_tokens": None,
    "system_prompt": None, "input_schema": {}, "output_schema": {}, "initial_messages": None, "enabled_functions": [],
    "function_parameters": {}, "enabled_agents": [], "enabled_skills": [], "enabled_queries": [], "query_parameters": {},
    "enabled_collections": [], "enabled_stores": [], "enabled_components": [], "enabled_connectors": [], "hooks": None,
    "system_tools": [], "status_templates": {}, "provider_overrides": {}, "icon": None, "icon_url": None,
    "is_active": True, "is_default": False, "default_job_timeout": None, "default_keep_alive": False,
}
NULLABLE = {
    "description": "text", "model": "m", "max_tokens": 5, "system_prompt": "p",
    "initial_messages": [{"role": "user", "content": "hi"}],
    "hooks": {"on_user_message": [{"function": "n/f", "async": False, "on_timeout": "block"}]},
    "icon": "url:https://x/i.png", "default_job_timeout": 9,
}


@pytest.fixture(scope="module")
def owner(sinas):
    return sinas.make_user("agent-owner@sinas.test")


@pytest.fixture(scope="module")
def other(sinas):
    return sinas.make_user("agent-other@sinas.test")


@pytest.fixture
def space(unique):
    """A namespace that no other test uses."""
    return f"agents-{unique}"


def create(client, space, name="bot", **fields):
    answer = client.post(AGENTS, {"namespace": space, "name": name, **fields})
    assert answer.status == 201, answer
    return answer.json()


def names(answer, space):
    assert answer.status == 200, answer
    return [agent["name"] for agent in answer.json() if agent["namespace"] == space]


# ---- fields ----


def test_minimal_agent_has_every_field_with_its_default(owner, space):
    agent = create(owner, space)
    assert {key: agent[key] for key in DEFAULTS} == DEFAULTS
    assert set(agent) == {*DEFAULTS, "id", "user_id", "namespace", "name", "created_at", "updated_at"}
    assert agent["user_id"] == owner.user["id"]
    assert uuid.UUID(agent["id"]).version == 4
    assert TIME.match(agent["created_at"]) and agent["created_at"] == agent["updated_at"]
    assert owner.get(f"{AGENTS}/{space}/bot").json() == agent


def test_namespace_defaults_to_default(owner, unique):
    answer = owner.post(AGENTS, {"name": f"nameless-{unique}"})
    assert answer.status == 201
    assert answer.json()["namespace"] == "default"


def test_answers_are_compact_json(owner, space):
    create(owner, space, input_schema={"b": 1, "a": [1, 2]}, description="ä")
    body = owner.get(f"{AGENTS}/{space}/bot").body
    assert b'"input_schema":{"b":1,"a":[1,2]}' in body
    assert '"description":"ä"'.encode() in body


@pytest.mark.parametrize("text", ["0", "0.70", "1.0", "2", "0.1"])
def test_temperature_is_stored_exactly(owner, space, text):
    body = f'{{"namespace":"{space}","name":"bot","temperature":{text}}}'
    assert owner.post(AGENTS, body=body.encode()).status == 201
    assert f'"temperature":{text},'.encode() in owner.get(f"{AGENTS}/{space}/bot").body


def test_temperature_zero_survives_an_update(owner, space):
    create(owner, space)
    assert owner.put(f"{AGENTS}/{space}/bot", {"temperature": 0}).json()["temperature"] == 0
    assert owner.put(f"{AGENTS}/{space}/bot", {"description": "x"}).json()["temperature"] == 0


def test_plain_string_references_come_back_as_objects(owner, space):
    agent = create(owner, space, enabled_collections=["n/c", {"collection": "n/d", "access": "readwrite"}],
                   enabled_stores=["n/s", {"store": "n/t", "access": "readwrite"}, {"store": "n/u"}],
                   enabled_skills=["n/k", {"skill": "n/l", "preload": True}])
    assert agent["enabled_collections"] == [{"collection": "n/c", "access": "readonly"},
                                            {"collection": "n/d", "access": "readwrite"}]
    assert agent["enabled_stores"] == [{"store": "n/s", "access": "readonly"}, {"store": "n/t", "access": "readwrite"},
                                       {"store": "n/u", "access": "readonly"}]
    assert agent["enabled_skills"] == [{"skill": "n/k", "preload": False}, {"skill": "n/l", "preload": True}]
    assert owner.get(f"{AGENTS}/{space}/bot").json() == agent


def test_system_tools_are_texts_or_objects_with_connections(owner, space):
    agent = create(owner, space, system_tools=["codeExecution", "unheardOf", {"name": "databaseIntrospection"},
                                               {"name": "databaseIntrospection", "connections": ["main"]}])
    assert agent["system_tools"] == ["codeExecution", "unheardOf",
                                     {"name": "databaseIntrospection", "connections": None},
                                     {"name": "databaseIntrospection", "connections": ["main"]}]


def test_camel_case_hooks_are_stored_in_snake_case(owner, space):
    agent = create(owner, space, hooks={"onUserMessage": [{"function": "n/f", "onTimeout": "block"}],
                                        "onAssistantMessage": [{"function": "n/g", "async": True}]})
    assert agent["hooks"] == {"on_user_message": [{"function": "n/f", "async": False, "on_timeout": "block"}],
                              "on_assistant_message": [{"function": "n/g", "async": True, "on_timeout": "passthrough"}]}


def test_documents_keep_their_keys_in_order(owner, space):
    parameters = {"n/z": {"q": {"value": "x", "locked": True}, "a": 1.50}, "n/a": {}}
    agent = create(owner, space, function_parameters=parameters, query_parameters=parameters,
                   status_templates={"function:n/f": "Running {{ x }}"}, provider_overrides={"prompt_caching": False},
                   enabled_connectors=[{"connector": "n/c", "operations": ["get"], "parameters": {"get": {"id": 5}}}],
                   enabled_functions=["n/f"], enabled_queries=["n/q"], enabled_components=["n/c"],
                   enabled_agents=["n/a", "n/*", "*/*", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"])
    assert list(agent["function_parameters"]) == ["n/z", "n/a"] and agent["function_parameters"] == parameters
    assert agent["query_parameters"] == parameters
    assert agent["status_templates"] == {"function:n/f": "Running {{ x }}"}
    assert agent["provider_overrides"] == {"prompt_caching": False}
    assert agent["enabled_connectors"] == [{"connector": "n/c", "operations": ["get"], "parameters": {"get": {"id": 5}}}]
    assert agent["enabled_agents"] == ["n/a", "n/*", "*/*", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]


@pytest.mark.parametrize("icon, url", [
    ("url:https://example.com/i.png", "https://example.com/i.png"),
    ("url:data:image/png;base64,AA==", "data:image/png;base64,AA=="),
    ("url:javascript:alert(1)", None),
    ("collection:nowhere/at/all.png", None),
    ("nonsense", None),
])
def test_icon_url(owner, space, icon, url):
    agent = create(owner, space, icon=icon)
    assert (agent["icon"], agent["icon_url"]) == (icon, url)


def test_read_only_and_unknown_fields_are_ignored(owner, space):
    agent = create(owner, space, id="x", user_id="y", is_active=False, icon_url=5, created_at=5, managed_by="config",
                   preload=True)
    assert agent["is_active"] is True
    assert agent["user_id"] == owner.user["id"]


def test_initial_message_role_agent_is_assistant(owner, space):
    agent = create(owner, space, initial_messages=[{"role": "agent", "content": "hello"}])
    assert agent["initial_messages"] == [{"role": "assistant", "content": "hello"}]


# ---- validation ----


@pytest.mark.parametrize("fields, type, loc", [
    ({"name": None}, "string_type", ["name"]),
    ({"name": ""}, "string_too_short", ["name"]),
    ({"name": "a" * 256}, "string_too_long", ["name"]),
    ({"name": "9bot"}, "string_pattern_mismatch", ["name"]),
    ({"name": "a/b"}, "string_pattern_mismatch", ["name"]),
    ({"namespace": "a b"}, "string_pattern_mismatch", ["namespace"]),
    ({"model": "m" * 101}, "string_too_long", ["model"]),
    ({"temperature": 2.01}, "less_than_equal", ["temperature"]),
    ({"temperature": -0.1}, "greater_than_equal", ["temperature"]),
    ({"temperature": None}, "float_type", ["temperature"]),
    ({"max_tokens": 0}, "greater_than_equal", ["max_tokens"]),
    ({"max_tokens": 1.5}, "int_from_float", ["max_tokens"]),
    ({"max_tokens": 1 << 40}, "less_than_equal", ["max_tokens"]),
    ({"default_job_timeout": 0}, "greater_than", ["default_job_timeout"]),
    ({"icon": "i" * 513}, "string_too_long", ["icon"]),
    ({"llm_provider_id": "nope"}, "uuid_parsing", ["llm_provider_id"]),
    ({"input_schema": []}, "dict_type", ["input_schema"]),
    ({"enabled_functions": {}}, "list_type", ["enabled_functions"]),
    ({"enabled_functions": ["n/f", "f"]}, "string_pattern_mismatch", ["enabled_functions", 1]),
    ({"enabled_agents": ["bot"]}, "string_pattern_mismatch", ["enabled_agents", 0]),
    ({"enabled_queries": ["a/b/c"]}, "string_pattern_mismatch", ["enabled_queries", 0]),
    ({"enabled_skills": [{"skill": "x"}]}, "string_pattern_mismatch", ["enabled_skills", 0, "skill"]),
    ({"enabled_skills": [{}]}, "missing", ["enabled_skills", 0, "skill"]),
    ({"enabled_collections": ["c"]}, "string_pattern_mismatch", ["enabled_collections", 0]),
    ({"enabled_stores": [{"store": "n/s", "access": "all"}]}, "literal_error", ["enabled_stores", 0, "access"]),
    ({"hooks": {"on_user_message": [{"function": "f"}]}}, "string_pattern_mismatch",
     ["hooks", "on_user_message", 0, "function"]),
    ({"initial_messages": [{"role": "user"}]}, "missing", ["initial_messages", 0, "content"]),
    ({"description": "a\0b"}, "value_error", ["description"]),
    ({"input_schema": {"a": "\0"}}, "value_error", ["input_schema"]),
])
def test_refused_fields(owner, space, fields, type, loc):
    answer = owner.post(AGENTS, {"namespace": space, "name": "bot", **fields})
    assert answer.status == 422, answer
    assert [(error["type"], error["loc"]) for error in answer.detail] == [(type, ["body", *loc])]
    assert owner.get(f"{AGENTS}/{space}/bot").status == 404


def test_every_failing_field_is_reported_in_order(owner):
    answer = owner.post(AGENTS, {"namespace": "9", "temperature": 3, "is_default": "maybe"})
    assert [(error["type"], error["loc"][1]) for error in answer.detail] == [
        ("string_pattern_mismatch", "namespace"), ("missing", "name"), ("less_than_equal", "temperature"),
        ("bool_parsing", "is_default")]
    assert answer.detail[1]["input"] == {"namespace": "9", "temperature": 3, "is_default": "maybe"}
    assert answer.detail[2] == {"type": "less_than_equal", "loc": ["body", "temperature"], "input": 3, "ctx": {"le": 2},
                                "msg": "Input should be less than or equal to 2"}


@pytest.mark.parametrize("body, type, headers, expected", [
    (b"", None, {}, {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}),
    (b"null", None, {}, {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}),
    (b"[1]", None, {}, {"type": "model_attributes_type", "loc": ["body"], "input": [1]}),
    (b'{"name":"a"}', "text/plain", {}, {"type": "model_attributes_type", "loc": ["body"], "input": '{"name":"a"}'}),
    (b'{"name":"a"}', "application/json; charset=latin1", {}, {"type": "model_attributes_type", "loc": ["body"]}),
    (b'{"name":}', "application/json", {}, {"type": "json_invalid", "loc": ["body", 8], "msg": "JSON decode error",
                                            "input": {}}),
    (b'{"name":"\\ud800"}', None, {}, {"type": "json_invalid", "input": {}}),
    (b"[" * 65 + b"]" * 65, None, {}, {"type": "json_invalid", "input": {}}),
    (b'{"name":"\xff"}', None, {}, {"type": "json_invalid", "input": {}}),
])
def test_bodies_that_are_no_object(owner, body, type, headers, expected):
    answer = owner.post(AGENTS, body=body, headers={"Content-Type": type} if type else headers)
    assert answer.status == 422, answer
    (error,) = answer.detail
    assert {key: error[key] for key in expected} == expected


@pytest.mark.parametrize("type", ["application/json", "Application/JSON; charset=UTF-8", "application/vnd.x+json"])
def test_content_types_of_json(owner, space, type):
    body = f'{{"namespace":"{space}","name":"bot"}}'.encode()
    assert owner.post(AGENTS, body=body, headers={"Content-Type": type}).status == 201


# ---- create ----


def test_taken_name_is_400(owner, other, space):
    create(owner, space)
    for client in owner, other:
        answer = client.post(AGENTS, {"namespace": space, "name": "bot"})
        assert (answer.status, answer.detail) == (400, f"Agent '{space}/bot' already exists")


def test_names_as_the_console_makes_them(owner, space):
    name = "bot (copy - 2026-03-01 10:00:00)"
    create(owner, space, name)
    assert owner.get(f"{AGENTS}/{space}/bot%20(copy%20-%202026-03-01%2010%3A00%3A00)").json()["name"] == name


def test_unknown_provider_is_400(owner, space):
    fields = {"namespace": space, "name": "bot", "llm_provider_id": str(uuid.uuid4())}
    assert owner.post(AGENTS, fields).status == 400
    create(owner, space)
    assert owner.put(f"{AGENTS}/{space}/bot", {"llm_provider_id": str(uuid.uuid4())}).status == 400


def test_create_needs_a_grant_flat_or_for_the_name(sinas, owner, space):
    nobody = sinas.make_user("agent-nobody@sinas.test", roles=())
    answer = nobody.post(AGENTS, {"namespace": space, "name": "bot"})
    assert (answer.status, answer.detail) == (403, "Not authorized to create agents")
    flat = sinas.client(sinas.new_key("sinas.agents.create:own"))
    assert flat.post(AGENTS, {"namespace": space, "name": "a"}).status == 201
    narrow = sinas.client(sinas.new_key(f"sinas.agents/{space}/b.create:own"))
    assert narrow.post(AGENTS, {"namespace": space, "name": "b"}).status == 201
    assert narrow.post(AGENTS, {"namespace": space, "name": "c"}).status == 403
    assert narrow.post(AGENTS, {"namespace": "default", "name": "b"}).status == 403


def test_no_credential_is_401(http, space):
    for answer in (http.get(AGENTS), http.post(AGENTS, {}), http.get(f"{AGENTS}/{space}/bot"),
                   http.put(f"{AGENTS}/{space}/bot", {}), http.delete(f"{AGENTS}/{space}/bot")):
        assert answer.status == 401


# ---- update ----


def test_update_is_partial(owner, space):
    before = create(owner, space, description="d", enabled_functions=["n/f"], max_tokens=7)
    after = owner.put(f"{AGENTS}/{space}/bot", {"model": "m"}).json()
    assert after["updated_at"] > before["updated_at"]
    assert after == {**before, "model": "m", "updated_at": after["updated_at"]}


@pytest.mark.parametrize("field", NULLABLE)
def test_null_clears_what_can_be_null(owner, space, field):
    assert create(owner, space, **{field: NULLABLE[field]})[field] == NULLABLE[field]
    assert owner.put(f"{AGENTS}/{space}/bot", {field: None}).json()[field] is None


def test_null_clears_the_provider(owner, admin, space, unique):
    provider = admin.post("/api/v1/llm-providers", {"name": f"p-{unique}", "provider_type": "openai"}).json()
    assert create(owner, space, llm_provider_id=provider["id"])["llm_provider_id"] == provider["id"]
    assert owner.put(f"{AGENTS}/{space}/bot", {"llm_provider_id": None}).json()["llm_provider_id"] is None


def test_null_leaves_what_cannot_be_null(owner, space):
    before = create(owner, space, temperature=1.5, enabled_functions=["n/f"], input_schema={"type": "object"})
    fields = [key for key, value in DEFAULTS.items() if value is not None] + ["name", "namespace"]
    after = owner.put(f"{AGENTS}/{space}/bot", dict.fromkeys(fields))
    assert after.status == 200, after
    assert after.json() == {**before, "updated_at": after.json()["updated_at"]}


def test_empty_text_is_a_value(owner, space):
    create(owner, space, description="d")
    assert owner.put(f"{AGENTS}/{space}/bot", {"description": ""}).json()["description"] == ""


def test_update_validates(owner, space):
    create(owner, space)
    answer = owner.put(f"{AGENTS}/{space}/bot", {"temperature": 3, "name": "9"})
    assert answer.status == 422
    assert [error["loc"][1] for error in answer.detail] == ["name", "temperature"]


def test_the_whole_object_can_be_sent_back(owner, space):
    before = create(owner, space, enabled_skills=["n/s"], hooks=NULLABLE["hooks"], system_tools=["codeExecution"])
    after = owner.put(f"{AGENTS}/{space}/bot", before).json()
    assert after == {**before, "updated_at": after["updated_at"]}


def test_rename(owner, space):
    agent = create(owner, space)
    create(owner, space, "taken")
    answer = owner.put(f"{AGENTS}/{space}/bot", {"name": "taken"})
    assert (answer.status, answer.detail) == (400, f"Agent '{space}/taken' already exists")
    renamed = owner.put(f"{AGENTS}/{space}/bot", {"namespace": f"{space}-2", "name": "new name"}).json()
    assert (renamed["id"], renamed["namespace"], renamed["name"]) == (agent["id"], f"{space}-2", "new name")
    assert owner.get(f"{AGENTS}/{space}/bot").status == 404
    assert owner.get(f"{AGENTS}/{space}-2/new%20name").status == 200


def test_rename_needs_the_permission_where_it_goes(sinas, space):
    admin = sinas.client(sinas.new_key("sinas.*:all"))
    create(admin, space)
    narrow = sinas.client(sinas.new_key(f"sinas.agents/{space}/*.update:all"))
    assert narrow.put(f"{AGENTS}/{space}/bot", {"namespace": f"{space}-2"}).status == 403
    assert narrow.put(f"{AGENTS}/{space}/bot", {"name": "bot2"}).status == 200


def test_edit_detaches_from_a_package(sinas, owner, space):
    agent = create(owner, space)

    def managed(values):
        sinas.psql(f"update agents set (managed_by, config_name, config_checksum) = ({values}) where id = '{agent['id']}'")
        assert owner.put(f"{AGENTS}/{space}/bot", {"description": "edited"}).status == 200
        return sinas.psql(f"select managed_by, config_name, config_checksum from agents where id = '{agent['id']}'")

    assert managed("'pkg:x', 'bot', 'sum'") == "||"
    assert managed("'config', 'bot', 'sum'") == "config|bot|"


def test_one_agent_at_most_is_the_default(sinas, owner, space):
    create(owner, space, "a", is_default=True)
    create(owner, space, "b", is_default=True)
    assert owner.get(f"{AGENTS}/{space}/a").json()["is_default"] is False
    assert owner.put(f"{AGENTS}/{space}/a", {"is_default": True}).json()["is_default"] is True
    assert owner.get(f"{AGENTS}/{space}/b").json()["is_default"] is False
    assert sinas.psql("select count(*) from agents where is_default") == "1"
    assert owner.get("/agents/default").json()["name"] == "a"
    assert owner.delete(f"{AGENTS}/{space}/a").status == 204
    assert sinas.psql("select count(*) from agents where is_default") == "0"
    assert owner.get("/agents/default").status == 404


def test_a_refused_update_leaves_the_default_where_it_is(owner, other, space):
    create(owner, space, "a", is_default=True)
    create(owner, space, "b")
    assert other.put(f"{AGENTS}/{space}/b", {"is_default": True}).status == 403
    assert owner.get(f"{AGENTS}/{space}/a").json()["is_default"] is True


def test_many_at_once_take_the_default(sinas, owner, space):
    for name in "abcd":
        create(owner, space, name)
    answers = []

    def take(name):
        for _ in range(5):
            answers.append(owner.put(f"{AGENTS}/{space}/{name}", {"is_default": True}).status)

    threads = [threading.Thread(target=take, args=name) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {200}
    assert sinas.psql("select count(*) from agents where is_default") == "1"


# ---- delete ----


def test_delete_is_soft_and_frees_the_name(sinas, owner, space):
    agent = create(owner, space)
    answer = owner.delete(f"{AGENTS}/{space}/bot")
    assert (answer.status, answer.body) == (204, b"")
    assert sinas.psql(f"select is_active from agents where id = '{agent['id']}'") == "f"
    for gone in (owner.get(f"{AGENTS}/{space}/bot"), owner.put(f"{AGENTS}/{space}/bot", {"is_active": True}),
                 owner.delete(f"{AGENTS}/{space}/bot")):
        assert (gone.status, gone.detail) == (404, "Agent not found")
    assert names(owner.get(AGENTS), space) == []
    assert create(owner, space)["id"] != agent["id"]


def test_deactivated_is_as_deleted(owner, space):
    create(owner, space)
    assert owner.put(f"{AGENTS}/{space}/bot", {"is_active": False}).json()["is_active"] is False
    assert owner.get(f"{AGENTS}/{space}/bot").status == 404


# ---- who may ----


def test_users_manage_their_own_and_read_all(owner, other, admin, space):
    create(owner, space)
    path = f"{AGENTS}/{space}/bot"
    assert other.get(path).status == 200
    assert space in {agent["namespace"] for agent in other.get(AGENTS).json()}
    for answer, action in ((other.put(path, {"model": "m"}), "update"), (other.delete(path), "delete")):
        assert (answer.status, answer.detail) == (403, f"Not authorized to {action} this resource")
    assert owner.get(path).json()["model"] is None
    assert owner.put(path, {"model": "m"}).status == 200
    assert admin.put(path, {"model": "n"}).json()["user_id"] == owner.user["id"]
    assert owner.delete(path).status == 204


def test_absent_is_404_before_403(sinas, space):
    nobody = sinas.make_user("agent-nobody@sinas.test", roles=())
    assert nobody.get(f"{AGENTS}/{space}/bot").status == 404
    create(sinas.client(sinas.new_key("sinas.*:all")), space)
    answer = nobody.get(f"{AGENTS}/{space}/bot")
    assert (answer.status, answer.detail) == (403, "Not authorized to read this resource")


def test_agents_without_owner_belong_to_nobody(sinas, owner, space):
    create(owner, space)
    sinas.psql(f"update agents set user_id = null where namespace = '{space}'")
    assert owner.get(f"{AGENTS}/{space}/bot").json()["user_id"] is None
    assert owner.delete(f"{AGENTS}/{space}/bot").status == 403


# ---- lists ----


def test_list_is_ordered_and_paged(owner, space):
    for name in ("c", "a", "b"):
        create(owner, space, name)
    create(owner, f"{space}-0", "z")
    everything = owner.get(AGENTS).json()
    keys = [(agent["namespace"], agent["name"]) for agent in everything]
    at = keys.index((space, "a"))
    assert keys[at:at + 3] == [(space, "a"), (space, "b"), (space, "c")]
    assert owner.get(f"{AGENTS}?skip={at}&limit=2").json() == everything[at:at + 2]
    assert owner.get(f"{AGENTS}?skip=100000").json() == []
    assert owner.get(AGENTS, headers={"X-Application": "ns/name"}).status == 200


@pytest.mark.parametrize("query, type, field, input", [
    ("skip=-1", "greater_than_equal", "skip", "-1"),
    ("limit=0", "greater_than_equal", "limit", "0"),
    ("limit=5000", "less_than_equal", "limit", "5000"),
    ("limit=x", "int_parsing", "limit", "x"),
])
def test_paging_parameters_are_checked(owner, query, type, field, input):
    answer = owner.get(f"{AGENTS}?{query}")
    assert answer.status == 422
    (error,) = answer.detail
    assert (error["type"], error["loc"], error["input"]) == (type, ["query", field], input)


def test_list_without_permission_is_empty(sinas):
    nobody = sinas.make_user("agent-nobody@sinas.test", roles=())
    answer = nobody.get(AGENTS)
    assert (answer.status, answer.body) == (200, b"[]")
    assert sinas.client(sinas.new_key("sinas.chats.read:own")).get(AGENTS).json() == []


@pytest.fixture
def rows(sinas, owner, admin, space):
    """a, b of the owner and c of the superadmin; d of the superadmin in a second namespace."""
    create(owner, space, "a")
    create(owner, space, "b")
    create(admin, space, "c")
    create(admin, f"{space}-2", "d")


@pytest.mark.parametrize("grants, seen", [
    (["sinas.agents/*/*.read:all"], "abcd"),
    (["sinas.agents.read:all"], "abcd"),
    (["sinas.*:all"], "abcd"),
    (["sinas.agents.read:own"], "cd"),
    (["sinas.agents/SPACE/*.read:all"], "abc"),
    (["sinas.agents/SPACE/*.read:own"], "c"),
    (["sinas.agents/SPACE/a.read:all"], "a"),
    (["sinas.agents/SPACE/a.read:own"], ""),
    (["sinas.agents/SPACE/c.read:own"], "c"),
    (["sinas.agents/*/b.read:all"], "b"),
    (["sinas.agents/*/*.read:own", "sinas.agents/SPACE/b.*:all"], "bcd"),
    (["sinas.*/SPACE/*.read:all"], "abc"),
    (["sinas.agents/SPACE/*.update:all"], ""),
    (["sinas.skills/SPACE/*.read:all"], ""),
])
def test_list_shows_exactly_what_get_allows(sinas, rows, space, grants, seen):
    key = sinas.client(sinas.new_key(*(grant.replace("SPACE", space) for grant in grants)))
    listed = names(key.get(AGENTS), space) + names(key.get(AGENTS), f"{space}-2")
    assert "".join(listed) == seen
    for name in "abcd":
        answer = key.get(f"{AGENTS}/{space if name != 'd' else space + '-2'}/{name}")
        assert answer.status == (200 if name in seen else 403)


def test_paging_counts_only_what_is_shown(sinas, rows, space):
    key = sinas.client(sinas.new_key(f"sinas.agents/{space}/*.read:own", f"sinas.agents/{space}/b.read:all"))
    assert names(key.get(f"{AGENTS}?limit=1"), space) == ["b"]
    assert names(key.get(f"{AGENTS}?skip=1&limit=1"), space) == ["c"]
    assert names(key.get(f"{AGENTS}?skip=2"), space) == []


def test_key_is_limited_by_its_owner(sinas, rows, space):
    """A key of an ordinary user cannot do more than he can, whatever it says."""
    owner = sinas.make_user("agent-owner@sinas.test")
    made = owner.post("/api/v1/api-keys", {"name": f"k-{space}", "permissions": {
        f"sinas.agents/{space}/*.delete:own": True, f"sinas.agents/{space}/*.read:all": True}})
    assert made.status == 201, made
    key = sinas.client(made.json()["key"])
    assert names(key.get(AGENTS), space) == ["a", "b", "c"]
    assert key.delete(f"{AGENTS}/{space}/c").status == 403
    assert key.delete(f"{AGENTS}/{space}/a").status == 204
    assert key.put(f"{AGENTS}/{space}/b", {"model": "m"}).status == 403


# ---- GET /agents/default ----


def test_default_agent_needs_read(sinas, owner, space):
    create(owner, space, is_default=True)
    assert owner.get("/agents/default").json()["namespace"] == space
    nobody = sinas.make_user("agent-nobody@sinas.test", roles=())
    assert nobody.get("/agents/default").status == 403
