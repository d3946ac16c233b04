"""HTTP/1.1 as the real program speaks it (spec 10 §1.8-1.10): raw bytes over TCP. The details are in tests/unit/test_http.c and test_conn*.c."""

import re
import socket
import threading
import time

import pytest

HEAD = b"Host: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


class Raw:
    """A connection that sends bytes and reads answers."""

    def __init__(self, sinas):
        self.socket = socket.create_connection(sinas.socket.getsockname(), timeout=15)
        self.got = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))
        return self

    def more(self):
        part = self.socket.recv(65536)
        self.got += part
        return part

    def answer(self, to_head=False):
        """Status, headers (a list of pairs, names in lower case) and body."""
        while b"\r\n\r\n" not in self.got:
            if not self.more():
                return None, [], b""
        head, self.got = self.got.split(b"\r\n\r\n", 1)
        line, *fields = head.decode().split("\r\n")
        headers = [(name.lower(), value.strip()) for name, value in (field.split(":", 1) for field in fields)]
        length = 0 if to_head else int(dict(headers).get("content-length", 0))
        while len(self.got) < length:
            assert self.more()
        body, self.got = self.got[:length], self.got[length:]
        return int(line.split()[1]), headers, body

    def is_closed(self):
        try:
            return self.got == b"" and self.more() == b""
        except ConnectionResetError:
            return True


REFUSED = {
    "bare LF": (b"GET /health HTTP/1.1\nHost: a\n\n", 400),
    "HTTP/0.9": (b"GET /health\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "no Host": (b"GET /health HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET /health HTTP/1.1\r\n" + HEAD + HEAD + b"\r\n", 400),
    "folded": (b"GET /health HTTP/1.1\r\n" + HEAD + b"A: b\r\n c\r\n\r\n", 400),
    "CL.TE": (b"POST /auth/login HTTP/1.1\r\n" + HEAD + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "CL.CL": (b"POST /auth/login HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n" * 2 + b"\r\nhello", 400),
    "TE gzip": (b"POST /auth/login HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "TE in 1.0": (b"POST /auth/login HTTP/1.0\r\n" + HEAD + CHUNKED + b"\r\n0\r\n\r\n", 400),
    "chunk size": (b"POST /auth/login HTTP/1.1\r\n" + HEAD + CHUNKED + b"\r\n 1\r\na\r\n0\r\n\r\n", 400),
    "chunk too long": (b"POST /auth/login HTTP/1.1\r\n" + HEAD + CHUNKED + b"\r\n4001\r\n", 413),
    "long line": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", 414),
    "long header": (b"GET /health HTTP/1.1\r\n" + HEAD + b"A: " + b"a" * 33000 + b"\r\n\r\n", 431),
    "many fields": (b"GET /health HTTP/1.1\r\n" + HEAD + b"a: b\r\n" * 100 + b"\r\n", 431),
    "expectation": (b"GET /health HTTP/1.1\r\n" + HEAD + b"Expect: a\r\n\r\n", 417),
    "coded body": (b"POST /auth/login HTTP/1.1\r\n" + HEAD + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", 415),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_and_closed(sinas, name):
    sent, wanted = REFUSED[name]
    with Raw(sinas) as raw:
        status, headers, body = raw.send(sent).answer()
        assert status == wanted
        assert body.startswith(b'{"detail":"')
        assert ("connection", "close") in headers
        assert raw.is_closed()


def test_every_header_once(sinas):
    requests = [b"GET /health", b"GET /nowhere", b"POST /health", b"POST /auth/login", b"GET /api/v1/api-keys", b"OPTIONS *", b"HEAD /health"]
    for request in requests:
        with Raw(sinas) as raw:
            _, headers, _ = raw.send(request, b" HTTP/1.1\r\n", HEAD, b"\r\n").answer(request.startswith(b"HEAD"))
            names = [name for name, _ in headers]
            assert len(names) == len(set(names)), (request, headers)
            for name in ("date", "server", "x-request-id", "x-content-type-options", "referrer-policy", "x-frame-options",
                         "access-control-allow-origin", "access-control-expose-headers"):
                assert name in names, (request, name)


def test_pipeline(sinas):
    with Raw(sinas) as raw:
        raw.send((b"GET /health HTTP/1.1\r\n" + HEAD + b"\r\n" + b"GET /nowhere HTTP/1.1\r\n" + HEAD + b"\r\n") * 32)
        assert [raw.answer()[0] for _ in range(64)] == [200, 404] * 32


def test_no_100_before_a_refusal(sinas):
    with Raw(sinas) as raw:
        raw.send(b"POST /api/v1/api-keys HTTP/1.1\r\n", HEAD, b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        status, headers, _ = raw.answer()
        assert status == 401
        assert ("connection", "close") in headers
        assert raw.is_closed()


def test_100_before_a_body_that_is_read(sinas):
    with Raw(sinas) as raw:
        raw.send(b"POST /auth/login HTTP/1.1\r\n", HEAD, b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert raw.answer()[0] == 100
        assert raw.send(b"{}").answer()[0] == 422


def test_long_body_without_credential_is_not_read(sinas):
    with Raw(sinas) as raw:
        raw.send(b"POST /api/v1/api-keys HTTP/1.1\r\n", HEAD, b"Content-Length: 1000000\r\n\r\n")
        status, headers, _ = raw.answer()
        assert status == 401
        assert ("connection", "close") in headers


def test_half_close(sinas):
    with Raw(sinas) as raw:
        raw.send(b"GET /health HTTP/1.1\r\n", HEAD, b"\r\n")
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.answer()[0] == 200
        assert raw.is_closed()


def test_origins(new_sinas):
    sinas = new_sinas(CORS_ORIGINS="https://one.example", DOMAIN="sinas.example")
    for origin, is_allowed in (("https://one.example", True), ("https://sinas.example:51245", True), ("null", False)):
        with Raw(sinas) as raw:
            field = f"Origin: {origin}\r\n".encode()
            _, headers, _ = raw.send(b"GET /nowhere HTTP/1.1\r\n", HEAD, field, b"\r\n").answer()
            assert (("access-control-allow-origin", origin) in headers) == is_allowed
            raw.send(b"OPTIONS /x HTTP/1.1\r\n", HEAD, field, b"Access-Control-Request-Method: PUT\r\n\r\n")
            assert raw.answer()[0] == (200 if is_allowed else 400)


def test_access_log_holds_no_secrets(new_sinas):
    sinas = new_sinas()
    with Raw(sinas) as raw:
        raw.send(b"GET /nowhere?token=s3cret HTTP/1.1\r\n", HEAD, b"Authorization: Bearer s3cret\r\n\r\n").answer()
    sinas.stop()
    log = sinas.log()
    assert re.search(r'"method":"GET","path":"/nowhere","status":404', log)
    assert "s3cret" not in log


def test_stop_is_quick_with_idle_clients(new_sinas):
    sinas = new_sinas()
    with Raw(sinas) as idle, Raw(sinas) as half:
        assert idle.send(b"GET /health HTTP/1.1\r\n", HEAD, b"\r\n").answer()[0] == 200
        half.send(b"GET /health HTTP/1.1\r\n")
        start = time.monotonic()
        stopping = threading.Thread(target=sinas.stop)
        stopping.start()
        assert idle.is_closed()
        status, headers, _ = half.send(HEAD, b"\r\n").answer()
        assert status == 200
        assert ("connection", "close") in headers
        idle.socket.close()
        half.socket.close()
        stopping.join()
        assert time.monotonic() - start < 7  # a drain that waits for something that never ends takes 8 s
