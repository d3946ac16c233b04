"""Processes that die, freeze or shall end; what they may do; what systemd hears."""

import os
import pathlib
import signal
import socket

import pytest

from harness import Sinas, until

TITLES = ["llm-0", "llm-1", "outbound-0", "reactor"]


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def is_gone(pid):
    return not os.path.exists(f"/proc/{pid}") or status_of(pid)["State"].startswith("Z")


@pytest.fixture
def server(new_sinas):
    server = new_sinas()
    until(lambda: sorted(server.children()) == TITLES, what="all processes")
    return server


def new_pid(server, title, old):
    return until(lambda: server.children().get(title, old) != old and server.children()[title],
                 seconds=60, what=f"a new {title}")


@pytest.mark.parametrize("title", TITLES)
def test_what_dies_comes_back(server, title):
    new_pid(server, title, server.kill(title))
    assert f"{title}[" in server.log() and "was killed by signal 9" in server.log()
    assert server.client().get("/health").status == 200


def test_a_request_waits_for_the_next_reactor(server):
    for _ in range(3):
        server.kill("reactor")
        assert server.client().get("/health").status == 200


def test_several_reactors_are_nodes_of_their_own(new_sinas):
    server = new_sinas(HTTP_WORKERS=2)
    children = until(lambda: len(server.children()) == len(TITLES) + 1 and server.children(), what="all processes")
    commands = [pathlib.Path(f"/proc/{children[title]}/cmdline").read_bytes().split(b"\0")
                for title in ("reactor", "reactor-1")]
    nodes = {words[words.index(b"--node") + 1] for words in commands}
    assert len(nodes) == 2
    for _ in range(20):
        assert server.client().get("/health").status == 200


def test_a_frozen_reactor_is_replaced(server):
    new_pid(server, "reactor", server.kill("reactor", signal.SIGSTOP))
    assert server.client().get("/health").status == 200
    assert "is silent for" in server.log()


def test_processes_end_with_their_supervisor(server):
    pids = server.children().values()
    server.process.kill()
    server.process.wait()
    for pid in pids:
        until(lambda: is_gone(pid), what=f"end of {pid}")


def test_term_ends_everything_in_order(server):
    pids = server.children().values()
    assert server.stop() == 0
    assert all(is_gone(pid) for pid in pids)
    assert "killed" not in server.log()
    assert "ended with status" not in server.log()


def test_processes_have_no_rights(new_sinas):
    server = new_sinas(**({"RUN_USER": "nobody"} if os.geteuid() == 0 else {}))
    for title, pid in until(lambda: len(server.children()) == len(TITLES) and server.children()).items():
        status = until(lambda: status_of(pid)["NoNewPrivs"] == "1" and status_of(pid), what=f"{title} without rights")
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapInh"], 16) == 0
        assert int(status["CapAmb"], 16) == 0
        assert status["Uid"].split()[0] != "0" and len(set(status["Uid"].split())) == 1
        assert status["Groups"].split() in ([], [status["Gid"].split()[0]])
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]


def test_unknown_run_user_stops_the_start(servers):
    server = Sinas(servers, RUN_USER="nobody-of-that-name")
    try:
        if os.geteuid() == 0:
            with pytest.raises(AssertionError, match="RUN_USER"):
                server.start()
    finally:
        server.close()


def test_systemd_hears_of_it(servers, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(path)
        heard.settimeout(30)
        server = Sinas(servers, NOTIFY_SOCKET=path, WATCHDOG_USEC=200000)
        try:
            server.start()
            words = set()
            while not {b"READY=1", b"WATCHDOG=1"} <= words:
                words.add(heard.recv(100))
            server.process.send_signal(signal.SIGTERM)
            while b"STOPPING=1" not in words:
                words.add(heard.recv(100))
        finally:
            server.close()
