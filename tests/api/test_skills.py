"""Skills as a resource: spec 20 §2, 40 §5."""

import pytest

SKILLS = "/api/v1/skills"


@pytest.fixture(scope="module")
def owner(sinas):
    return sinas.make_user("skill-owner@sinas.test")


@pytest.fixture(scope="module")
def other(sinas):
    return sinas.make_user("skill-other@sinas.test")


@pytest.fixture
def space(unique):
    return f"skills-{unique}"


def create(client, space, name="tone", **fields):
    answer = client.post(SKILLS, {"namespace": space, "name": name, "description": "d", "content": "c", **fields})
    assert answer.status == 201, answer
    return answer.json()


def names(answer):
    assert answer.status == 200, answer
    return [skill["name"] for skill in answer.json()]


def test_create_and_get(owner, space):
    skill = create(owner, space, content="# Tone\n\nBe kind. ä", preload=True)
    assert set(skill) == {"id", "user_id", "namespace", "name", "description", "content", "is_active", "created_at",
                          "updated_at", "managed_by", "config_name", "config_checksum"}
    assert (skill["content"], skill["is_active"], skill["managed_by"]) == ("# Tone\n\nBe kind. ä", True, None)
    assert skill["updated_at"] == skill["created_at"]
    assert owner.get(f"{SKILLS}/{space}/tone").json() == skill


def test_namespace_defaults_to_default(owner, unique):
    answer = owner.post(SKILLS, {"name": f"s-{unique}", "description": "d", "content": "c"})
    assert answer.json()["namespace"] == "default"


@pytest.mark.parametrize("fields, type, field", [
    ({"name": "a b"}, "string_pattern_mismatch", "name"),
    ({"name": "_a"}, "string_pattern_mismatch", "name"),
    ({"name": "a" * 256}, "string_too_long", "name"),
    ({"namespace": ""}, "string_too_short", "namespace"),
    ({"description": ""}, "string_too_short", "description"),
    ({"content": ""}, "string_too_short", "content"),
    ({"content": None}, "string_type", "content"),
])
def test_refused_fields(owner, space, fields, type, field):
    answer = owner.post(SKILLS, {"namespace": space, "name": "tone", "description": "d", "content": "c", **fields})
    assert answer.status == 422
    assert [(error["type"], error["loc"]) for error in answer.detail] == [(type, ["body", field])]


def test_required_fields(owner):
    answer = owner.post(SKILLS, {})
    assert [error["loc"][1] for error in answer.detail] == ["name", "description", "content"]


def test_taken_name_is_400(owner, space):
    create(owner, space)
    answer = owner.post(SKILLS, {"namespace": space, "name": "tone", "description": "d", "content": "c"})
    assert (answer.status, answer.detail) == (400, f"Skill '{space}/tone' already exists")


def test_update_is_partial_and_ignores_what_it_does_not_know(owner, space):
    before = create(owner, space)
    after = owner.put(f"{SKILLS}/{space}/tone", {"content": "new", "preload": True, "description": None}).json()
    assert after == {**before, "content": "new", "updated_at": after["updated_at"]}


def test_rename_collision_is_400(owner, space):
    create(owner, space)
    create(owner, space, "taken")
    answer = owner.put(f"{SKILLS}/{space}/tone", {"name": "taken"})
    assert (answer.status, answer.detail) == (400, f"Skill '{space}/taken' already exists")
    assert owner.put(f"{SKILLS}/{space}/tone", {"name": "voice"}).json()["name"] == "voice"


def test_edit_detaches_from_a_package(sinas, owner, space):
    create(owner, space)
    sinas.psql(f"update skills set managed_by = 'pkg:p', config_name = 'n', config_checksum = 's' where namespace = '{space}'")
    assert owner.get(f"{SKILLS}/{space}/tone").json()["managed_by"] == "pkg:p"
    skill = owner.put(f"{SKILLS}/{space}/tone", {"content": "new"}).json()
    assert (skill["managed_by"], skill["config_name"], skill["config_checksum"]) == (None, None, None)


def test_delete_is_hard(sinas, owner, space):
    create(owner, space)
    assert owner.delete(f"{SKILLS}/{space}/tone").status == 204
    assert sinas.psql(f"select count(*) from skills where namespace = '{space}'") == "0"
    for gone in owner.get(f"{SKILLS}/{space}/tone"), owner.delete(f"{SKILLS}/{space}/tone"):
        assert (gone.status, gone.detail) == (404, "Skill not found")


def test_inactive_skills_are_found_but_not_listed(owner, space):
    create(owner, space, "a")
    create(owner, space, "b", is_active=False)
    assert names(owner.get(f"{SKILLS}?namespace={space}")) == ["a"]
    assert names(owner.get(f"{SKILLS}?namespace={space}&include_inactive=true")) == ["a", "b"]
    assert owner.get(f"{SKILLS}/{space}/b").status == 200
    assert owner.put(f"{SKILLS}/{space}/b", {"is_active": True}).status == 200
    assert names(owner.get(f"{SKILLS}?namespace={space}")) == ["a", "b"]
    assert owner.get(f"{SKILLS}?include_inactive=perhaps").status == 422


def test_list_filters_by_namespace(owner, space):
    create(owner, space, "b")
    create(owner, space, "a")
    create(owner, f"{space}-2", "c")
    assert names(owner.get(f"{SKILLS}?namespace={space}")) == ["a", "b"]
    assert names(owner.get(f"{SKILLS}?namespace={space}&limit=1&skip=1")) == ["b"]
    assert names(owner.get(f"{SKILLS}?namespace=nowhere")) == []


def test_users_see_and_change_only_their_own(owner, other, admin, space):
    create(owner, space)
    path = f"{SKILLS}/{space}/tone"
    assert names(other.get(f"{SKILLS}?namespace={space}")) == []
    for answer, action in ((other.get(path), "read"), (other.put(path, {"content": "x"}), "update"),
                           (other.delete(path), "delete")):
        assert (answer.status, answer.detail) == (403, f"Not authorized to {action} this resource")
    assert admin.get(path).json()["content"] == "c"
    assert admin.put(path, {"content": "x"}).json()["user_id"] == owner.user["id"]


def test_create_needs_a_grant(sinas, space):
    nobody = sinas.make_user("skill-nobody@sinas.test", roles=())
    answer = nobody.post(SKILLS, {"namespace": space, "name": "tone", "description": "d", "content": "c"})
    assert (answer.status, answer.detail) == (403, "Not authorized to create skills")
