"""The n-th call of the reactor that reads, writes, connects, … fails, for every n of a scripted session (failing.c).

The session signs in, makes a chat, streams an answer and lists. Of a session with a failure every answer is the right one or a
clear error; the next one is right again, without a restart and without a descriptor more. Only memory that cannot be had ends the
process, which is the documented answer, and the supervisor starts another.

FAULT_ALL=1 takes every n; otherwise PER_KIND of them at random, with the seed printed.
"""

import errno
import http.client
import json
import mmap
import os
import pathlib
import random
import re
import struct
import subprocess
import time

import pytest

from chatting import Chatting, script
from harness import ROOT, SUPERADMIN, Sinas, until

KINDS = ("malloc", "read", "write", "connect", "accept", "epoll_ctl", "socket")
LAYOUT = struct.Struct(f"IiiI{len(KINDS)}I")
# 0: an end of file, or a write that takes only half.
ERRORS = {
    "malloc": (errno.ENOMEM,), "read": (errno.ECONNRESET, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, 0), "write": (errno.EPIPE, errno.EAGAIN, errno.EINTR, 0),
    "connect": (errno.ECONNREFUSED, errno.EAGAIN), "accept": (errno.EMFILE, errno.ECONNABORTED, errno.EINTR, errno.ENOBUFS), "epoll_ctl": (errno.ENOMEM, errno.ENOSPC), "socket": (errno.EMFILE,),
}
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
PER_KIND = None if os.environ.get("FAULT_ALL") == "1" else 6
# Of one request; more is a hang. libpq forgets an answer when it has no memory for it (pipeline sync), so that our watchdog
# must notice: at most a write's statement timeout and its grace.
TIMEOUT = 50
PLAIN_TEXT = "<a><b><c>"
GONE = (ConnectionError, http.client.HTTPException, TimeoutError, json.JSONDecodeError, ValueError)


class Refused(Exception):
    """The session cannot go on: an answer with a clear error, or none since the connection went."""


class Failing:
    """The control file of failing.c."""

    def __init__(self, directory):
        self.path = directory / "control"
        self.path.write_bytes(bytes(LAYOUT.size))
        self.file = open(self.path, "r+b")
        self.memory = mmap.mmap(self.file.fileno(), LAYOUT.size)

    def arm(self, kind, n, error):
        LAYOUT.pack_into(self.memory, 0, 0, n, error, 0, *[0] * len(KINDS))
        struct.pack_into("I", self.memory, 0, KINDS.index(kind) + 1)

    def disarm(self):
        """Whether it has struck."""
        struct.pack_into("I", self.memory, 0, 0)
        return LAYOUT.unpack_from(self.memory)[3] > 0

    def counts(self):
        return dict(zip(KINDS, LAYOUT.unpack_from(self.memory)[4:]))


@pytest.fixture(scope="module")
def faulty(servers, vendor, tmp_path_factory):
    if os.environ.get("SAN"):
        pytest.skip("a sanitizer has an allocator of its own")
    directory = tmp_path_factory.mktemp("failing")
    library = directory / "failing.so"
    subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared", "-U_FORTIFY_SOURCE", "-fno-builtin", "-D_GNU_SOURCE",
                    "-o", library, ROOT / "tests" / "fault" / "failing.c"], check=True)
    failing = Failing(directory)
    os.chmod(directory, 0o755)
    sinas = Sinas(servers, LD_PRELOAD=library, FAIL_FILE=failing.path, FAIL_PROCESS="reactor")
    try:
        sinas.start()
        chatting = Chatting(sinas, vendor, sinas.client(sinas.new_key("sinas.*:all")))
        chatting.session_agent = chatting.agent("nth")
        chatting.failing = failing
        yield chatting
    finally:
        sinas.close()


# ---- the session ----

def ask(client, method, path, body=None, wanted=(200,)):
    try:
        answer = client.request(method, path, json=body, timeout=TIMEOUT)
    except TimeoutError:
        raise AssertionError(f"{method} {path} hangs") from None
    except GONE as error:
        raise Refused(f"{method} {path}: {error!r}") from None
    if answer.status in wanted:
        return answer
    assert answer.status in (500, 502, 503, 504), (method, path, answer)
    assert isinstance(answer.detail, str) and answer.detail, answer
    raise Refused(f"{method} {path}: {answer}")


def sign_in(sinas):
    after = len(sinas.log())
    anyone = sinas.client()
    session = ask(anyone, "POST", "/auth/login", {"email": SUPERADMIN}).json()["session_id"]
    pattern = re.compile(r"^.*\b" + re.escape(SUPERADMIN) + r"\b.*?\b(\d{6})\b\s*$", re.M)
    try:
        code = until(lambda: pattern.search(sinas.log()[after:]), seconds=2, what="code")[1]
    except AssertionError:
        raise Refused("the line of the log with the code was not written") from None
    return sinas.client(ask(anyone, "POST", "/auth/verify-otp", {"session_id": session, "otp_code": code}).json()["access_token"])


def stream(user, chat):
    """The text of an answer, up to a terminal event."""
    text, last = "", None
    try:
        with user.stream("POST", f"/chats/{chat}/messages/stream", {"content": script(deltas=["<a>", "<b>", "<c>"])}, timeout=TIMEOUT) as events:
            if events.status != 200:
                raise Refused(f"stream: {events.status}")
            for event in events:
                last = event.event
                text += (event.json().get("content") or "") if last == "message" else ""
    except TimeoutError:
        raise AssertionError("the stream hangs") from None
    except GONE as error:
        raise Refused(f"stream: {error!r}") from None
    assert PLAIN_TEXT.startswith(text), text
    if last != "done":
        raise Refused(f"stream ended with {last}")
    assert text == PLAIN_TEXT
    return text


def session(chatting):
    user = sign_in(chatting.sinas)
    assert ask(user, "GET", "/auth/me").json()["email"] == SUPERADMIN
    chat = ask(user, "POST", f"/agents/{chatting.session_agent}/chats", {"title": "n"}).json()["id"]
    stream(user, chat)
    messages = ask(user, "GET", f"/chats/{chat}/messages").json()
    assert [message["role"] for message in messages] == ["user", "assistant"], messages
    assert messages[1]["content"] == PLAIN_TEXT
    assert chat in [one["id"] for one in ask(user, "GET", "/chats?limit=5").json()]
    ask(user, "DELETE", f"/chats/{chat}", wanted=(204,))


# ---- the failures ----

def descriptors(sinas):
    return len(os.listdir(f"/proc/{sinas.children()['reactor']}/fd"))


def is_ready(sinas):
    try:
        return sinas.client(timeout=5).get("/health/ready").status == 200
    except GONE:
        return False


def test_the_session_makes_calls_of_each_kind(faulty):
    session(faulty)
    before = faulty.failing.counts()
    session(faulty)
    counts = {kind: n - before[kind] for kind, n in faulty.failing.counts().items()}
    print("calls of a session:", counts)
    assert all(counts[kind] > 0 for kind in ("malloc", "read", "write", "accept", "epoll_ctl")), counts


def numbers(kind, error, count):
    """Which calls fail."""
    if PER_KIND is None:
        return range(1, count + 1) if kind != "malloc" else range(1, count + 1, max(1, count // 300))
    return sorted(random.Random(f"{SEED} {kind} {error}").sample(range(1, count + 1), min(PER_KIND, count)))


def begin(faulty, kind):
    """What comes before a session: a server that stands makes no connections of its own."""
    if kind in ("connect", "socket"):
        faulty.sinas.psql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
        faulty.sinas.servers.redis("client", "kill", "type", "normal")


def count_of(faulty, kind):
    before = faulty.failing.counts()[kind]
    begin(faulty, kind)
    recovers(faulty, "the start")
    return faulty.failing.counts()[kind] - before


def recovers(faulty, what):
    """The next session is right: at once, or when what is restarted or reconnects is there again."""
    end = time.monotonic() + 10
    while True:
        try:
            until(lambda: is_ready(faulty.sinas), what=f"ready after {what}")
            return session(faulty)
        except Refused as error:
            assert time.monotonic() < end, f"{what}: {error}"
            time.sleep(0.05)


@pytest.mark.parametrize("kind, error", [(kind, error) for kind in KINDS for error in ERRORS[kind]], ids=lambda value: errno.errorcode.get(value, "half") if isinstance(value, int) else value)
def test_nth_call_fails(faulty, kind, error):
    sinas = faulty.sinas
    recovers(faulty, "what was before")
    count, started = count_of(faulty, kind), descriptors(sinas)
    struck = refused = restarts = 0
    for n in numbers(kind, error, count):
        pid = sinas.children()["reactor"]
        faulty.failing.arm(kind, n, error)
        try:
            begin(faulty, kind)
            session(faulty)
        except Refused:
            refused += 1
        except AssertionError as wrong:
            raise AssertionError(f"SEED={SEED} {kind} {n} of {count}: {wrong}") from wrong
        if kind in ("connect", "socket"):
            recovers(faulty, "lost connections")
        struck += faulty.failing.disarm()
        recovers(faulty, f"{kind} {n} of {count}, {errno.errorcode.get(error, 'half')}, SEED={SEED}")
        if sinas.children()["reactor"] != pid:
            restarts += 1
            assert kind == "malloc" and "out of memory" in sinas.log().lower() or kind == "malloc" and "cannot allocate" in sinas.log(), f"SEED={SEED} {kind} {n}: the reactor died\n{sinas.log()[-3000:]}"
    print(f"SEED={SEED} {kind}: {struck} of {count} calls failed, {refused} sessions were refused, {restarts} restarts")
    assert struck > 0
    if restarts == 0:
        until(lambda: descriptors(sinas) <= started + 2, what=f"{kind}: {started} descriptors, now {descriptors(sinas)}")
