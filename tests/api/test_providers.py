"""Model providers as a resource: spec 20 §15.1, §15.2."""

import uuid

import pytest

PROVIDERS = "/api/v1/llm-providers"
SECRET = "sk-test-0123456789abcdefghijklmnop"


@pytest.fixture
def name(unique):
    return f"provider-{unique}"


def create(admin, name, **fields):
    answer = admin.post(PROVIDERS, {"name": name, "provider_type": "openai", **fields})
    assert answer.status == 201, answer
    return answer.json()


def test_create_and_get_by_name_or_id(admin, name):
    provider = create(admin, name, api_key=SECRET, default_model="m", config={"max_tokens": 5, "z": 1.50})
    assert set(provider) == {"id", "name", "provider_type", "has_api_key", "api_endpoint", "default_model", "config",
                             "is_default", "is_active", "created_at", "updated_at"}
    assert (provider["has_api_key"], provider["is_active"], provider["is_default"]) == (True, True, False)
    assert provider["config"] == {"max_tokens": 5, "z": 1.5}
    for key in name, provider["id"], provider["id"].upper():
        assert admin.get(f"{PROVIDERS}/{key}").json() == provider


def test_a_name_that_looks_like_an_id_wins(admin, name):
    first = create(admin, name)
    second = create(admin, first["id"])
    assert admin.get(f"{PROVIDERS}/{first['id']}").json()["id"] == second["id"]


def test_type_is_taken_in_any_case_and_stored_lower(admin, name):
    assert create(admin, name, provider_type="Anthropic")["provider_type"] == "anthropic"


@pytest.mark.parametrize("fields, type, field", [
    ({"name": ""}, "string_too_short", "name"),
    ({"name": "n" * 101}, "string_too_long", "name"),
    ({"provider_type": "acme"}, "literal_error", "provider_type"),
    ({"api_endpoint": "ftp://x"}, "value_error", "api_endpoint"),
    ({"api_endpoint": "localhost:11434"}, "value_error", "api_endpoint"),
    ({"api_endpoint": "https://" + "x" * 500}, "string_too_long", "api_endpoint"),
    ({"default_model": "m" * 101}, "string_too_long", "default_model"),
    ({"config": []}, "dict_type", "config"),
    ({"is_active": "perhaps"}, "bool_parsing", "is_active"),
    ({"provider_type": "ollama"}, "value_error", "api_endpoint"),
    ({"provider_type": "ollama", "api_endpoint": ""}, "value_error", "api_endpoint"),
])
def test_refused_fields(admin, name, fields, type, field):
    answer = admin.post(PROVIDERS, {"name": name, "provider_type": "openai", **fields})
    assert answer.status == 422, answer
    assert [(error["type"], error["loc"]) for error in answer.detail] == [(type, ["body", field])]


def test_the_key_is_never_echoed(admin, name):
    answer = admin.post(PROVIDERS, {"api_key": SECRET, "provider_type": 5})
    assert answer.status == 422 and SECRET not in answer.text
    answer = admin.post(PROVIDERS, body=f'{{"api_key":"{SECRET}"}}'.encode(), headers={"Content-Type": "text/plain"})
    assert answer.status == 422 and SECRET not in answer.text
    answer = admin.post(PROVIDERS, {"name": name, "provider_type": "openai", "api_key": [SECRET]})
    assert answer.status == 422 and SECRET not in answer.text


def test_the_key_is_stored_encrypted(sinas, admin, name):
    create(admin, name, api_key=SECRET)
    stored = sinas.psql(f"select api_key from llm_providers where name = '{name}'")
    assert stored.startswith("gAAAA") and SECRET not in stored
    assert SECRET not in admin.get(PROVIDERS).text
    assert SECRET not in sinas.log()


def test_patch_keeps_replaces_and_clears_the_key(sinas, admin, name):
    provider = create(admin, name, api_key=SECRET)
    path = f"{PROVIDERS}/{provider['id']}"

    def stored():
        return sinas.psql(f"select coalesce(api_key, 'none') from llm_providers where name = '{name}'")

    first = stored()
    for body in {}, {"api_key": ""}, {"default_model": "m"}:
        assert admin.patch(path, body).json()["has_api_key"] is True
        assert stored() == first
    assert admin.patch(path, {"api_key": "sk-other"}).json()["has_api_key"] is True
    assert stored() not in (first, "none")
    assert admin.patch(path, {"api_key": None}).json()["has_api_key"] is False
    assert stored() == "none"


def test_patch_is_partial_and_null_clears(admin, name):
    before = create(admin, name, api_endpoint="https://x/v1", default_model="m", config={"a": 1})
    path = f"{PROVIDERS}/{before['id']}"
    after = admin.patch(path, {"default_model": "n"}).json()
    assert after == {**before, "default_model": "n", "updated_at": after["updated_at"]}
    after = admin.patch(path, {"api_endpoint": None, "default_model": None, "config": None, "is_active": None}).json()
    assert (after["api_endpoint"], after["default_model"], after["config"], after["is_active"]) == (None, None, {"a": 1}, True)


def test_ollama_needs_an_endpoint_on_patch_too(admin, name):
    provider = create(admin, name)
    path = f"{PROVIDERS}/{provider['id']}"
    answer = admin.patch(path, {"provider_type": "ollama"})
    assert (answer.status, answer.detail[0]["loc"]) == (422, ["body", "api_endpoint"])
    assert admin.patch(path, {"provider_type": "ollama", "api_endpoint": "http://localhost:11434"}).status == 200
    assert admin.patch(path, {"api_endpoint": None}).status == 422
    assert admin.patch(path, {"provider_type": "mistral", "api_endpoint": None}).status == 200


def test_taken_name_is_400(admin, name):
    create(admin, name)
    answer = admin.post(PROVIDERS, {"name": name, "provider_type": "openai"})
    assert (answer.status, answer.detail) == (400, f"LLM provider with name '{name}' already exists")
    other = create(admin, f"{name}-2")
    assert admin.patch(f"{PROVIDERS}/{other['id']}", {"name": name}).status == 400


def test_one_provider_at_most_is_the_default(sinas, admin, name):
    first = create(admin, name, is_default=True)
    second = create(admin, f"{name}-2", is_default=True)
    assert admin.get(f"{PROVIDERS}/{name}").json()["is_default"] is False
    assert admin.patch(f"{PROVIDERS}/{first['id']}", {"is_default": True}).json()["is_default"] is True
    assert admin.get(f"{PROVIDERS}/{second['id']}").json()["is_default"] is False
    assert sinas.psql("select count(*) from llm_providers where is_default") == "1"


def test_delete_is_soft_and_ends_the_default(admin, name):
    provider = create(admin, name, is_default=True)
    path = f"{PROVIDERS}/{provider['id']}"
    answer = admin.delete(path)
    assert (answer.status, answer.body) == (204, b"")
    after = admin.get(path).json()
    assert (after["is_active"], after["is_default"]) == (False, False)
    assert provider["id"] in {row["id"] for row in admin.get(PROVIDERS).json()}
    assert admin.post(PROVIDERS, {"name": name, "provider_type": "openai"}).status == 400
    assert admin.patch(path, {"is_active": True}).json()["is_active"] is True


def test_inactive_on_create_is_honoured(admin, name):
    assert create(admin, name, is_active=False)["is_active"] is False


def test_list_is_newest_first(admin, name):
    for suffix in "abc":
        create(admin, f"{name}-{suffix}")
    listed = [row["name"] for row in admin.get(PROVIDERS).json()]
    assert listed[:3] == [f"{name}-c", f"{name}-b", f"{name}-a"]
    assert [row["name"] for row in admin.get(f"{PROVIDERS}?skip=1&limit=1").json()] == [f"{name}-b"]


def test_absent_is_404(admin, name):
    for key in name, str(uuid.uuid4()), "not-a-uuid":
        path = f"{PROVIDERS}/{key}"
        for answer in admin.get(path), admin.patch(path, {"default_model": "m"}), admin.delete(path):
            assert (answer.status, answer.detail) == (404, "LLM provider not found")


def test_administrators_only(sinas, admin, make_user, name):
    provider = create(admin, name)
    user = make_user("provider-user@sinas.test")
    path = f"{PROVIDERS}/{provider['id']}"
    for answer, action in ((user.post(PROVIDERS, {}), "create"), (user.get(PROVIDERS), "read"), (user.get(path), "read"),
                           (user.patch(path, {"name": 5}), "update"), (user.delete(path), "delete")):
        assert (answer.status, answer.detail) == (403, f"Permission denied: sinas.llm_providers.{action}:all")
    reader = sinas.client(sinas.new_key("sinas.llm_providers.read:all"))
    assert reader.get(path).status == 200
    assert reader.delete(path).status == 403
