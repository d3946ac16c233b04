"""Event streams: spec 20 §4, §5 and what must hold when they are cut."""

import json
import random
import socket
import time
import uuid

import pytest

from chatting import Chatting, script
from harness import until


@pytest.fixture(scope="module")
def chatting(sinas, vendor, admin):
    return Chatting(sinas, vendor, admin)


@pytest.fixture(scope="module")
def agent(chatting):
    return chatting.agent("streams")


def id_of(event):
    return tuple(int(part) for part in event.id.split("-"))


def text_of(events):
    return "".join(e.json().get("content") or "" for e in events if e.event == "message")


def check_order(events):
    """Ids only rise, and there is exactly one terminal event, the last one."""
    ids = [id_of(e) for e in events if e.id]
    assert ids == sorted(set(ids))
    assert [e.event in ("done", "error") for e in events] == [False] * (len(events) - 1) + [True]


def test_plain_answer(chatting, agent):
    chat = chatting.chat(agent)
    stream = chatting.stream(chat, script(deltas=["Hel", "lo ", "wörld\n"]))
    assert stream.status == 200
    assert stream.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["Cache-Control"] == "no-store"
    assert stream.headers["X-Accel-Buffering"] == "no"
    assert stream.headers["Content-Length"] is None
    assert "X-Stream-Channel" in stream.headers["Access-Control-Expose-Headers"]
    channel = stream.headers["X-Stream-Channel"]
    events = []
    for event in stream:
        events.append(event)
        if event.event == "done":  # everything is stored at this moment
            stored = chatting.get(chat)
            assert stored["messages"][-1]["content"] == "Hello wörld\n"
            assert stored["active_channel_id"] is None
    check_order(events)
    assert uuid.UUID(channel)
    assert text_of(events) == "Hello wörld\n"
    assert events[-1].event == "done" and events[-1].json() == {"status": "completed"}
    for event in events[:-1]:
        assert set(event.json()) == {"content", "tool_calls", "finish_reason"}
        assert any(value is not None for value in event.json().values())
    assert events[-2].json()["finish_reason"] == "stop"


def test_frames_are_as_the_contract_says(chatting, agent, sinas):
    chat = chatting.chat(agent)
    stream = chatting.stream(chat, script(deltas=["x"]))
    frames = stream.body().decode().split("\r\n\r\n")
    assert frames.pop() == ""
    for frame in frames:
        lines = frame.split("\r\n")
        assert [line.split(": ")[0] for line in lines] == ["id", "event", "data"]
        assert lines[2] != "data: "
        assert "\n" not in frame.replace("\r\n", "")


def test_active_channel_is_shown_while_it_runs(chatting, agent):
    chat = chatting.chat(agent)
    stream = chatting.stream(chat, script(deltas=["a", {"sleep": 0.5}, "b"]))
    events = iter(stream)
    next(events)
    assert chatting.get(chat)["active_channel_id"] == stream.headers["X-Stream-Channel"]
    list(events)
    assert chatting.get(chat)["active_channel_id"] is None


def test_tools_in_a_stream(chatting, agent):
    chat = chatting.chat(agent)
    tools = [{"id": "call_1", "name": "a", "arguments": {"q": "x"}, "split": 2}, {"id": "call_2", "name": "b", "arguments": {}}]
    events = list(chatting.stream(chat, script({"tools": tools}, {"deltas": ["fin"]})))
    check_order(events)
    names = [e.event for e in events if e.event != "message"]
    assert names == ["tool_start", "tool_start", "tool_end", "tool_end", "done"]
    start = next(e for e in events if e.event == "tool_start").json()
    assert start == {"type": "tool_start", "tool_call_id": "call_1", "name": "a", "arguments": '{"q": "x"}',
                     "description": "Running a"}
    end = next(e for e in events if e.event == "tool_end").json()
    assert set(end) == {"type", "tool_call_id", "name", "result"} and end["tool_call_id"] == "call_1"
    assert any(e.json()["tool_calls"] for e in events if e.event == "message")
    assert text_of(events) == "fin"


def test_failure_in_a_stream(chatting, agent):
    chat = chatting.chat(agent)
    events = list(chatting.stream(chat, script(deltas=["half", "gone"], cut=1)))
    check_order(events)
    assert events[-1].event == "error" and isinstance(events[-1].json()["error"], str)
    contents = [m["content"] for m in chatting.get(chat)["messages"]]
    assert contents[1:] == ["half", events[-1].json()["error"]]


def test_errors_before_the_stream_are_json(chatting, agent):
    chat = chatting.chat(agent)
    answer = chatting.ann.post(f"/chats/{chat['id']}/messages/stream", {"content": []})
    assert answer.status == 422 and answer.headers["Content-Type"] == "application/json"
    assert chatting.bob.post(f"/chats/{chat['id']}/messages/stream", {"content": "x"}).status == 403


def test_finished_channel_is_replayed_any_number_of_times(chatting, agent):
    chat = chatting.chat(agent)
    stream = chatting.stream(chat, script(deltas=[f"{i} " for i in range(20)]))
    channel = stream.headers["X-Stream-Channel"]
    events = list(stream)
    for _ in range(2):
        assert list(chatting.resume(chat, channel)) == events
        assert list(chatting.resume(chat, channel, "0")) == events
    for at in range(len(events)):
        assert list(chatting.resume(chat, channel, events[at].id)) == events[at + 1:]
        assert list(chatting.resume(chat, channel, headers={"Last-Event-ID": events[at].id})) == events[at + 1:]


def test_replay_from_redis_equals_replay_from_memory(chatting, agent, sinas):
    chat = chatting.chat(agent)
    tools = [{"id": "call_1", "name": "a", "arguments": {"q": "x"}}]
    stream = chatting.stream(chat, script({"deltas": ["ä"], "tools": tools}, {"deltas": ["fin"]}))
    channel = stream.headers["X-Stream-Channel"]
    events = list(stream)
    sinas.kill("reactor")
    until(lambda: sinas.client().get("/health").status == 200, what="a new reactor")
    assert list(chatting.resume(chat, channel)) == events
    assert list(chatting.resume(chat, channel, events[3].id)) == events[4:]


@pytest.mark.parametrize("last_id", ["x", "1-2-3", "-1", "1-x", ""])
def test_malformed_last_id(chatting, agent, last_id):
    chat = chatting.chat(agent)
    channel = chatting.stream(chat, "hi")
    list(channel)
    answer = chatting.ann.get(f"/chats/{chat['id']}/stream/{channel.headers['X-Stream-Channel']}?last_id={last_id}")
    assert answer.status == 422 and answer.detail[0]["loc"] == ["query", "last_id"]


def test_only_new_events(chatting, agent):
    chat = chatting.chat(agent, keep_alive=True)
    stream = chatting.stream(chat, script(deltas=["a", {"sleep": 1}, "b"]))
    channel = stream.headers["X-Stream-Channel"]
    next(iter(stream))
    assert text_of(chatting.resume(chat, channel, "$")) == "b"


def test_channel_belongs_to_one_chat(chatting, agent):
    chat, other = chatting.chat(agent), chatting.chat(agent)
    stream = chatting.stream(chat, "hi")
    list(stream)
    channel = stream.headers["X-Stream-Channel"]
    for path in (f"/chats/{other['id']}/stream/{channel}", f"/chats/{chat['id']}/stream/{uuid.uuid4()}",
                 f"/chats/{chat['id']}/stream/nonsense"):
        answer = chatting.ann.get(path)
        assert (answer.status, answer.detail) == (404, "Stream not found")
    assert chatting.bob.get(f"/chats/{chat['id']}/stream/{channel}").status == 404


def test_head_starts_nothing(chatting, agent):
    chat = chatting.chat(agent)
    stream = chatting.stream(chat, "hi")
    list(stream)
    answer = chatting.ann.request("HEAD", f"/chats/{chat['id']}/stream/{stream.headers['X-Stream-Channel']}")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.body == b""


def test_leaving_cancels_a_plain_chat_and_stores_its_text_once(chatting, agent, vendor):
    chat = chatting.chat(agent)
    stream = chatting.stream(chat, script(deltas=["part ", "two", {"sleep": 60}, "never"]))
    channel = stream.headers["X-Stream-Channel"]
    events = iter(stream)
    seen = [next(events), next(events)]
    stream.close()
    stored = until(lambda: (lambda c: c if c["active_channel_id"] is None else None)(chatting.get(chat)), what="the end")
    assert [m["content"] for m in stored["messages"]][1:] == [text_of(seen)]
    rest = list(chatting.resume(chat, channel, seen[-1].id))
    check_order(seen + rest)
    assert rest[-1].event == "error"
    assert chatting.say(chat, script(deltas=["on"])).json()["content"] == "on"


def test_leaving_does_not_end_a_keep_alive_chat(chatting, agent):
    chat = chatting.chat(agent, keep_alive=True)
    stream = chatting.stream(chat, script(deltas=["a", {"sleep": 0.5}, "b"]))
    next(iter(stream))
    stream.close()
    until(lambda: chatting.get(chat)["messages"][-1]["content"] == "ab", what="the whole answer")


def test_second_subscriber_keeps_a_turn_alive(chatting, agent):
    chat = chatting.chat(agent)
    stream = chatting.stream(chat, script(deltas=["a", {"sleep": 0.5}, "b"]))
    next(iter(stream))
    second = chatting.resume(chat, stream.headers["X-Stream-Channel"])
    next(iter(second))
    stream.close()
    assert text_of(second).endswith("b")


def job_status(sinas, channel):
    number = sinas.redis_url.rpartition("=")[2]
    return json.loads(sinas.servers.redis("-n", number, "get", f"sinas:job:status:{channel}"))


def test_job_status_and_cancel(chatting, agent, sinas, admin):
    chat = chatting.chat(agent, keep_alive=True)
    stream = chatting.stream(chat, script(deltas=["part", {"sleep": 60}]))
    job, events = stream.headers["X-Stream-Channel"], iter(stream)
    next(events)
    record = job_status(sinas, job)
    enqueued = record.pop("enqueued_at")
    assert record == {"status": "running", "channel_id": job, "queue": "agents", "type": "message", "chat_id": chat["id"], "agent": agent}
    assert abs(enqueued - time.time()) < 60
    path = f"/api/v1/queue/jobs/{job}/cancel"
    assert chatting.ann.post(path).detail == "Permission denied: sinas.system.update:all"
    answer = admin.post(path)
    assert (answer.status, answer.json()) == (200, {"status": "cancelled", "job_id": job})
    assert [(e.event, e.json()) for e in events] == [("error", {"error": "Job cancelled"})]
    record = job_status(sinas, job)
    assert record["status"] == "cancelled" and record["cancelled_at"] >= enqueued and record["error"] == "Job cancelled"
    assert admin.post(path).detail == "Job is already cancelled" and admin.post(path).status == 409
    unknown = uuid.uuid4()
    for id in (unknown, "nonsense"):
        answer = admin.post(f"/api/v1/queue/jobs/{id}/cancel")
        assert (answer.status, answer.detail) == (404, f"Job {id} not found")
    assert [m["content"] for m in chatting.get(chat)["messages"]][1:] == ["part"]


def test_job_status_of_ends(chatting, agent, sinas):
    for steps, status in (({"deltas": ["x"]}, "completed"), ({"status": 400, "body": "no"}, "failed")):
        stream = chatting.stream(chatting.chat(agent), script(steps))
        list(stream)
        record = until(lambda: (lambda r: r if r["status"] != "running" else None)(job_status(sinas, stream.headers["X-Stream-Channel"])))
        assert record["status"] == status and ("error" in record) == (status == "failed")


def test_heartbeat_of_the_reactor(sinas):
    number = sinas.redis_url.rpartition("=")[2]
    key, = sinas.servers.redis("-n", number, "keys", "sinas:worker:active:*").split()
    beat = json.loads(sinas.servers.redis("-n", number, "get", key))
    assert set(beat) == {"worker_id", "queue", "max_jobs", "started_at", "last_heartbeat"} and beat["queue"] == "agents"
    assert 0 < int(sinas.servers.redis("-n", number, "ttl", key)) <= 30


def test_resume_at_every_event_boundary(chatting, agent):
    """A live keep-alive stream is left after its n-th event, for every n, and resumed by Last-Event-ID."""
    deltas = [f"<{i}>" for i in range(30)]
    for cut in range(1, 32):
        chat = chatting.chat(agent, keep_alive=True)
        stream = chatting.stream(chat, script(deltas=deltas, pace=0.002))
        channel, events = stream.headers["X-Stream-Channel"], []
        for event in stream:
            events.append(event)
            if len(events) == cut:
                break
        stream.close()
        events += list(chatting.resume(chat, channel, headers={"Last-Event-ID": events[-1].id}))
        check_order(events)
        assert text_of(events) == "".join(deltas)


def whole_frames(data):
    """Events of the raw bytes of a chunked response that was cut somewhere: only those that arrived whole."""
    head, _, rest = data.partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, found, rest = rest.partition(b"\r\n")
        if not found or not size:
            break
        chunk = rest[:int(size, 16)]
        body, rest = body + chunk, rest[int(size, 16) + 2:]
    frames = body.split(b"\r\n\r\n")[:-1]
    return head, [dict(line.split(": ", 1) for line in frame.decode().split("\r\n")) for frame in frames]


def test_resume_after_cuts_at_random_bytes(chatting, agent, sinas):
    """The connection is dropped after n bytes, as a network does; what arrived whole is not sent again."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    deltas = [f"<{i}>" for i in range(30)]
    host, port = sinas.url.removeprefix("http://").split(":")
    for _ in range(200):
        chat = chatting.chat(agent, keep_alive=True)
        body = b'{"content": %s}' % json.dumps(script(deltas=deltas)).encode()
        request = (f"POST /chats/{chat['id']}/messages/stream HTTP/1.1\r\nHost: x\r\n"
                   f"Authorization: {chatting.ann.headers['Authorization']}\r\nContent-Type: application/json\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        limit, data = dice.randrange(900, 5000), b""
        with socket.create_connection((host, int(port)), timeout=30) as raw:
            raw.sendall(request)
            while len(data) < limit and b"event: done" not in data:
                more = raw.recv(limit - len(data))
                if not more:
                    break
                data += more
        head, frames = whole_frames(data)
        channel = next(line.split(": ")[1] for line in head.decode().split("\r\n") if line.startswith("X-Stream-Channel"))
        last = frames[-1]["id"] if frames else "0"
        rest = list(chatting.resume(chat, channel, last)) if not frames or frames[-1]["event"] != "done" else []
        text = "".join(json.loads(f["data"]).get("content") or "" for f in frames if f["event"] == "message") + text_of(rest)
        assert text == "".join(deltas)
        ids = [tuple(map(int, f["id"].split("-"))) for f in frames] + [id_of(e) for e in rest]
        assert ids == sorted(set(ids))


def test_long_silence_is_filled_with_pings(new_sinas, vendor):
    fresh = new_sinas()
    chatting = Chatting(fresh, vendor, fresh.client(fresh.new_key("sinas.*:all")))
    chat = chatting.chat("default/default")
    start = time.monotonic()
    events = list(chatting.stream(chat, script(deltas=["a", {"sleep": 17}, "b"]), timeout=170))
    pings = [e for e in events if e.event == "ping"]
    print(f"{len(pings)} pings in {time.monotonic() - start:.1f} s")
    assert pings and all(e.data == "" and e.id is None for e in pings)
    assert text_of([e for e in events if e.event != "ping"]) == "ab"
