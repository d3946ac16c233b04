"""Naughty strings through every text field: taken over exactly, or the contract's 422 (spec 10 §1.2, §1.6)."""

import json
import re
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest

from chatting import Chatting
from harness import ROOT

# The public list, and some that it lacks. A string of `script:` would be a command to the scripted vendor.
STRINGS = list(dict.fromkeys([
    *json.loads((ROOT.parent / "shared" / "suites" / "strings" / "blns.json").read_text()),
    "\0", "a\0b", "\x01", "\x7f", "\x85", "\u2028", "\ufeff", "\ufeffa", "\ufffe", "\uffff", "\U0010ffff", "\u200b", "\u202e", "é", "é".encode().decode("latin-1"), "e\u0301", "ﬁ", "İ", "ß",
    "😀" * 100, "👨‍👩‍👧‍👦", " ", "\t", "\n", "\r\n", " a ", "a\n", "\na", "a\r", "a\tb", "null", "{}", "[]", "[1,2]", '"', "\\", "\\\\", "\\u0000", "\\x00", "%", "%s%n", "%00", "$1", "$$", "{{7*7}}", "{{ config }}", "{% raw %}",
    '[{"type":"text","text":"a"}]', '{"$ref":"#"}', "a" * 255, "a" * 256, "a" * 500, "a" * 501, "é" * 500, "é" * 501, "a" * 100000, "'; drop table users; --", "\\'", "E'\\0'", "::jsonb", "*", "..", ".", "/", "a/b", "a//b", "data: a\n\nevent: b",
    "0", "-1", "true", "NaN", "A", "a b", "a-b", "a_b", "a(b):c", "admin", "default", "__proto__", "root@sinas.test", "A@B.TEST", "a@b.test\r\nBcc: c@d.test", "ａ@b.test", "a@xn--bcher-kva.test", "a@bücher.test",
]))
RULES = {"string_too_long", "string_too_short", "string_pattern_mismatch", "value_error", "string_type"}


@pytest.fixture(scope="module")
def chatting(sinas, vendor, admin):
    return Chatting(sinas, vendor, admin)


def together(function, items):
    """In eight threads, each item's number given too."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda pair: function(*pair), enumerate(items)))


def refusal(answer, field, text, **more):
    """Checks a 422 about that field. The rules it names."""
    shown = more.get("shown", text)
    assert answer.status == 422, (text, answer)
    kinds = {item["type"] for item in answer.detail}
    assert kinds <= RULES or "\0" in text and kinds == {"json_invalid"}, (text, answer)
    for item in answer.detail:
        assert item["type"] == "json_invalid" or item["loc"][1] == field and item["input"] == shown, (text, answer)
    return kinds


# Kind, path, field, how to make a body; whether any text without NUL must be taken, up to how many characters, from how many.
FIELDS = {
    "skill description": ("/api/v1/skills", "description", lambda n: {"name": f"d{n}", "content": "c"}, True, None, 1),
    "skill content": ("/api/v1/skills", "content", lambda n: {"name": f"c{n}", "description": "d"}, True, None, 1),
    "skill name": ("/api/v1/skills", "name", lambda n: {"namespace": "names", "description": "d", "content": "c"}, False, 255, 1),
    "skill namespace": ("/api/v1/skills", "namespace", lambda n: {"name": "a", "description": "d", "content": "c"}, False, 255, 1),
    "agent description": ("/api/v1/agents", "description", lambda n: {"name": f"d{n}"}, True, None, 0),
    "agent system_prompt": ("/api/v1/agents", "system_prompt", lambda n: {"name": f"p{n}"}, True, None, 0),
    "agent model": ("/api/v1/agents", "model", lambda n: {"name": f"m{n}"}, True, 100, 0),
    "agent name": ("/api/v1/agents", "name", lambda n: {"namespace": "names"}, False, 255, 1),
    "agent namespace": ("/api/v1/agents", "namespace", lambda n: {"name": "a"}, False, 255, 1),
    "agent icon": ("/api/v1/agents", "icon", lambda n: {"name": f"i{n}"}, True, 512, 0),
    "provider name": ("/api/v1/llm-providers", "name", lambda n: {"provider_type": "openai"}, True, 100, 1),
    "provider default_model": ("/api/v1/llm-providers", "default_model", lambda n: {"name": f"dm{n}", "provider_type": "openai"}, True, 100, 0),
    "provider api_endpoint": ("/api/v1/llm-providers", "api_endpoint", lambda n: {"name": f"ae{n}", "provider_type": "openai"}, False, 500, 0),
    "API key name": ("/api/v1/api-keys", "name", lambda n: {}, True, 255, 1),
    "role name": ("/api/v1/roles", "name", lambda n: {}, False, 255, 1),
    "role description": ("/api/v1/roles", "description", lambda n: {"name": f"r{n}"}, True, None, 0),
}
EMPTY = {"provider api_endpoint": None}


@pytest.mark.parametrize("field", FIELDS)
def test_field(admin, field):
    path, name, make, takes_all, longest, shortest = FIELDS[field]

    def one(n, text):
        answer = admin.post(path, {**make(n), name: text})
        fits = "\0" not in text and len(text) >= shortest and (longest is None or len(text) <= longest)
        if answer.status in (200, 201):
            assert answer.json()[name] == (EMPTY.get(field, text) if not text else text) and fits, (text, answer)
            return 1
        if answer.status in (400, 409) and not takes_all:
            assert re.search("already exists|Invalid|reserved", str(answer.detail)), (text, answer)
            return 0
        refusal(answer, name, text)
        assert not (takes_all and fits), (text, answer)
        return 0

    taken = sum(together(one, STRINGS))
    print(f"{field}: {taken} of {len(STRINGS)} taken")
    assert taken > (len(STRINGS) // 2 if takes_all else 0)


def test_secrets_are_taken_and_never_shown(admin):
    def one(n, text):
        answer = admin.post("/api/v1/llm-providers", {"name": f"secret{n}", "provider_type": "openai", "api_key": text})
        if answer.status == 422:
            assert refusal(answer, "api_key", text, shown=None) and "\0" in text
        else:
            assert answer.status == 201 and "api_key" not in answer.json(), (text, answer)
    together(one, STRINGS)


def test_objects_keep_keys_and_values(admin):
    def one(n, text):
        value = {text: {"a": [text], text: text}}
        answer = admin.post("/api/v1/llm-providers", {"name": f"object{n}", "provider_type": "openai", "config": value})
        if answer.status == 422:
            assert "\0" in text, (text, answer)
        else:
            assert answer.status == 201 and answer.json()["config"] == value, (text, answer)
    together(one, STRINGS)
    good = [text for text in STRINGS if "\0" not in text]
    value = {str(i): text for i, text in enumerate(good)}
    answer = admin.post("/api/v1/agents", {"name": "all", "function_parameters": {"ns/f": value}, "provider_overrides": {"o": value},
                                           "initial_messages": [{"role": "user", "content": text} for text in good]})
    assert answer.status == 201, answer
    agent = admin.get("/api/v1/agents/default/all").json()
    assert agent["function_parameters"] == {"ns/f": value} and agent["provider_overrides"] == {"o": value}
    assert [message["content"] for message in agent["initial_messages"]] == good


def test_updates(admin):
    assert admin.post("/api/v1/skills", {"name": "updated", "description": "d", "content": "c"}).status == 201
    for text in STRINGS:
        answer = admin.put("/api/v1/skills/default/updated", {"content": text})
        if "\0" in text or not text:
            refusal(answer, "content", text)
        else:
            assert answer.status == 200 and admin.get("/api/v1/skills/default/updated").json()["content"] == text, (text, answer)


# ---- users ----

def test_emails(admin, http):
    def one(n, text):
        answer = admin.post("/api/v1/users", {"email": text})
        if answer.status in (200, 201):
            assert answer.json()["email"] == text.strip().lower(), (text, answer)
            assert re.fullmatch(r"[^\s@\0]+@[^\s@\0]+", answer.json()["email"])
            return 1
        if answer.status != 409:  # there is such a user
            assert refusal(answer, "email", text) <= {"value_error", "json_invalid"}
        answer = http.post("/auth/login", {"email": text})
        assert answer.status in ((413,) if len(text) > 16000 else (200, 403, 422) if "@" in text else (422,)), (text, answer)
        return 0
    assert sum(together(one, STRINGS)) > 0


def test_sign_in_with_anything(http):
    def one(n, text):
        for path, body in (("/auth/verify-otp", {"session_id": text, "otp_code": text}), ("/auth/refresh", {"refresh_token": text}),
                           ("/auth/verify-otp", {"session_id": "6f1c9a52-0f6c-4b0e-9f3e-9b7a4a1f8a10", "otp_code": text})):
            answer = http.post(path, body)
            assert answer.status in (400, 401, 413, 422, 429), (text, answer)
    together(one, STRINGS)


# ---- chats ----

def test_titles_and_messages(chatting):
    chatting.vendor.reset()
    agent = chatting.agent("naughty")

    def one(n, text):
        is_title = "\0" not in text and len(text) <= 500
        answer = chatting.ann.post(f"/agents/{agent}/chats", {"title": text})
        if not is_title:
            refusal(answer, "title", text)
            answer = chatting.ann.post(f"/agents/{agent}/chats", {})
        elif text.strip():
            assert answer.json()["title"] == text, (text, answer)
        assert answer.status == 200, (text, answer)
        chat = answer.json()
        answer = chatting.ann.put(f"/chats/{chat['id']}", {"title": text})
        assert answer.status == (200 if is_title else 422), (text, answer)
        assert not is_title or chatting.get(chat)["title"] == text
        answer = chatting.say(chat, text)
        if "\0" in text:
            assert answer.status == 422, (text, answer)
            return 0
        if not text.strip() and answer.status == 422:
            return 0
        assert answer.status == 200, (text, answer)
        messages = chatting.get(chat)["messages"]
        assert [message["content"] for message in messages] == [text, "Hello, world."], (text, messages)
        return 1

    said = sum(together(one, STRINGS))
    print(f"{said} of {len(STRINGS)} said")
    assert said > len(STRINGS) * 9 // 10
    asked = [request["body"]["messages"][-1]["content"] for request in chatting.vendor.requests()]
    assert not [request["invalid"] for request in chatting.vendor.requests() if request.get("invalid")]
    assert {text for text in STRINGS if "\0" not in text and text.strip()} <= {text if isinstance(text, str) else text[0]["text"] for text in asked}


def test_parts(chatting):
    agent = chatting.agent("naughty-parts")
    good = [text for text in STRINGS if "\0" not in text]
    chat = chatting.chat(agent)
    answer = chatting.say(chat, [{"type": "text", "text": text} for text in good])
    assert answer.status == 200, answer
    stored = json.loads(chatting.get(chat)["messages"][0]["content"])
    assert [part["text"] for part in stored] == good
    for text in ("\0", "a\0b"):
        assert chatting.say(chat, [{"type": "text", "text": text}]).status == 422

    def one(n, text):
        answer = chatting.say(chat, [{"type": text, "text": text}])
        assert answer.status == (200 if text == "text" else 422), (text, answer)
        if n % 8 == 0:
            own = chatting.chat(agent)
            for part in ({"type": "image", "image": text}, {"type": "file", "file_data": text, "filename": text}):
                answer = chatting.say(own, [part])
                assert answer.status in (200, 422), (text, part, answer)
    together(one, STRINGS)


def test_session_keys(chatting):
    agent = chatting.agent("naughty-sessions")

    def one(n, text):
        answer = chatting.ann.post(f"/agents/{agent}/invoke", {"message": "m", "session_key": text})
        if "\0" in text or len(text) > 500:
            refusal(answer, "session_key", text)
            return None
        assert answer.status == 200 and answer.json()["session_key"] == text, (text, answer)
        return chatting.get({"id": answer.json()["chat_id"]})["session_key"], text, answer.json()["chat_id"]

    done = [one for one in together(one, STRINGS) if one]
    assert all(stored == text for stored, text, _ in done)
    assert len({chat for _, _, chat in done}) == len(done)


# ---- paths and queries ----

PATHS = ["/api/v1/skills/default/{}", "/api/v1/skills/{}/a", "/api/v1/agents/default/{}", "/api/v1/agents/{0}/{0}", "/api/v1/llm-providers/{}", "/api/v1/users/{}", "/api/v1/api-keys/{}", "/api/v1/roles/{}", "/api/v1/roles/{}/members",
         "/chats/{}", "/chats/{}/messages", "/docs/assets/{}", "/{}"]
QUERIES = ["/api/v1/users?search={}", "/api/v1/users?{}=1", "/chats?agent={}", "/chats?include_archived={}", "/api/v1/skills?skip={}", "/api/v1/skills?limit={}", "/chats/6f1c9a52-0f6c-4b0e-9f3e-9b7a4a1f8a10/stream/a?last_id={}"]


@pytest.mark.parametrize("path", PATHS + QUERIES)
def test_paths_and_queries(admin, path):
    def one(n, text):
        quoted = urllib.parse.quote(text, safe="")
        for method in ("GET",) if "?" in path else ("GET", "DELETE"):
            if method == "DELETE" and text in ("", "admin", "root@sinas.test", "default"):
                continue
            answer = admin.request(method, path.format(quoted))
            if len(quoted) > 8000:
                assert answer.status == 414
            elif "\0" in text:
                assert answer.status == 400, (text, answer)
            else:
                assert answer.status in (200, 204, 400, 403, 404, 405, 422), (text, answer)
                assert "?" in path or answer.status != 400 or method == "DELETE" or "Bad Request" not in str(answer.detail), (text, answer)
    together(one, STRINGS)


def test_names_lead_to_their_objects(admin):
    """What was created by name is found by its encoded name, and only that."""
    for kind in ("skills", "agents"):
        for item in admin.get(f"/api/v1/{kind}").json():
            if item["namespace"] == "names":
                assert admin.get(f"/api/v1/{kind}/names/" + urllib.parse.quote(item["name"], safe="")).json()["id"] == item["id"]
    for item in admin.get("/api/v1/llm-providers").json():
        answer = admin.get("/api/v1/llm-providers/" + urllib.parse.quote(item["name"], safe=""))
        if item["name"] not in (".", ".."):
            assert answer.status == 200 and answer.json()["id"] == item["id"], (item, answer)
    for item in admin.get("/api/v1/roles?limit=1000").json():
        answer = admin.get("/api/v1/roles/" + urllib.parse.quote(item["name"], safe=""))
        assert answer.status == 200 and answer.json()["id"] == item["id"], (item, answer)


def test_nothing_went_wrong_inside(sinas):
    for line in sinas.log().splitlines():
        assert not re.search('"status":50[0234]', line) if line.startswith("{") else not re.search("error|panic|abort", line, re.I), line
