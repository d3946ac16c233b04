"""Raw connections: bytes out, answers in, read as strictly as RFC 9112 allows so that a wrong octet in an answer shows."""

import itertools
import json
import re
import socket

from harness import until

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [A-Za-z -]+")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
DETAIL_OF_A_REFUSAL = re.compile(rb'\{"detail":"[A-Za-z ]+"\}')
numbers = itertools.count(1)


def new_marker():
    """A word that no other request of this run carries."""
    return b"m%dm" % next(numbers)


def marked(marker, path=b"/marked", fields=b""):
    """A request whose answer repeats the marker: a preflight, which needs no credential and reads no body."""
    return (b"OPTIONS " + path + b" HTTP/1.1\r\nHost: a\r\nOrigin: http://o.test\r\nAccess-Control-Request-Method: PUT\r\n"
            b"Access-Control-Request-Headers: " + marker + b"\r\n" + fields + b"\r\n")


def login(marker):
    """The same with a body that is read: no e-mail address, so that the answer repeats it."""
    return b'POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n{"email":"%s"}' % (12 + len(marker), marker)


class Answer:
    def __init__(self, status, fields, body, raw):
        self.status, self.fields, self.body, self.raw = status, fields, body, raw

    def field(self, name):
        values = [value for known, value in self.fields if known == name]
        assert len(values) <= 1, (name, values)
        return values[0] if values else None

    @property
    def closes(self):
        return self.field(b"connection") == b"close"

    @property
    def markers(self):
        return re.findall(rb"m[0-9]+m", self.raw)

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class Wire:
    def __init__(self, address, timeout=20, source=None):
        self.socket = socket.create_connection(address, timeout=timeout, source_address=source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = b""
        self.is_ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *parts):
        """False when the server has already gone: its answer is still to be read."""
        try:
            for part in parts:
                self.socket.sendall(part)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def half_close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def more(self):
        try:
            part = self.socket.recv(65536)
        except ConnectionResetError:
            part = b""
        self.is_ended |= not part
        self.got += part
        return part

    def take(self, n):
        while len(self.got) < n:
            assert self.more(), f"the answer ends early: {self.got[:300]!r}"
        taken, self.got = self.got[:n], self.got[n:]
        return taken

    def line(self):
        while b"\r\n" not in self.got:
            assert self.more(), f"the answer ends early: {self.got[:300]!r}"
        line, self.got = self.got.split(b"\r\n", 1)
        return line

    def chunks(self):
        body = b""
        while True:
            n = int(self.line(), 16)
            body += self.take(n)
            assert self.line() == b""
            if n == 0:
                return body

    def answer(self, to_head=False):
        """The next answer, or None at the end of the connection."""
        if not self.got and not self.more():
            return None
        first = self.line()
        status = STATUS_LINE.fullmatch(first)
        assert status, first
        status = int(status[1])
        lines, fields = [first], []
        while (line := self.line()):
            match = FIELD.fullmatch(line)
            assert match, line
            lines.append(line)
            fields.append((match[1].lower(), match[2]))
        answer = Answer(status, fields, b"", b"")
        if status >= 200 and status not in (204, 304) and not to_head:
            length, coding = answer.field(b"content-length"), answer.field(b"transfer-encoding")
            assert (length is None) != (coding is None), fields
            answer.body = self.take(int(length)) if coding is None else self.chunks()
        answer.raw = b"\r\n".join(lines) + b"\r\n\r\n" + answer.body
        return answer

    def answers(self, heads=()):
        """All up to the end. heads: the numbers of those that answer HEAD."""
        found = []
        while (answer := self.answer(len(found) in heads)) is not None:
            found.append(answer)
        return found


def path_in_log(sinas, path):
    """The access log's line about it; it may come behind the answer."""
    line = re.compile(r'^.*"path":"%s".*$' % re.escape(path), re.M)
    return json.loads(until(lambda: line.search(sinas.log()), what=f"{path} in the log")[0])


def was_smuggled(sinas):
    """Whether a request of rows.SMUGGLED was understood since the server's start."""
    path = f"/last-{next(numbers)}"
    sinas.client().get(path)
    path_in_log(sinas, path)
    return '"path":"/smuggled"' in sinas.log()
