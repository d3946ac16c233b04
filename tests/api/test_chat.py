"""Chats and messages: spec 20 §3, §7-9, §15.4, §26."""

import json
import subprocess
import threading
import time
import uuid

import pytest

from chatting import Chatting, script
from harness import until


@pytest.fixture(scope="module")
def chatting(sinas, vendor, admin):
    return Chatting(sinas, vendor, admin)


@pytest.fixture
def agent(chatting, unique):
    return chatting.agent(unique)


# ---- creating ----

def test_create_answers_the_chat(chatting, agent):
    answer = chatting.ann.post(f"/agents/{agent}/chats", {})
    assert answer.status == 200
    chat = answer.json()
    assert set(chat) == {"id", "user_id", "user_email", "agent_id", "agent_namespace", "agent_name", "title", "archived",
                         "session_key", "expires_at", "keep_alive", "active_channel_id", "created_at", "updated_at",
                         "last_message_at"}
    assert chat["title"] == f"Chat with {agent}"
    assert chat["user_email"] == "ann@chat.test"
    assert chat["archived"] is False
    assert [chat[name] for name in ("session_key", "expires_at", "keep_alive", "active_channel_id", "last_message_at")] == [None] * 5


def test_create_without_a_body(chatting, agent):
    assert chatting.ann.post(f"/agents/{agent}/chats").status == 200


def test_create_takes_its_fields(chatting, agent):
    chat = chatting.chat(agent, title="T", expires_in=60, keep_alive=True)
    assert chat["title"] == "T" and chat["keep_alive"] is True and chat["expires_at"] > chat["created_at"]


@pytest.mark.parametrize("body, kind, field", [
    ({"title": "x" * 501}, "string_too_long", "title"),
    ({"title": 5}, "string_type", "title"),
    ({"expires_in": 0}, "greater_than", "expires_in"),
    ({"job_timeout": -1}, "greater_than", "job_timeout"),
    ({"input": []}, "dict_type", "input"),
    ({"keep_alive": "maybe"}, "bool_parsing", "keep_alive"),
])
def test_create_refuses_wrong_fields(chatting, agent, body, kind, field):
    answer = chatting.ann.post(f"/agents/{agent}/chats", body)
    assert answer.status == 422
    assert [(item["type"], item["loc"]) for item in answer.detail] == [(kind, ["body", field])]


def test_create_for_an_unknown_agent(chatting):
    answer = chatting.ann.post("/agents/default/nobody/chats", {})
    assert (answer.status, answer.detail) == (404, "Agent not found")


def test_create_needs_the_chat_permission_of_that_agent(chatting, sinas, agent, unique):
    key = sinas.new_key(f"sinas.agents/{agent}.chat:own")
    other = chatting.agent(unique + "o")
    assert sinas.client(key).post(f"/agents/{agent}/chats", {}).status == 200
    assert sinas.client(key).post(f"/agents/{other}/chats", {}).status == 403
    assert sinas.client().post(f"/agents/{agent}/chats", {}).status == 401


def test_input_is_validated_only_when_it_is_not_empty(chatting, unique):
    agent = chatting.agent(unique, input_schema={"type": "object", "required": ["n"],
                                                 "properties": {"n": {"type": "integer"}}})
    assert chatting.ann.post(f"/agents/{agent}/chats", {}).status == 200
    assert chatting.ann.post(f"/agents/{agent}/chats", {"input": {}}).status == 200
    assert chatting.ann.post(f"/agents/{agent}/chats", {"input": {"n": "7"}}).status == 200
    answer = chatting.ann.post(f"/agents/{agent}/chats", {"input": {"m": 1}})
    assert answer.status == 400 and "n" in answer.detail


def test_initial_messages_come_first_in_order(chatting, unique):
    agent = chatting.agent(unique, initial_messages=[{"role": "system", "content": "S"}, {"role": "user", "content": "U"},
                                                     {"role": "agent", "content": "A"}])
    chat = chatting.chat(agent)
    assert chat["last_message_at"] is not None
    messages = chatting.get(chat)["messages"]
    assert [(m["role"], m["content"]) for m in messages] == [("system", "S"), ("user", "U"), ("assistant", "A")]
    chatting.say(chat, "hi")
    asked = chatting.vendor.requests()[-1]["body"]["messages"]
    assert [m["role"] for m in asked[-4:]] == ["system", "user", "assistant", "user"]


# ---- reading, changing, archiving ----

def test_only_the_owner_sees_a_chat(chatting, agent):
    chat = chatting.chat(agent)
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/messages")):
        answer = chatting.bob.request(method, f"/chats/{chat['id']}{path}", json={} if method == "PUT" else None)
        assert (answer.status, answer.detail) == (404, "Chat not found"), method
    assert chatting.admin.get(f"/chats/{chat['id']}").status == 404
    assert chatting.bob.post(f"/chats/{chat['id']}/messages", {"content": "x"}).status == 403


@pytest.mark.parametrize("id", [str(uuid.uuid4()), "nonsense", "c_abc123", "%20"])
def test_unknown_and_malformed_ids_are_alike(chatting, id):
    for method, path, body in (("GET", "", None), ("PUT", "", {}), ("DELETE", "", None), ("GET", "/messages", None),
                               ("POST", "/messages", {"content": "x"}), ("POST", "/messages/stream", {"content": "x"}),
                               ("GET", f"/stream/{uuid.uuid4()}", None)):
        answer = chatting.ann.request(method, f"/chats/{id}{path}", json=body)
        assert (answer.status, answer.detail) == (404, "Chat not found"), (method, path)


def test_losing_the_chat_permission_closes_the_chat(chatting, sinas, agent):
    chat = chatting.chat(agent)
    narrow = sinas.client(sinas.new_key("sinas.users.read:own"))
    narrow_chat = chatting.admin.post(f"/agents/{agent}/chats", {}).json()
    assert narrow.get(f"/chats/{narrow_chat['id']}").status == 403
    assert narrow.post(f"/chats/{narrow_chat['id']}/messages", {"content": "x"}).status == 403
    assert chatting.ann.get(f"/chats/{chat['id']}").status == 200


def test_update_changes_title_and_archived(chatting, agent):
    chat = chatting.chat(agent)
    answer = chatting.ann.put(f"/chats/{chat['id']}", {"title": "new"})
    assert answer.status == 200 and answer.json()["title"] == "new" and answer.json()["archived"] is False
    answer = chatting.ann.put(f"/chats/{chat['id']}", {"archived": True, "title": None})
    assert answer.json()["title"] == "new" and answer.json()["archived"] is True
    assert chatting.ann.put(f"/chats/{chat['id']}", {"title": "x" * 501}).status == 422


def test_delete_archives(chatting, agent):
    chat = chatting.chat(agent)
    answer = chatting.ann.delete(f"/chats/{chat['id']}")
    assert (answer.status, answer.body) == (204, b"")
    assert chat["id"] not in [c["id"] for c in chatting.ann.get("/chats").json()]
    assert chat["id"] in [c["id"] for c in chatting.ann.get("/chats?include_archived=true").json()]
    assert chatting.get(chat)["archived"] is True
    assert chatting.say(chat, "still there?").status == 200
    assert chatting.ann.put(f"/chats/{chat['id']}", {"archived": False}).json()["archived"] is False
    assert chat["id"] in [c["id"] for c in chatting.ann.get("/chats").json()]


def test_list_is_newest_first_and_can_be_filtered(chatting, make_user, unique):
    user = make_user(f"{unique}@chat.test")
    agents = [chatting.agent(unique + "a"), chatting.agent(unique + "b")]
    chats = [user.post(f"/agents/{agents[i % 2]}/chats", {}).json()["id"] for i in range(4)]
    user.put(f"/chats/{chats[0]}", {"title": "touched"})
    expected = [chats[0], chats[3], chats[2], chats[1]]
    assert [c["id"] for c in user.get("/chats").json()] == expected
    assert [c["id"] for c in user.get("/chats?skip=1&limit=2").json()] == expected[1:3]
    assert [c["id"] for c in user.get(f"/chats?agent={agents[0]}").json()] == [chats[0], chats[2]]
    assert user.get("/chats?agent=nothing").status == 422
    answer = user.get("/chats?limit=0")
    assert answer.status == 422 and answer.detail[0]["loc"] == ["query", "limit"]


def test_expired_chats_are_gone_at_once(chatting, sinas, agent):
    chat = chatting.chat(agent, expires_in=3600)
    sinas.psql(f"update chats set expires_at = now() where id = '{chat['id']}'")
    assert chatting.ann.get(f"/chats/{chat['id']}").status == 404
    assert chatting.ann.post(f"/chats/{chat['id']}/messages", {"content": "x"}).status == 404
    assert chat["id"] not in [c["id"] for c in chatting.ann.get("/chats").json()]


# ---- messages ----

def test_message_answers_the_stored_reply(chatting, agent):
    chat = chatting.chat(agent)
    answer = chatting.say(chat, script(deltas=["Hel", "lo"]))
    assert answer.status == 200
    message = answer.json()
    assert set(message) == {"id", "chat_id", "role", "content", "tool_calls", "tool_call_id", "name", "created_at"}
    assert (message["role"], message["content"], message["chat_id"]) == ("assistant", "Hello", chat["id"])
    stored = chatting.get(chat)
    assert stored["messages"][-1] == message
    assert [m["role"] for m in stored["messages"]] == ["user", "assistant"]
    assert stored["last_message_at"] == message["created_at"]
    assert stored["active_channel_id"] is None
    assert stored["pending_approvals"] == []
    assert chatting.ann.get(f"/chats/{chat['id']}/messages").json() == stored["messages"]
    assert chatting.ann.get(f"/chats/{chat['id']}/messages?offset=1&limit=1").json() == [message]


@pytest.mark.parametrize("content, kind, loc", [
    (None, "string_type", ["body", "content"]),
    (5, "string_type", ["body", "content"]),
    ([], "too_short", ["body", "content"]),
    ([{"type": "video"}], "literal_error", ["body", "content", 0, "type"]),
    ([{"type": "audio", "format": "wav"}], "value_error", ["body", "content", 0]),
    (["a", {"type": "text"}], "missing", ["body", "content", 1, "text"]),
])
def test_message_refuses_wrong_content(chatting, agent, content, kind, loc):
    chat = chatting.chat(agent)
    answer = chatting.say(chat, content)
    assert answer.status == 422
    assert (answer.detail[0]["type"], answer.detail[0]["loc"]) == (kind, loc)
    assert chatting.get(chat)["messages"] == []


def test_message_without_content(chatting, agent):
    answer = chatting.ann.post(f"/chats/{chatting.chat(agent)['id']}/messages", {})
    assert answer.status == 422
    assert answer.detail == [{"type": "missing", "loc": ["body", "content"], "msg": "Field required", "input": {}}]


def test_text_that_looks_like_a_list_is_text(chatting, agent):
    chat = chatting.chat(agent)
    assert chatting.say(chat, "[1, 2, 3]").status == 200
    assert chatting.vendor.requests()[-1]["body"]["messages"][-1] == {"role": "user", "content": "[1, 2, 3]"}


def test_parts_are_stored_as_text_and_sent_as_parts(chatting, agent):
    chat = chatting.chat(agent)
    parts = [{"type": "text", "text": "look"}, {"type": "image", "image": "data:image/png;base64,AAAA", "detail": None}]
    assert chatting.say(chat, parts).status == 200
    stored = json.loads(chatting.get(chat)["messages"][0]["content"])
    assert stored == [{"type": "text", "text": "look"}, {"type": "image", "image": "data:image/png;base64,AAAA"}]
    sent = chatting.vendor.requests()[-1]["body"]["messages"][-1]["content"]
    assert sent == [{"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "auto"}}]


def test_agent_with_temperature_zero_sends_zero(chatting, unique):
    agent = chatting.agent(unique, temperature=0, max_tokens=17, model="m1", system_prompt="Be brief.")
    chatting.say(chatting.chat(agent), "hi")
    body = chatting.vendor.requests()[-1]["body"]
    assert body["temperature"] == 0 and body["max_tokens"] == 17 and body["model"] == "m1" and body["stream"] is True
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "tools" not in body


def test_preloaded_skills_are_in_the_prompt(chatting, unique):
    for name in ("one", "two"):
        assert chatting.admin.post("/api/v1/skills", {"namespace": unique, "name": name, "description": "d",
                                                      "content": f"Skill {name}."}).status == 201
    agent = chatting.agent(unique, enabled_skills=[{"skill": f"{unique}/two", "preload": True}, f"{unique}/one",
                                                   {"skill": f"{unique}/none", "preload": True}])
    chatting.say(chatting.chat(agent), "hi")
    prompt = chatting.vendor.requests()[-1]["body"]["messages"][0]["content"]
    assert f"{unique}/two" in prompt and "Skill two." in prompt and "Skill one." not in prompt


def test_template_prompts_go_out_raw(chatting, sinas, unique):
    agent = chatting.agent(unique, system_prompt="Hello {{ name }}")
    chatting.say(chatting.chat(agent), "hi")
    assert chatting.vendor.requests()[-1]["body"]["messages"][0]["content"] == "Hello {{ name }}"
    assert f"agent default/{unique}: templates in prompts are sent as they are" in sinas.log()


def test_history_window_keeps_the_last_messages(chatting, sinas, agent):
    chat = chatting.chat(agent)
    rows = ",".join(f"('{chat['id']}', {i}, '{'user' if i % 2 else 'assistant'}', 'm{i}')" for i in range(1, 121))
    sinas.psql(f"insert into messages (chat_id, seq, role, content) values {rows};"
               f"update chats set last_seq = 120 where id = '{chat['id']}'")
    chatting.say(chat, "now")
    sent = [m["content"] for m in chatting.vendor.requests()[-1]["body"]["messages"]]
    assert sent == [f"m{i}" for i in range(22, 121)] + ["now"]


def test_history_window_that_starts_with_a_result_has_its_call(chatting, sinas, agent):
    chat = chatting.chat(agent)
    calls = json.dumps([{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}])
    rows = [(1, "user", "old", None, None), (2, "assistant", None, calls, None), (3, "tool", "r", None, "c1")]
    rows += [(i, "user", f"m{i}", None, None) for i in range(4, 102)]
    values = ",".join("('{}', {}, {})".format(chat["id"], row[0], ", ".join("null" if v is None else f"'{v}'" for v in row[1:]))
                      for row in rows)
    sinas.psql(f"insert into messages (chat_id, seq, role, content, tool_calls, tool_call_id) values {values};"
               f"update chats set last_seq = 101 where id = '{chat['id']}'")
    chatting.say(chat, "now")
    sent = chatting.vendor.requests()[-1]["body"]["messages"]
    assert sent[0]["tool_calls"][0]["id"] == "c1" and sent[1]["role"] == "tool" and len(sent) == 101


# ---- tools that nobody offered ----

def test_unoffered_tool_call_gets_an_error_row_and_the_turn_goes_on(chatting, agent):
    chat = chatting.chat(agent)
    tools = [{"id": None, "name": "a", "arguments": {"x": 1}, "split": 3}, {"id": "call_b", "name": "b", "arguments": "{broken"}]
    answer = chatting.say(chat, script({"deltas": ["Let me see. "], "tools": tools}, {"deltas": ["Done."]}))
    assert answer.status == 200 and answer.json()["content"] == "Done."
    user, calling, first, second, final = chatting.get(chat)["messages"]
    assert calling["content"] == "Let me see. "
    ids = [call["id"] for call in calling["tool_calls"]]
    assert ids[0].startswith("call_") and len(ids[0]) == 29 and ids[1] == "call_b"
    assert [call["function"]["arguments"] for call in calling["tool_calls"]] == ['{"x": 1}', "{}"]
    assert all(call["description"] for call in calling["tool_calls"])
    assert json.loads(first["content"])["error"] == "Unauthorized tool call"
    assert json.loads(second["content"])["error"].startswith("Invalid JSON arguments")
    assert json.loads(second["content"])["raw_arguments"] == "{broken"
    assert [first["tool_call_id"], second["tool_call_id"]] == ids
    follow_up = chatting.vendor.requests()[-1]["body"]["messages"]
    assert [m["role"] for m in follow_up[-4:]] == ["user", "assistant", "tool", "tool"]
    assert "description" not in follow_up[-3]["tool_calls"][0]


def test_nul_characters_of_a_model_are_replaced(chatting, agent):
    chat = chatting.chat(agent)
    tools = [{"id": "a\0b", "name": "n\0", "arguments": {"k": "\0"}}]
    answer = chatting.say(chat, script({"deltas": ["x\0y"], "tools": tools}, {"deltas": ["fin\0"]}))
    assert answer.status == 200 and answer.json()["content"] == "fin\ufffd"
    _, calling, result, _ = chatting.get(chat)["messages"]
    assert calling["content"] == "x\ufffdy" and calling["tool_calls"][0]["id"] == result["tool_call_id"] == "a\ufffdb"
    assert json.loads(calling["tool_calls"][0]["function"]["arguments"]) == {"k": "\0"}


def test_tool_rounds_are_limited(chatting, sinas, agent):
    chat = chatting.chat(agent)
    answer = chatting.say(chat, script(tools=[{"name": "again"}]))
    assert answer.status == 200 and "limit (25)" in answer.json()["content"]
    messages = chatting.get(chat)["messages"]
    assert len([m for m in messages if m["role"] == "tool"]) == 26
    assert chatting.say(chat, script(deltas=["fine"])).json()["content"] == "fine"


# ---- output schema ----

def test_output_schema_is_sent_and_checked(chatting, unique):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    agent = chatting.agent(unique, output_schema=schema)
    chat = chatting.chat(agent)
    assert chatting.say(chat, script(deltas=['```json\n{"n": 1}\n```'])).status == 200
    body = chatting.vendor.requests()[-1]["body"]
    assert body["response_format"] == {"type": "json_schema", "json_schema": {
        "name": f"{unique}_response", "strict": True, "schema": {**schema, "additionalProperties": False}}}
    assert '"n"' in body["messages"][0]["content"]


def test_answer_that_does_not_fit_is_asked_for_once_more(chatting, unique):
    agent = chatting.agent(unique, output_schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    chatting.vendor.script(unique, [{"deltas": ["no json"]}, {"deltas": ['{"n": 2}']}])
    chatting.admin.put(f"/api/v1/agents/{agent}", {"model": unique})
    chat = chatting.chat(agent)
    assert chatting.say(chat, "go").json()["content"] == '{"n": 2}'
    chatting.vendor.script(unique, [{"deltas": ["no json"]}, {"deltas": ["again none"]}])
    assert chatting.say(chat, "go").json()["content"] == "again none"
    assert [m["role"] for m in chatting.get(chat)["messages"]] == ["user", "assistant"] * 2


# ---- failures ----

@pytest.mark.parametrize("steps, status, part", [
    ({"status": 401, "body": {"error": {"message": "bad key sk-abcdefghijklmnop1234", "type": "x"}}}, 502, "bad key"),
    ({"status": 400, "body": {"error": {"message": "no such thing"}}}, 502, "no such thing"),
    ({"deltas": ["half"], "cut": 1}, 502, ""),
    ({"garbage": 500}, 502, ""),
])
def test_failing_provider(chatting, agent, steps, status, part):
    chat = chatting.chat(agent)
    answer = chatting.say(chat, script(steps))
    assert answer.status == status and part in answer.detail
    assert "sk-abcdefghijklmnop1234" not in answer.text
    messages = chatting.get(chat)["messages"]
    assert messages[0]["role"] == "user" and messages[-1]["role"] == "assistant"
    assert part in messages[-1]["content"] and len(messages[-1]["content"]) < 400
    assert chatting.get(chat)["active_channel_id"] is None
    assert chatting.say(chat, script(deltas=["ok"])).json()["content"] == "ok"


def test_rate_limited_provider_is_asked_again(chatting, agent, unique):
    chatting.vendor.script(unique, [{"status": 429, "headers": {"Retry-After": "0"}, "body": "slow down"}, {"deltas": ["ok"]}])
    chatting.admin.put(f"/api/v1/agents/{agent}", {"model": unique})
    assert chatting.say(chatting.chat(agent), "hi").json()["content"] == "ok"


def test_partial_text_of_a_broken_stream_is_stored_once(chatting, agent):
    chat = chatting.chat(agent)
    assert chatting.say(chat, script(deltas=["one ", "two ", "three"], cut=2)).status == 502
    contents = [m["content"] for m in chatting.get(chat)["messages"]]
    assert contents[1] == "one two " and len(contents) == 3


def test_no_provider_says_what_to_do(new_sinas):
    fresh = new_sinas()
    root = fresh.client(fresh.new_key("sinas.*:all"))
    chat = root.post("/agents/default/default/chats", {}).json()
    answer = root.post(f"/chats/{chat['id']}/messages", {"content": "hi"})
    assert answer.status == 400 and "provider" in answer.detail
    messages = root.get(f"/chats/{chat['id']}").json()["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant"]
    stream = root.stream("POST", f"/chats/{chat['id']}/messages/stream", {"content": "hi"})
    events = list(stream)
    assert [e.event for e in events] == ["error"] and "provider" in events[0].json()["error"]
    assert root.post("/agents/default/default/invoke", {"message": "hi"}).status == 400


def test_inactive_provider_is_named(chatting, unique):
    provider = chatting.admin.post("/api/v1/llm-providers", {"name": unique, "provider_type": "openai", "api_key": "k",
                                                             "is_active": False}).json()
    agent = chatting.agent(unique, llm_provider_id=provider["id"])
    answer = chatting.say(chatting.chat(agent), "hi")
    assert answer.status == 400 and unique in answer.detail


def test_provider_without_model(chatting, unique):
    provider = chatting.admin.post("/api/v1/llm-providers", {"name": unique, "provider_type": "openai",
                                                             "api_endpoint": chatting.vendor.url + "/v1"}).json()
    agent = chatting.agent(unique, llm_provider_id=provider["id"])
    answer = chatting.say(chatting.chat(agent), "hi")
    assert answer.status == 400 and "model" in answer.detail


def test_undecryptable_key(chatting, sinas, unique):
    provider = chatting.admin.post("/api/v1/llm-providers", {"name": unique, "provider_type": "openai", "api_key": "k",
                                                             "default_model": "m"}).json()
    sinas.psql(f"update llm_providers set api_key = 'gAAAA' where id = '{provider['id']}'")
    agent = chatting.agent(unique, llm_provider_id=provider["id"])
    answer = chatting.say(chatting.chat(agent), "hi")
    assert answer.status == 400 and "credentials unusable" in answer.detail


def test_deadline_of_the_chat(chatting, agent):
    chat = chatting.chat(agent, job_timeout=1)
    answer = chatting.say(chat, script(deltas=["a", {"sleep": 60}]))
    assert answer.status == 504
    contents = [m["content"] for m in chatting.get(chat)["messages"]]
    assert contents[1:] == ["a", "Job cancelled or timed out"]


def test_model_that_never_ends(chatting, agent):
    chat = chatting.chat(agent)
    answer = chatting.say(chat, script(endless="x" * 200000), timeout=120)
    assert (answer.status, answer.detail) == (502, "The model's answer is too long")
    contents = [m["content"] for m in chatting.get(chat)["messages"]]
    assert set(contents[1]) == {"x"} and contents[2] == answer.detail
    assert chatting.vendor.wait("scripted", "aborted")


def test_chat_of_a_deleted_agent(chatting, agent):
    chat = chatting.chat(agent)
    assert chatting.admin.delete(f"/api/v1/agents/{agent}").status == 204
    answer = chatting.say(chat, "hi")
    assert (answer.status, answer.detail) == (404, "Agent not found")
    assert chatting.ann.get(f"/chats/{chat['id']}").status == 200


# ---- one turn at a time ----

def test_second_message_waits_for_the_first(chatting, agent):
    chat = chatting.chat(agent)
    replies = []
    threads = [threading.Thread(target=lambda n=n: replies.append(chatting.say(chat, script(deltas=[f"r{n}", {"sleep": 0.2}]))))
               for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.status for r in replies) == [200] * 4
    roles = [m["role"] for m in chatting.get(chat)["messages"]]
    assert roles == ["user", "assistant"] * 4


def test_busy_chat_is_409(chatting, agent):
    chat = chatting.chat(agent, keep_alive=True)
    stream = chatting.stream(chat, script(deltas=["a", {"sleep": 60}]))
    next(iter(stream))
    answer = chatting.say(chat, "second", timeout=60)
    assert answer.status == 409
    assert chatting.ann.delete(f"/chats/{chat['id']}").status == 204
    assert [e.event for e in stream] == ["error"]
    assert [m["role"] for m in chatting.get(chat)["messages"]] == ["user", "assistant"]


def test_turns_max(new_sinas, vendor):
    fresh = new_sinas(TURNS_MAX=1)
    root = fresh.client(fresh.new_key("sinas.*:all"))
    chatting = Chatting(fresh, vendor, root)
    chat = chatting.chat("default/default", keep_alive=True)
    stream = chatting.stream(chat, script(deltas=["a", {"sleep": 60}]))
    next(iter(stream))
    answer = chatting.say(chatting.chat("default/default"), "hi")
    assert answer.status == 503 and answer.headers["Retry-After"]
    stream.close()


# ---- invoke ----

def test_invoke_answers_reply_and_usage(chatting, agent):
    answer = chatting.ann.post(f"/agents/{agent}/invoke", {"message": script(deltas=["yes"], usage={
        "prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15})})
    assert answer.status == 200
    body = answer.json()
    assert body["reply"] == "yes" and body["session_key"] is None
    assert body["usage"] == {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    chat = chatting.ann.get(f"/chats/{body['chat_id']}").json()
    assert chat["title"] == "invoke:one-shot" and chat["session_key"] is None


def test_invoke_without_usage(chatting, agent):
    body = chatting.ann.post(f"/agents/{agent}/invoke", {"message": script(deltas=["x"], usage=False)}).json()
    assert body["usage"] is None


def test_invoke_sessions(chatting, agent, unique):
    def invoke(client, **more):
        return client.post(f"/agents/{agent}/invoke", {"message": "hi", "session_key": unique, **more})

    first = invoke(chatting.ann).json()
    assert first["session_key"] == unique
    assert invoke(chatting.ann).json()["chat_id"] == first["chat_id"]
    chat = chatting.ann.get(f"/chats/{first['chat_id']}").json()
    assert chat["session_key"] == unique and chat["title"] == f"invoke:{unique}" and len(chat["messages"]) == 4
    assert invoke(chatting.bob).status == 403
    second = invoke(chatting.ann, reset=True).json()
    assert second["chat_id"] != first["chat_id"]
    assert chatting.ann.get(f"/chats/{first['chat_id']}").json()["archived"] is True
    answer = chatting.ann.put(f"/chats/{first['chat_id']}", {"archived": False})
    assert answer.status == 409


def test_concurrent_first_invokes_share_the_session(chatting, agent, unique):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        chatting.ann.post(f"/agents/{agent}/invoke", {"message": "hi", "session_key": unique}))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.status for a in answers] == [200] * 6
    assert len({a.json()["chat_id"] for a in answers}) == 1


def test_expired_session_gives_its_key_free(chatting, sinas, agent, unique):
    first = chatting.ann.post(f"/agents/{agent}/invoke", {"message": "hi", "session_key": unique}).json()
    sinas.psql(f"update chats set expires_at = now() where id = '{first['chat_id']}'")
    second = chatting.ann.post(f"/agents/{agent}/invoke", {"message": "hi", "session_key": unique})
    assert second.status == 200 and second.json()["chat_id"] != first["chat_id"]


def test_invoke_fails_as_the_provider_does(chatting, agent):
    answer = chatting.ann.post(f"/agents/{agent}/invoke", {"message": script(status=400, body={"error": {"message": "nope"}})})
    assert answer.status == 502 and "nope" in answer.detail
    assert chatting.ann.post(f"/agents/{agent}/invoke", {"message": []}).status == 422
    assert chatting.ann.post("/agents/default/nobody/invoke", {"message": "x"}).status == 404


def test_invoke_timeout(chatting, unique):
    agent = chatting.agent(unique, default_job_timeout=1)
    answer = chatting.ann.post(f"/agents/{agent}/invoke", {"message": script(deltas=["a", {"sleep": 60}])})
    assert answer.status == 504


def test_invoke_input_only_counts_for_a_new_chat(chatting, unique):
    agent = chatting.agent(unique, input_schema={"required": ["n"]})
    assert chatting.ann.post(f"/agents/{agent}/invoke", {"message": "x", "input": {"m": 1}}).status == 400
    body = {"message": "x", "session_key": unique, "input": {"n": 1}}
    assert chatting.ann.post(f"/agents/{agent}/invoke", body).status == 200
    assert chatting.ann.post(f"/agents/{agent}/invoke", {**body, "input": {"m": 1}}).status == 200


# ---- usage ledger ----

def test_usage_rows_are_written(chatting, sinas, agent):
    chat = chatting.chat(agent)
    chatting.say(chat, script(deltas=["x"], usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}))
    chatting.say(chat, script(status=400, body="no"))
    rows = sinas.psql("select prompt_tokens, completion_tokens, total_tokens, error is null, provider, latency_ms >= 0"
                      f" from llm_usage where chat_id = '{chat['id']}' order by created_at").splitlines()
    assert rows == ["5|2|7|t|vendor|t", "0|0|0|f|vendor|t"]


def test_message_survives_a_dropped_socket(chatting, agent):
    chat = chatting.chat(agent)
    with pytest.raises(TimeoutError):
        chatting.say(chat, script(deltas=["a", {"sleep": 1}, "b"]), timeout=0.3)
    messages = until(lambda: [m for m in chatting.get(chat)["messages"] if m["role"] == "assistant"], what="the answer")
    assert messages[0]["content"] == "ab"


def test_deleting_stops_what_runs(chatting, agent, vendor):
    chat = chatting.chat(agent, keep_alive=True)
    stream = chatting.stream(chat, script(deltas=["part", {"sleep": 60}, "never"]))
    events = iter(stream)
    next(events)
    start = time.monotonic()
    assert chatting.ann.delete(f"/chats/{chat['id']}").status == 204
    rest = list(events)
    print(f"stopped after {time.monotonic() - start:.3f} s")
    assert [e.event for e in rest] == ["error"]
    contents = [m["content"] for m in chatting.get(chat)["messages"]]
    assert contents[1:] == ["part"]


def test_a_turn_that_waited_for_the_lock_knows_what_was_said_meanwhile(chatting, agent, sinas):
    """Another node ends its turn while ours waits for the row: our statement began before that end."""
    chat = chatting.chat(agent)
    chatting.say(chat, "first")
    other = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", sinas.database_url], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    other.stdin.write(f"""begin;
        update turns set ended_at = now() where chat_id = '{chat["id"]}';
        update chats set last_seq = last_seq + 1 where id = '{chat["id"]}';
        insert into messages (chat_id, seq, role, content, content_is_parts)
        select id, last_seq, 'assistant', 'from elsewhere', false from chats where id = '{chat["id"]}';
        select 'done';\n""")
    other.stdin.flush()
    assert other.stdout.readline() == "done\n"
    answers = []
    sender = threading.Thread(target=lambda: answers.append(chatting.say(chat, "second")))
    sender.start()
    until(lambda: sinas.psql("select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%into turns%'"
                             " and datname = current_database()"), what="a turn that waits for the lock")
    other.communicate("commit;\n")
    sender.join()
    assert answers[0].status == 200, answers
    asked = chatting.vendor.requests()[-1]["body"]["messages"]
    assert [m["content"] for m in asked[-2:]] == ["from elsewhere", "second"]
