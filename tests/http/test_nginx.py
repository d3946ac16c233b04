"""The same requests through nginx, whose clients share one connection to the server: nobody is given another's answer."""

import random
import re
import threading

import pytest

from nginx import Nginx
from rows import ROWS, SILENT
from test_combinations import SEED, request
from wire import Wire, login, marked, new_marker, path_in_log, was_smuggled

PIPELINES = 600
MARKER = re.compile(rb"m[0-9]+m")


@pytest.fixture(scope="module")
def proxied(servers):
    from harness import Sinas
    sinas = Sinas(servers)
    nginx = None
    try:
        sinas.start()
        nginx = Nginx(sinas.socket.getsockname())
        yield sinas, nginx
    finally:
        if nginx:
            nginx.close()
        sinas.close()


class Victim:
    """A client of the same nginx who asks for his own answers."""

    asked = set()

    def __init__(self, address):
        self.wire = Wire(address)

    def ask(self):
        for make, status in ((marked, 200), (login, 422)):
            marker = new_marker()
            Victim.asked.add(marker)
            self.wire.send(make(marker))
            answer = self.wire.answer()
            assert answer is not None and (answer.status, answer.markers) == (status, [marker]), (answer, marker)

    def close(self):
        self.wire.socket.close()


def send_all(address, sent):
    """Everything that comes back, as it is: nginx answers some of this as HTTP/0.9."""
    with Wire(address) as wire:
        wire.send(sent)
        wire.half_close()
        while wire.more():
            pass
        return wire.got


def check_logs(sinas, nginx):
    assert not was_smuggled(sinas)
    assert not re.findall(r".*upstream sent.*", nginx.errors())


def test_rows(proxied):
    sinas, nginx = proxied
    victims = [Victim(nginx.buffered), Victim(nginx.direct)]
    answered = 0
    for row in ROWS:
        for address in (nginx.buffered, nginx.direct):
            marker = new_marker()
            got = send_all(address, row.sent + (marked(marker) if row.connection != SILENT else b""))
            assert MARKER.findall(got) in ([], [marker]), (row.name, marker, got[-2000:])
            answered += marker in got
            for victim in victims:
                try:
                    victim.ask()
                except AssertionError as error:
                    raise AssertionError(f"{row.name}: {error}") from error
    for victim in victims:
        victim.close()
    print(f"{len(ROWS)} rows, {answered} times the request behind it was answered; the victims' answers were theirs")
    check_logs(sinas, nginx)


def test_combinations(proxied):
    """Attackers and victims at the same time."""
    sinas, nginx = proxied
    failures, is_over, answered = [], threading.Event(), 0

    def be_a_victim(address):
        victim, count = Victim(address), 0
        try:
            while not is_over.is_set() or count == 0:
                victim.ask()
                count += 1
        except Exception as error:  # noqa: BLE001  shown by the test
            failures.append(error)
        victim.close()

    threads = [threading.Thread(target=be_a_victim, args=(address,)) for address in (nginx.buffered, nginx.direct)]
    for thread in threads:
        thread.start()
    try:
        for n in range(PIPELINES):
            r = random.Random(f"{SEED} nginx {n}")
            first = int(new_marker()[1:-1])
            sent = b"".join(request(r, new_marker()) for _ in range(r.randrange(1, 9)))
            got = MARKER.findall(send_all(nginx.direct if n % 2 else nginx.buffered, sent))
            order = [int(marker[1:-1]) for marker in got]  # markers rise
            try:
                assert first < min(order, default=first + 1) and order == sorted(set(order)) and not Victim.asked & set(got)
            except AssertionError as error:
                raise AssertionError(f"SEED={SEED}, pipeline {n}: {error}\n{sent!r}\n{got}") from error
            answered += len(got)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert not failures, failures
    print(f"SEED={SEED}: {PIPELINES} pipelines, {answered} marks came back, beside {len(Victim.asked)} of other clients")
    assert answered > PIPELINES / 2
    check_logs(sinas, nginx)


# ---- who the client is ----

PROXY = "127.0.0.2"


@pytest.fixture(scope="module")
def trusting(servers):
    """A server that trusts only the address from which nginx speaks to it."""
    from harness import Sinas
    sinas = Sinas(servers, TRUSTED_PROXIES=PROXY)
    nginx = None
    try:
        sinas.start()
        nginx = Nginx(sinas.socket.getsockname(), more=f"proxy_bind {PROXY};")
        yield sinas, nginx
    finally:
        if nginx:
            nginx.close()
        sinas.close()


def forwarded(*lines):
    return b"".join(b"X-Forwarded-For: " + text + b"\r\n" for text in lines)


CLIENTS = {
    "direct": (False, "127.0.0.1", b"", "127.0.0.1"),
    "direct, forged": (False, "127.0.0.1", forwarded(b"6.6.6.6"), "127.0.0.1"),
    "direct, forged as if by the proxy": (False, "127.0.0.1", forwarded(b"6.6.6.6, 127.0.0.2"), "127.0.0.1"),
    "direct from another address": (False, "127.0.0.9", forwarded(b"127.0.0.2"), "127.0.0.9"),
    "proxied": (True, "127.0.0.1", b"", "127.0.0.1"),
    "proxied from another address": (True, "127.0.0.9", b"", "127.0.0.9"),
    "proxied, forged": (True, "127.0.0.9", forwarded(b"6.6.6.6"), "127.0.0.9"),
    "proxied, forged twice": (True, "127.0.0.9", forwarded(b"6.6.6.6", b"7.7.7.7"), "127.0.0.9"),
    "proxied, forged as trusted": (True, "127.0.0.9", forwarded(b"6.6.6.6, 127.0.0.2"), "127.0.0.9"),
    "proxied, nonsense": (True, "127.0.0.9", forwarded(b"unknown, [::1, \xff"), "127.0.0.9"),
    "two proxies": (True, PROXY, forwarded(b"6.6.6.6"), "6.6.6.6"),
    "two proxies, forged": (True, PROXY, forwarded(b"7.7.7.7, 6.6.6.6"), "6.6.6.6"),
    "two proxies, IPv6": (True, PROXY, forwarded(b"2001:db8::1"), "2001:db8::1"),
    "two proxies, nonsense": (True, PROXY, forwarded(b"6.6.6.6, unknown"), PROXY),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_client_address(trusting, unique, name):
    sinas, nginx = trusting
    is_proxied, source, fields, wanted = CLIENTS[name]
    with Wire(nginx.direct if is_proxied else sinas.socket.getsockname(), source=(source, 0)) as wire:
        wire.send(b"GET /who-" + unique.encode() + b" HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
        assert wire.answer().status == 404
    assert path_in_log(sinas, f"/who-{unique}")["client"] == wanted


@pytest.mark.parametrize("is_proxied, scheme, is_secure", [
    (False, b"X-Forwarded-Proto: https", False), (True, b"X-Test-Scheme: https", True), (True, b"X-Test-Scheme: http", False),
    (True, b"X-Test-Scheme: https, http", False), (True, b"X-Forwarded-Proto: https", False),
])
def test_only_a_trusted_proxy_says_tls(trusting, is_proxied, scheme, is_secure):
    sinas, nginx = trusting
    with Wire(nginx.direct if is_proxied else sinas.socket.getsockname()) as wire:
        wire.send(b"GET /health HTTP/1.1\r\nHost: a\r\n" + scheme + b"\r\n\r\n")
        assert (wire.answer().field(b"strict-transport-security") is not None) == is_secure
