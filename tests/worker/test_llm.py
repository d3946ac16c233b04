"""The llm worker against the scripted vendor."""

import json
import re
import socket
import threading
import time

import pytest
from proto import HASH, Reactor, encode

from conftest import Client

PROVIDER, TIMEOUT, CREDENTIALS, WORKER = range(4)


def texts(events):
    return [values["text"] for name, values in events if name == "llm_delta"]


def calls_of(events):
    return json.loads(events[-1][1]["tool_calls"])


# ---- what a stream is made of ----

PROVIDERS = ["openai", "mistral", "anthropic", "ollama"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_event_per_delta(client, provider):
    events = client.events(provider=provider)
    assert texts(events) == ["Hello", ", ", "world", "."]
    assert events[-1] == ("llm_end", {**events[-1][1], "finish_reason": "stop", "tool_calls": None, "has_usage": 1,
                                      "completion_tokens": 7})


def test_openai_request(client, vendor):
    client.text(temperature=0, max_tokens=5, tools=[{"type": "function", "function": {"name": "f"}}],
                messages=[{"role": "system", "content": "s"}, {"role": "user", "content": [
                    {"type": "image", "image": "https://example.com/a.png"}]}],
                config={"organization_id": "org-1"})
    request, = vendor.requests()
    assert request["invalid"] is None
    assert request["path"] == "/v1/chat/completions"
    assert request["headers"]["openai-organization"] == "org-1"
    assert "authorization" not in request["headers"] and "accept-encoding" not in request["headers"]
    body = request["body"]
    assert body["temperature"] == 0 and body["max_tokens"] == 5 and body["tool_choice"] == "auto"
    assert body["stream"] is True and body["stream_options"] == {"include_usage": True}
    assert body["messages"][1]["content"] == [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "auto"}},
        {"type": "text", "text": "Image URL: https://example.com/a.png"}]


def test_no_usage_when_switched_off(client, vendor):
    events = client.events(config={"stream_usage": False})
    assert events[-1][1]["has_usage"] == 0
    assert "stream_options" not in vendor.requests()[0]["body"]


@pytest.mark.parametrize("how", ["bytewise", "crlf", "cr", "comments", "bom", "finish_early", "close"])
@pytest.mark.parametrize("done", [True, False])
def test_as_vendors_write_it(client, vendor, how, done):
    vendor.script("m", {"deltas": ["a\u00e4\U0001f600", "b"], how: True, "done": done})
    events = client.events()
    assert texts(events) == ["a\u00e4\U0001f600", "b"]
    assert events[-1][1]["finish_reason"] == "stop"


@pytest.mark.parametrize("how", ["bytewise", "crlf", "close"])
def test_ollama_as_vendors_write_it(client, vendor, how):
    vendor.script("m", {"deltas": ["a\u00e4", {"raw": "\nnot json\n"}, "b"], how: True})
    assert client.text(provider="ollama") == "a\u00e4b"


@pytest.mark.parametrize("split", [0, 1, 3])
def test_parallel_tool_calls(client, vendor, split):
    vendor.script("m", {"deltas": ["so"], "tools": [
        {"id": "call_a", "name": "f", "arguments": {"x": "\u00e4"}, "split": split},
        {"id": "call_b", "name": "g", "arguments": {}, "split": split}]})
    events = client.events(tools=[{"type": "function", "function": {"name": "f"}}])
    assert events[-1][1]["finish_reason"] == "tool_calls"
    calls = calls_of(events)
    assert [(call["id"], call["type"], call["function"]["name"]) for call in calls] == [
        ("call_a", "function", "f"), ("call_b", "function", "g")]
    assert json.loads(calls[0]["function"]["arguments"]) == {"x": "\u00e4"}
    deltas = [json.loads(values["tool_json"]) for name, values in events if name == "llm_tool_delta"]
    assert "".join(d["function"]["arguments"] for d in deltas if d["index"] == 0) == calls[0]["function"]["arguments"]
    assert deltas[0]["id"] == "call_a" and all("id" not in d for d in deltas if d["index"] == 0 and d != deltas[0])


def test_ids_are_made_up(client, vendor):
    vendor.script("m", {"tools": [{"id": None, "name": "f", "arguments": "{}"}, {"id": None, "name": "f"}]})
    ids = [call["id"] for call in calls_of(client.events())]
    assert len(set(ids)) == 2 and all(re.fullmatch("call_[0-9a-f]{24}", id) for id in ids)


def test_ollama_tool_calls(client, vendor):
    vendor.script("m", {"tools": [{"name": "f", "arguments": {"x": 1.50}}, {"name": "g"}]})
    events = client.events(provider="ollama", temperature=0.5, max_tokens=3, messages=[
        {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image", "image": "data:image/png;base64,AAAA"}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "h", "arguments": "{\"y\": 2}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "r"}])
    assert events[-1][1]["finish_reason"] == "tool_calls"
    assert [call["function"]["name"] for call in calls_of(events)] == ["f", "g"]
    assert json.loads(calls_of(events)[0]["function"]["arguments"]) == {"x": 1.5}
    body = vendor.requests()[0]["body"]
    assert body["messages"] == [
        {"role": "user", "content": "see", "images": ["AAAA"]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "h", "arguments": {"y": 2}}}]},
        {"role": "tool", "content": "r", "tool_name": "h"}]
    assert body["options"] == {"temperature": 0.5, "num_predict": 3}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tools_of_every_provider(client, vendor, provider):
    vendor.script("m", {"deltas": ["so"], "tools": [{"name": "f", "arguments": {"x": 1}, "split": 2}, {"name": "g"}]})
    events = client.events(provider=provider, tools=[{"type": "function", "function": {"name": "f"}}])
    assert texts(events) == ["so"] and events[-1][1]["finish_reason"] == "tool_calls"
    assert [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls_of(events)] == [
        ("f", {"x": 1}), ("g", {})]
    assert len({call["id"] for call in calls_of(events)}) == 2


def test_anthropic_headers_and_retry(client, vendor):
    token = ("gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==")
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    vendor.script("m", [{"status": 529, "headers": {"retry-after": "0"}, "body": overloaded}, {"deltas": ["ok"]}])
    assert client.text(provider="anthropic", key=token, endpoint=vendor.url + "/v1/") == "ok"
    request = vendor.requests()[1]
    assert request["path"] == "/v1/messages"
    assert request["headers"]["x-api-key"] == "hello" and request["headers"]["anthropic-version"] == "2023-06-01"
    assert "authorization" not in request["headers"]


# ---- failures ----

def test_retries_what_may_be_retried(client, vendor):
    vendor.script("m", [{"status": 429, "headers": {"retry-after": "0"}, "body": {"error": {"message": "slow"}}},
                        {"status": 503, "headers": {"retry-after-ms": "1"}, "body": "busy"}, {"deltas": ["ok"]}])
    assert client.text() == "ok"
    assert len(vendor.requests()) == 3


def test_retry_after_is_waited_for(client, vendor):
    vendor.script("m", [{"status": 429, "headers": {"retry-after": "1"}, "body": "x"}, {"deltas": ["ok"]}])
    before = time.monotonic()
    assert client.text() == "ok"
    assert time.monotonic() - before >= 0.99


def test_retries_end(client, vendor):
    vendor.script("m", {"status": 500, "headers": {"retry-after": "0"},
                        "body": {"error": {"message": "the \u00e4nd " + "x" * 500}}})
    failed = client.failure(config={"max_retries": 1})
    assert failed["failure"] == PROVIDER and failed["http_status"] == 500
    assert failed["message"].startswith("the \u00e4nd xx") and len(failed["message"]) == 300
    assert len(vendor.requests()) == 2


def test_ollama_answers_are_not_retried(client, vendor):
    vendor.script("m", {"status": 500, "body": {"error": "model is broken"}})
    assert client.failure(provider="ollama")["message"] == "model is broken"
    assert len(vendor.requests()) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_not_retried(client, vendor, status):
    vendor.script("m", {"status": status, "headers": {"location": "/v1/models"}, "body": "no"})
    assert client.failure()["http_status"] == status
    assert len(vendor.requests()) == 1


def test_key_is_sent_and_masked(client, vendor):
    token = ("gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==")
    vendor.script("m", {"status": 401, "body": {"error": {"message": "Wrong key hello and sk-abcdefgh12345."}}})
    failed = client.failure(key=token)
    assert vendor.requests()[0]["headers"]["authorization"] == "Bearer hello"
    assert failed["message"] == "Wrong key hello and ***."  # too short a key to be masked without harm


def test_unusable_key(client, vendor):
    failed = client.failure(key="gAAAAAnonsense")
    assert failed["failure"] == CREDENTIALS and failed["message"] == "provider credentials unusable"
    assert vendor.requests() == []


@pytest.mark.parametrize("refusal, check", [
    ({"message": "Unsupported value: 'temperature' does not support 0.7 with this model.", "param": "temperature",
      "code": "unsupported_value"}, lambda body: "temperature" not in body),
    ({"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
      "instead.", "param": "max_tokens"}, lambda body: "max_tokens" not in body and body["max_completion_tokens"] == 9),
    ({"message": "Unknown parameter: 'stream_options'."}, lambda body: "stream_options" not in body),
])
def test_asks_again_without_an_unsupported_parameter(client, vendor, refusal, check):
    vendor.script("m", [{"status": 400, "body": {"error": refusal}}, {"deltas": ["ok"]}])
    assert client.text(temperature=0.7, max_tokens=9) == "ok"
    assert client.text(temperature=0.7, max_tokens=9) == "ok"
    first, second, third = [request["body"] for request in vendor.requests()]
    assert not check(first) and check(second) and check(third)


def test_another_400_is_final(client, vendor):
    vendor.script("m", {"status": 400, "body": {"error": {"message": "temperature must be at most 2"}}})
    assert client.failure(temperature=3)["message"] == "temperature must be at most 2"
    assert len(vendor.requests()) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_broken_stream_is_not_retried(client, vendor, provider):
    vendor.script("m", {"deltas": ["a", "b", "c"], "cut": 2})
    events = client.events(provider=provider)
    assert texts(events) == ["a", "b"]
    assert events[-1][0] == "llm_failed" and events[-1][1]["failure"] == PROVIDER
    assert "broke off" in events[-1][1]["message"]
    assert len(vendor.requests()) == 1


def test_silent_end_is_a_break(client, vendor):
    vendor.script("m", {"deltas": ["a"], "finish": None, "done": False, "close": True})
    assert "broke off" in client.failure()["message"]


def test_error_in_the_stream(client, vendor):
    vendor.script("m", {"deltas": ["a", {"raw": 'data: {"error": {"message": "overloaded"}}\n\n'}, "b"]})
    events = client.events()
    assert texts(events) == ["a"] and events[-1][1]["message"] == "overloaded"


def test_junk_is_skipped(client, vendor):
    vendor.script("m", {"deltas": ["a", {"raw": "data: {nonsense\n\ndata: []\n\nevent: x\n\nid: 1\n\nfoo\n\n"}, "b"]})
    assert client.text() == "ab"


def test_no_stream_at_all(client, vendor):
    vendor.script("m", {"body": {"choices": []}})
    assert "expected stream" in client.failure()["message"]


@pytest.mark.parametrize("script, words", [
    ({"garbage": 1 << 20}, "expected stream"),
    ({"gzip": True}, "compressed"),
    ({"deltas": [{"raw": "data: " + "x" * 100}] * 1, "long_line": 17 << 20}, "too large"),
    ({"tools": [{"name": "f", "arguments": "x" * (600 << 10), "split": 10000}]}, "tool calls are too large"),
    ({"tools": [{"name": "f"}] * 200}, "tool calls are too large"),
])
def test_malicious(client, vendor, script, words):
    vendor.script("m", script)
    assert words in client.failure()["message"]
    assert client.text(model="other") == "Hello, world."


def test_giant_headers(client, vendor):
    vendor.script("m", {"headers_size": 1 << 20})
    assert "headers are too large" in client.failure()["message"]


def test_long_line_is_cut_into_events(client, vendor):
    vendor.script("m", {"long_line": 10 << 20})
    parts = texts(client.events())
    assert sum(map(len, parts)) == 10 << 20 and max(map(len, parts)) == 256 << 10


def test_nobody_listens(client):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        failed = client.failure(endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}", config={"max_retries": 1})
    assert failed["failure"] == PROVIDER and "cannot be reached" in failed["message"]


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1/x", "nonsense\n:", "file:///etc/passwd", "http://"])
def test_bad_endpoint(client, endpoint):
    assert client.failure(endpoint=endpoint, config={"max_retries": 0})["failure"] == PROVIDER


def test_unknown_type_and_no_chat(client):
    call = client.reactor.start(provider_type="other", body_json="{}")
    assert list(client.reactor.events(call))[-1][1]["failure"] == WORKER
    call = client.reactor.start(provider_type="openai", body_json='{"model": "m"}')
    assert list(client.reactor.events(call))[-1][1]["failure"] == WORKER


# ---- time ----

def test_total_timeout(client, vendor):
    vendor.script("m", {"endless": "x", "pace": 0.01})
    events = client.events(config={"timeout": 0.3})
    assert events[-1][0] == "llm_failed" and events[-1][1]["failure"] == TIMEOUT
    assert vendor.wait("m", "aborted")


def test_deadline_of_the_reactor(client, vendor):
    vendor.script("m", {"hang": True})
    assert client.failure(timeout_ms=200)["failure"] == TIMEOUT


def test_idle_timeout(client, vendor):
    vendor.script("m", {"deltas": ["a", {"sleep": 30}, "b"]})
    events = client.events(config={"idle_timeout": 0.2})
    assert texts(events) == ["a"] and events[-1][1]["failure"] == TIMEOUT


def test_comments_break_the_silence(client, vendor):
    vendor.script("m", {"deltas": ["a"] + [{"sleep": 0.2}, {"comment": "still there"}] * 5 + ["b"]})
    assert client.text(config={"idle_timeout": 0.6}) == "ab"


def test_retry_does_not_outlive_the_deadline(client, vendor):
    vendor.script("m", {"status": 429, "headers": {"retry-after": "50"}, "body": {"error": {"message": "later"}}})
    before = time.monotonic()
    assert client.failure(config={"timeout": 5})["message"] == "later"
    assert time.monotonic() - before < 4


# ---- cancelling, back-pressure, taking over ----

def test_cancel_closes_upstream_at_once(client, vendor):
    vendor.script("m", {"endless": "x", "pace": 0.01})
    call = client.start()
    client.reactor.receive()
    waiting = threading.Thread(target=lambda: took.append((vendor.wait("m", "aborted"), time.monotonic())))
    took = []
    waiting.start()
    before = time.monotonic()
    client.reactor.send("call_cancel", call_id=call)
    waiting.join()
    assert took[0][0] and took[0][1] - before < 2  # the worker needs no timer for it
    assert vendor.state()["open"]["m"] == 0


def test_cancel_while_waiting(client, vendor):
    vendor.script("m", {"status": 503, "headers": {"retry-after": "30"}, "body": "x"})
    call = client.start()
    assert vendor.wait("m", "finished")
    client.reactor.send("call_cancel", call_id=call)
    assert client.text(model="other") == "Hello, world."


def test_window_stops_the_vendor(client, vendor):
    vendor.script("m", {"endless": "x" * 1000})
    call = client.start(window=50000)
    received = []
    client.reactor.socket.settimeout(0.5)
    with pytest.raises(socket.timeout):
        while True:
            received.append(client.reactor.receive())
    client.reactor.socket.settimeout(20)
    assert 40000 <= sum(len(values["text"]) for _, values in received) < 200000
    client.reactor.send("call_ack", call_id=call, seq=len(received))
    assert client.reactor.receive()[0] == "llm_delta"
    client.reactor.send("call_cancel", call_id=call)
    assert vendor.wait("m", "aborted")


def test_many_calls_at_once(client, vendor):
    vendor.script("m", {"deltas": ["a", "b", "c"], "pace": 0.01})
    left = {client.start() for _ in range(500)}
    counts = {}
    while left:
        name, values = client.reactor.receive()
        counts[values["call_id"]] = counts.get(values["call_id"], 0) + 1
        if name == "llm_end":
            left.remove(values["call_id"])
            client.reactor.send("call_ack", call_id=values["call_id"], seq=counts[values["call_id"]])
    assert set(counts.values()) == {4}


def test_connections_are_reused(client, vendor):
    for _ in range(30):
        client.text()
    assert vendor.state()["connections"] < 5  # one or two: an answer's end may come behind the next request


def test_another_reactor_takes_over(client, worker, vendor):
    vendor.script("m", {"deltas": ["a", {"sleep": 0.3}, "b", "c"]})
    call = client.start(label="turn 7")
    assert client.reactor.receive() == ("llm_delta", {"call_id": call, "text": "a"})
    client.reactor.send("call_ack", call_id=call, seq=1)
    bystander = Reactor(worker.path)
    client.reactor.close()
    assert bystander.receive() == ("call_kept", {"call_id": call, "acked": 1, "label": "turn 7"})
    heir = Reactor(worker.path)
    assert heir.receive() == ("call_kept", {"call_id": call, "acked": 1, "label": "turn 7"})
    heir.send("call_adopt", call_id=call, seq=1)
    assert heir.receive() == ("llm_delta", {"call_id": call, "text": "b"})
    bystander.send("call_adopt", call_id=call, seq=1)
    assert bystander.receive() == ("call_gone", {"call_id": call})
    events = list(heir.events(call, acks=False))
    assert texts(events) == ["c"] and events[-1][0] == "llm_end"
    heir.send("call_ack", call_id=call, seq=4)
    heir.close()
    bystander.close()


def test_kept_call_is_cancelled(client, worker, vendor):
    vendor.script("m", {"endless": "x", "pace": 0.01})
    call = client.start()
    client.reactor.receive()
    client.reactor.close()
    heir = Reactor(worker.path)
    name, values = heir.receive()
    assert (name, values["call_id"]) == ("call_kept", call)
    heir.send("call_cancel", call_id=call)
    assert vendor.wait("m", "aborted")
    heir.close()


def test_sigterm_ends_with_calls_under_way(client, worker, vendor):
    vendor.script("m", {"hang": True})
    client.start()
    assert vendor.wait("m", "open")
    assert worker.stop() == 0
    worker.start()
    again = Client(worker, vendor)
    assert again.text(model="other") == "Hello, world."
    again.reactor.close()


@pytest.mark.parametrize("bytes", [
    encode("hello", proto=HASH ^ 1),
    encode("call_ack", call_id=1, seq=1),
    b"\xff\xff\xff\xff\x01\x00",
    b"\x00\x00\x00\x00\xff\xff",
])
def test_bad_greeting(worker, bytes):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(worker.path)
        connection.sendall(bytes)
        while connection.recv(1000):
            pass


@pytest.mark.parametrize("bytes", [
    encode("hello", proto=HASH),
    encode("llm_delta", call_id=1, text="x"),
    encode("call_ack", call_id=1, seq=1)[:-1].replace(b"\x10", b"\x0f", 1),
    encode("call_cancel", call_id=1).replace(b"\x08", b"\x09", 1) + b"x",
])
def test_bad_frame(client, worker, vendor, bytes):
    client.reactor.socket.sendall(bytes)
    with pytest.raises(EOFError):
        client.reactor.receive()
    again = Client(worker, vendor)
    assert again.text() == "Hello, world."
    again.reactor.close()
