"""Processes that die: what clients have seen is stored, streams end, nothing hangs (issue "must hold" 2 to 4)."""

import asyncio
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from chatting import Chatting, script
from harness import until

READY_SECONDS = 1.0  # the aim; ten times as much is allowed


@pytest.fixture
def crash(new_sinas, vendor):
    fresh = new_sinas()
    chatting = Chatting(fresh, vendor, fresh.client(fresh.new_key("sinas.*:all")))
    chatting.all_agent = chatting.agent("crash")
    return chatting


def id_of(event):
    return tuple(int(part) for part in event.id.split("-"))


def text_of(events):
    return "".join(e.json().get("content") or "" for e in events if e.event == "message")


def wait_ready(sinas, what):
    start = time.monotonic()

    def is_ready():
        try:
            return sinas.client(timeout=2).get("/health/ready").status == 200
        except OSError:
            return False

    until(is_ready, seconds=10 * READY_SECONDS, what=f"ready after {what}")
    print(f"ready {time.monotonic() - start:.3f} s after {what}")


def resume_until_end(chatting, chat, channel, events):
    """As an EventSource does: again and again, from the last id, until a terminal event."""
    for _ in range(100):
        last = next((e.id for e in reversed(events) if e.id), "0")
        try:
            for event in chatting.resume(chat, channel, headers={"Last-Event-ID": last}):
                events.append(event)
                if event.event in ("done", "error"):
                    return events
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"no terminal event; the last ones were {events[-3:]}")


@pytest.mark.parametrize("keep_alive", [True, False])
def test_reactor_killed_at_every_event_boundary(crash, keep_alive):
    deltas = [f"<{i}>" for i in range(58)]  # with the finish reason and the terminal event: 60 events
    for boundary in range(1, 60, 1 if keep_alive else 7):
        chat = crash.chat(crash.all_agent, keep_alive=keep_alive)
        stream = crash.stream(chat, script(deltas=deltas, pace=0.001))
        channel, events = stream.headers["X-Stream-Channel"], []
        try:
            for event in stream:
                events.append(event)
                if len(events) == boundary:
                    crash.sinas.kill("reactor")
        except (OSError, ValueError):
            pass  # cut in the middle of a frame
        except Exception as error:
            assert type(error).__name__ == "IncompleteRead", error
        seen = text_of(events)
        if events[-1].event not in ("done", "error"):
            resume_until_end(crash, chat, channel, events)
        ids = [id_of(e) for e in events if e.id]
        assert ids == sorted(set(ids)), boundary
        assert [e.event in ("done", "error") for e in events] == [False] * (len(events) - 1) + [True]
        messages = crash.get(chat)["messages"]
        stored = messages[1]["content"]
        assert stored.startswith(seen) and text_of(events) in (stored, "".join(deltas)), boundary
        assert "".join(deltas).startswith(stored)
        again = crash.say(chat, script(deltas=["next"]))
        assert again.status == 200 and again.json()["content"] == "next", (boundary, again)


class Crowd:
    """Clients that stream at once, each on a chat of its own, and resume as browsers do."""

    def __init__(self, chatting, count, message, keep_alive=True):
        self.chatting, self.results = chatting, []
        self.chats = [chatting.chat(chatting.all_agent, keep_alive=keep_alive) for _ in range(count)]
        self.threads = [threading.Thread(target=self.run, args=(chat, message)) for chat in self.chats]
        self.started = threading.Semaphore(0)

    def run(self, chat, message):
        events, channel, error = [], None, None
        try:
            stream = self.chatting.stream(chat, message, timeout=60)
            if stream.status != 200:
                self.started.release()
                self.results.append((chat, events, stream.status))
                return
            channel = stream.headers["X-Stream-Channel"]
            for event in stream:
                events.append(event)
                if len(events) == 3:
                    self.started.release()
        except Exception as caught:  # the server was killed: whatever the client saw of it
            error = caught
        if not (events and events[-1].event in ("done", "error")) and channel is not None:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                try:
                    for event in self.chatting.resume(chat, channel, headers={"Last-Event-ID": events[-1].id if events else "0"}):
                        if event.id:
                            events.append(event)
                    if events and events[-1].event in ("done", "error"):
                        break
                except Exception as caught:
                    error = caught
                time.sleep(0.05)
        self.results.append((chat, events, error))

    def start(self):
        for thread in self.threads:
            thread.start()
        for _ in self.threads:
            self.started.acquire(timeout=60)

    def join(self):
        for thread in self.threads:
            thread.join(timeout=120)
            assert not thread.is_alive(), "a client hangs"

    def check(self, text, may_fail=True):
        outcomes = {"done": 0, "error": 0, "none": 0}
        for chat, events, error in self.results:
            events = [e for e in events if e.event != "ping"]
            last = events[-1].event if events else "none"
            outcomes[last if last in outcomes else "none"] += 1
            ids = [id_of(e) for e in events]
            assert ids == sorted(set(ids))
            seen = text_of(events)
            assert text.startswith(seen)
            if last == "done":
                assert seen == text
            messages = until(lambda: (lambda c: c["messages"] if c["active_channel_id"] is None else None)(self.chatting.get(chat)),
                             what="the end of a turn")
            assert len([m for m in messages if m["role"] == "user"]) == 1
            if seen:
                assert messages[1]["content"].startswith(seen), (messages[1]["content"], seen)
        print("outcomes", outcomes)
        assert may_fail or outcomes["done"] == len(self.results)
        return outcomes


def starts(servers, command):
    """False while the dead server's children still hold its memory."""
    try:
        servers.control(command)
        return True
    except subprocess.CalledProcessError:
        return False


DELTAS = [f"<{i}>" for i in range(40)]
LONG = script(deltas=DELTAS, pace=0.05)


def test_llm_worker_killed(crash):
    crowd = Crowd(crash, 50, LONG)
    crowd.start()
    crash.sinas.kill("llm-0")
    crowd.join()
    outcomes = crowd.check("".join(DELTAS))
    assert outcomes["none"] == 0 and outcomes["done"] > 0
    wait_ready(crash.sinas, "the death of an llm worker")
    assert crash.say(crash.chat(crash.all_agent), script(deltas=["x"])).status == 200


def test_outbound_worker_killed(crash):
    crowd = Crowd(crash, 50, LONG)
    crowd.start()
    crash.sinas.kill("outbound-0")
    crowd.join()
    crowd.check("".join(DELTAS), may_fail=False)


def test_postgres_backends_killed(crash):
    crowd = Crowd(crash, 50, LONG)
    crowd.start()
    crash.sinas.psql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
    wait_ready(crash.sinas, "the death of all backends")
    crowd.join()
    outcomes = crowd.check("".join(DELTAS))
    assert outcomes["none"] == 0


def test_postmaster_killed(crash, servers):
    crowd = Crowd(crash, 50, LONG)
    crowd.start()
    try:
        os.kill(int(open(servers.directory + "/pg/postmaster.pid").readline()), signal.SIGKILL)
        answer = until(lambda: (lambda a: a if a.status == 503 else None)(crash.ann.get("/chats")), what="503")
        assert answer.detail == "Service temporarily unavailable"
        assert crash.sinas.client().get("/health").status == 200
        until(lambda: crash.sinas.client().get("/health/ready").status == 503, what="not ready")
    finally:
        until(lambda: starts(servers, "postgres-start"), seconds=30, what="PostgreSQL's return")
    wait_ready(crash.sinas, "the postmaster's return")
    crowd.join()
    outcomes = crowd.check("".join(DELTAS))
    assert outcomes["none"] == 0
    assert crash.say(crowd.chats[0], script(deltas=["x"])).status == 200


def test_answer_is_stored_when_the_database_returns(crash, servers):
    """It ends while PostgreSQL is away: its client hears of it after a while, and nothing of it is lost."""
    chat = crash.chat(crash.all_agent)
    stream = crash.stream(chat, script(deltas=["a", {"sleep": 0.5}, "b"]), timeout=60)
    events = [next(iter(stream))]
    try:
        servers.control("postgres-stop")
        start = time.monotonic()
        events += list(stream)
        print(f"error after {time.monotonic() - start:.1f} s")
        assert text_of(events) == "ab" and events[-1].event == "error" and "stored" in events[-1].json()["error"]
    finally:
        servers.control("postgres-start")
    wait_ready(crash.sinas, "PostgreSQL's return")
    messages = until(lambda: (lambda c: c["messages"] if c["active_channel_id"] is None else None)(crash.get(chat)), what="the end")
    assert [m["content"] for m in messages[1:]] == ["ab"]
    assert crash.say(chat, script(deltas=["on"])).status == 200


def test_answer_that_the_database_refuses_does_not_lock_the_chat(crash):
    crash.sinas.psql("""create function refuse() returns trigger language plpgsql as $$
                        begin if new.content = 'poison' then raise exception 'refused'; end if; return new; end $$;
                        create trigger refuse before insert on messages for each row execute function refuse()""")
    chat = crash.chat(crash.all_agent)
    answer = crash.say(chat, script(deltas=["poison"]))
    assert (answer.status, answer.detail) == (500, "The answer could not be stored")
    assert [m["content"] for m in crash.get(chat)["messages"]][1:] == [answer.detail]
    assert crash.say(chat, script(deltas=["on"])).json()["content"] == "on"


def test_redis_killed(crash, servers):
    crowd = Crowd(crash, 50, LONG)
    crowd.start()
    os.kill(int(open(servers.directory + "/redis.pid").read()), signal.SIGKILL)
    chat = crash.chat(crash.all_agent)
    stream = crash.stream(chat, script(deltas=["a", "b"]))
    assert stream.headers["X-Stream-Resume"] == "this-node-only"
    assert text_of([e for e in stream]) == "ab"
    channel = stream.headers["X-Stream-Channel"]
    assert text_of([e for e in crash.resume(chat, channel)]) == "ab"
    servers.control("redis-start")
    wait_ready(crash.sinas, "Redis's return")
    crowd.join()
    crowd.check("".join(DELTAS), may_fail=False)


def test_redis_that_is_full(crash, servers):
    """It refuses to store: streams go on from memory, and it gets them when it has room again."""
    number = crash.sinas.redis_url.rpartition("=")[2]
    chats = [crash.chat(crash.all_agent, keep_alive=True) for _ in range(2)]
    try:
        servers.redis("config", "set", "maxmemory", "1")
        first = crash.stream(chats[0], script(deltas=DELTAS))
        assert text_of([e for e in first]) == "".join(DELTAS)
        second = crash.stream(chats[1], script(deltas=["a", {"sleep": 2.5}, "b"]))
        events = [next(iter(second))]
    finally:
        servers.redis("config", "set", "maxmemory", "0")
    events += list(second)
    assert text_of(events) == "ab"
    channel = second.headers["X-Stream-Channel"]
    stored = servers.redis("-n", number, "xrange", f"sinas:stream:{channel}", "-", "+")
    assert all(e.id in stored for e in events)
    calls = int(dict(pair.split("=") for pair in servers.redis("info", "commandstats").split("cmdstat_xadd:")[1].split("\n")[0].strip().split(","))["calls"])
    print(f"{calls} XADD in all")
    assert text_of([e for e in crash.resume(chats[0], first.headers["X-Stream-Channel"])]) == "".join(DELTAS)


def test_redis_that_lost_everything_gets_running_streams_again(crash, servers):
    chat = crash.chat(crash.all_agent, keep_alive=True)
    stream = crash.stream(chat, script(deltas=["a", {"sleep": 1.5}, "b"]))
    channel, events = stream.headers["X-Stream-Channel"], iter(stream)
    first = next(events)
    servers.redis("flushall")
    os.kill(int(open(servers.directory + "/redis.pid").read()), signal.SIGKILL)
    servers.control("redis-start")
    rest = list(events)
    assert text_of([first, *rest]) == "ab"
    number = crash.sinas.redis_url.rpartition("=")[2]
    stored = servers.redis("-n", number, "xrange", f"sinas:stream:{channel}", "-", "+")
    assert first.id in stored and rest[-1].id in stored


def test_many_streams_on_one_reactor(new_sinas, vendor):
    """2 000 at once, every byte checked."""
    fresh = new_sinas()
    chatting = Chatting(fresh, vendor, fresh.client(fresh.new_key("sinas.*:all")))
    agent = chatting.agent("many")
    count, deltas = 2000, [f"<{i} äöü €>" for i in range(20)]
    host, port = fresh.url.removeprefix("http://").split(":")
    token = chatting.ann.headers["Authorization"]

    async def request(method, path, body):
        data = json.dumps(body, ensure_ascii=False).encode()
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
        writer.write((f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Type: application/json\r\n"
                      f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n").encode() + data)
        answer = await reader.read(-1)
        writer.close()
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert b" 200 " in head.split(b"\r\n")[0], answer[:300]
        if b"chunked" in head.lower():
            body, rest = b"", rest
            while rest:
                size, _, rest = rest.partition(b"\r\n")
                body, rest = body + rest[:int(size, 16)], rest[int(size, 16) + 2:]
            return body
        return rest

    async def one(chat, number):
        body = await request("POST", f"/chats/{chat}/messages/stream", {"content": script(deltas=[f"{number}:", *deltas], pace=0.05)})
        frames = [dict(line.split(": ", 1) for line in frame.split("\r\n")) for frame in body.decode().split("\r\n\r\n")[:-1]]
        ids = [tuple(map(int, f["id"].split("-"))) for f in frames if f["event"] != "ping"]
        assert ids == sorted(set(ids))
        assert "".join(json.loads(f["data"])["content"] or "" for f in frames if f["event"] == "message") == f"{number}:" + "".join(deltas)
        assert frames[-1]["event"] == "done"

    async def everything():
        gate = asyncio.Semaphore(64)

        async def create():
            async with gate:
                return json.loads(await request("POST", f"/agents/{agent}/chats", {}))["id"]

        chats = await asyncio.gather(*(create() for _ in range(count)))
        start = time.monotonic()
        await asyncio.gather(*(one(chat, number) for number, chat in enumerate(chats)))
        print(f"{count} streams of {len(deltas) + 1} deltas in {time.monotonic() - start:.1f} s")

    asyncio.run(everything())
    stored = fresh.psql("select count(*), count(distinct content) from messages where role = 'assistant'")
    assert stored == f"{count}|{count}"


def test_sigterm_lets_running_answers_finish(crash):
    chats = [crash.chat(crash.all_agent) for _ in range(2)]
    streams = [crash.stream(chats[0], script(deltas=["a", {"sleep": 2}, "b"])),
               crash.stream(chats[1], script(deltas=["a", {"sleep": 60}, "b"]), timeout=60)]
    firsts = [next(iter(stream)) for stream in streams]
    assert [text_of([first]) for first in firsts] == ["a", "a"]
    start, status = time.monotonic(), []
    stopper = threading.Thread(target=lambda: status.append(crash.sinas.stop()))
    stopper.start()
    rests = [list(stream) for stream in streams]
    stopper.join()
    print(f"stopped after {time.monotonic() - start:.1f} s")
    assert status == [0]
    assert text_of(rests[0]) == "b" and rests[0][-1].event == "done"
    assert [e.event for e in rests[1]] == ["error"] and "shutting down" in rests[1][0].json()["error"]
    crash.sinas.start()
    contents = [m["content"] for m in crash.get(chats[1])["messages"]]
    assert contents[1:] == ["a"]
    assert crash.say(chats[1], script(deltas=["on"])).status == 200


def test_two_servers_share_chats_and_streams(crash, new_sinas):
    """Two nodes on one database and one Redis: each reads the other's streams, one turn per chat holds on both."""
    environment = {"SECRET_KEY": crash.sinas.environment["SECRET_KEY"]}
    other = new_sinas(database_url=crash.sinas.database_url, redis_url=crash.sinas.redis_url, **environment)
    ann = other.client(crash.ann.headers["Authorization"].removeprefix("Bearer "))
    chat = crash.chat(crash.all_agent, keep_alive=True)
    stream = crash.stream(chat, script(deltas=["a", {"sleep": 1.5}, "b"]))
    channel, events = stream.headers["X-Stream-Channel"], iter(stream)
    first = next(events)
    follower = ann.stream("GET", f"/chats/{chat['id']}/stream/{channel}")
    second = ann.post(f"/chats/{chat['id']}/messages", {"content": script(deltas=["later"])})
    mine = [first, *events]
    assert [e for e in follower] == mine and text_of(mine) == "ab"
    assert second.status == 200 and second.json()["content"] == "later"
    assert [e for e in ann.stream("GET", f"/chats/{chat['id']}/stream/{channel}?last_id={first.id}")] == mine[1:]
    roles = [m["role"] for m in crash.get(chat)["messages"]]
    assert roles == ["user", "assistant"] * 2


def test_survivor_ends_the_turns_of_a_dead_node(crash, new_sinas):
    """A whole server dies for good; after its lease another one closes its turns and streams."""
    environment = {"SECRET_KEY": crash.sinas.environment["SECRET_KEY"]}
    other = new_sinas(database_url=crash.sinas.database_url, redis_url=crash.sinas.redis_url, **environment)
    ann = other.client(crash.ann.headers["Authorization"].removeprefix("Bearer "))
    chat = crash.chat(crash.all_agent, keep_alive=True)
    stream = crash.stream(chat, script(deltas=["seen", {"sleep": 300}]))
    channel, events = stream.headers["X-Stream-Channel"], [next(iter(stream))]
    crash.sinas.process.kill()
    crash.sinas.process.wait()
    crash.sinas.psql("update nodes set lease_expires_at = now() where id in (select node_id from turns where ended_at is null)")
    events += list(ann.stream("GET", f"/chats/{chat['id']}/stream/{channel}?last_id={events[0].id}"))
    assert [e.event for e in events] == ["message", "error"]
    assert ann.post(f"/chats/{chat['id']}/messages", {"content": script(deltas=["on"])}).json()["content"] == "on"
    contents = [m["content"] for m in ann.get(f"/chats/{chat['id']}").json()["messages"] if m["role"] == "assistant"]
    assert contents[0] == "seen" and contents[-1] == "on"


def test_two_reactors_of_one_server(new_sinas, vendor):
    """HTTP_WORKERS=2: whichever of them a connection meets, streams are resumed and a chat has one turn at a time."""
    fresh = new_sinas(HTTP_WORKERS=2)
    chatting = Chatting(fresh, vendor, fresh.client(fresh.new_key("sinas.*:all")))
    agent = chatting.agent("two")
    for number in range(20):
        chat = chatting.chat(agent, keep_alive=True)
        stream = chatting.stream(chat, script(deltas=DELTAS, pace=0.01))
        channel, events = stream.headers["X-Stream-Channel"], []
        for event in stream:
            events.append(event)
            if len(events) == number + 1:
                break
        stream.close()
        again = []
        second = threading.Thread(target=lambda: again.append(chatting.say(chat, script(deltas=["second"]))))
        second.start()
        events += list(chatting.resume(chat, channel, headers={"Last-Event-ID": events[-1].id}))
        second.join()
        assert text_of(events) == "".join(DELTAS) and events[-1].event == "done"
        ids = [id_of(e) for e in events if e.id]
        assert ids == sorted(set(ids))
        assert again[0].status == 200 and again[0].json()["content"] == "second"
        assert [m["role"] for m in chatting.get(chat)["messages"]] == ["user", "assistant"] * 2
    assert len([title for title in fresh.children() if title.startswith("reactor")]) == 2
