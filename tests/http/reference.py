"""What spec 10 §1.10 makes of a stream of marked requests, written apart from the server: by lines and patterns, not by octets."""

import re

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])")
TARGET = re.compile(rb"/[^#]*|(?i:http)://(?:[a-z.]+|\[[0-9a-f:]+\])(?::[0-9]*)?(?:[/?][^#]*)?|\*")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*(.*?)[ \t]*", re.S)
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[^\x00-\x08\x0a-\x1f\x7f]{0,1023})?")
LOGIN = re.compile(rb'\{"email":"(m[0-9]+m)"\}')
LOGIN_MAX, SKIPPED_MAX = 16384, 65536
REFUSED, UNMARKED = "refused", "unmarked"


class Incomplete(Exception):
    """The stream ends inside a message."""


class Refusal(Exception):
    """A message that is answered with an error; whatever is behind it is not read."""


class Stream:
    def __init__(self, data):
        self.rest = data

    def line(self, may_hold=rb"[^\r\n\x00-\x08\x0b-\x1f\x7f]*"):
        """A line without its CRLF. A wrong octet counts as soon as it is there, also without the line's end."""
        good = re.match(may_hold, self.rest).end()
        line, end = self.rest[:good], self.rest[good:good + 2]
        if end in (b"", b"\r"):
            raise Incomplete
        if end != b"\r\n":
            raise Refusal
        self.rest = self.rest[good + 2:]
        return line

    def take(self, n):
        taken, self.rest = self.rest[:n], self.rest[n:]
        if len(taken) < n:
            raise Incomplete
        return taken


def head(stream):
    """(method, target, minor version, fields) of the request that stands at the front."""
    if stream.rest.startswith(b"\r\n"):
        stream.rest = stream.rest[2:]
    if stream.rest in (b"", b"\r"):
        raise Incomplete
    first = REQUEST_LINE.fullmatch(stream.line(rb"[ -~]*"))
    if not first or first[3] != b"1":
        raise Refusal
    lines = []
    while True:
        if stream.rest[:1] in (b" ", b"\t"):
            raise Refusal
        text = stream.line()
        if not text:
            break
        lines.append(text)
    fields = []
    for text in lines:
        field = FIELD.fullmatch(text)
        if not field:
            raise Refusal
        fields.append((field[1].lower(), field[2]))
    if not TARGET.fullmatch(first[2]) or first[2] == b"*" and first[1] != b"OPTIONS":
        raise Refusal
    return first[1], first[2], min(int(first[4]), 1), fields


def framing(minor, fields):
    """(how the body is framed, its length), where None is no body."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if codings:
        if lengths or minor == 0 or codings != codings[:1] or codings[0].lower() != b"chunked":
            raise Refusal
        return "chunked", None
    if lengths:
        if len(lengths) > 1 or not re.fullmatch(rb"[0-9]+", lengths[0]):
            raise Refusal
        return "sized", int(lengths[0])
    return None, 0


def chunks(stream):
    body = b""
    while True:
        size = CHUNK_SIZE.fullmatch(stream.line(rb"[^\r\n\x00-\x08\x0b-\x1f\x7f]*"))
        if not size:
            raise Refusal
        n = int(size[1], 16)
        if n == 0:
            break
        body += stream.take(n)
        if stream.line(rb"") != b"":
            raise Refusal
    while (trailer := stream.line()):
        if not FIELD.fullmatch(trailer):
            raise Refusal
    return body


def one(stream):
    """(marker, whether more may follow). Only of a login the body is looked at before the answer goes out."""
    method, target, minor, fields = head(stream)
    known = [value for name, value in fields if name == b"host"]
    kind, length = framing(minor, fields)
    has_body = kind == "chunked" or length > 0
    if len(known) > 1 or len(known) < minor or known and not re.fullmatch(rb"[a-z]+", known[0]):
        raise Refusal
    if has_body and any(name == b"content-encoding" for name, _ in fields):
        raise Refusal
    connection = [value for name, value in fields if name == b"connection"]
    stays = b"close" not in connection and (minor > 0 or b"keep-alive" in connection)
    expects = has_body and minor > 0 and any(name == b"expect" for name, _ in fields)
    def body():
        return chunks(stream) if kind == "chunked" else stream.take(length)

    if method == b"POST" and re.fullmatch(rb"(?:http://a)?/auth/login", target):
        if length is not None and length > LOGIN_MAX:
            raise Refusal
        return (LOGIN.fullmatch(body()) or [UNMARKED] * 2)[1], stays
    asked = [value for name, value in fields if name == b"access-control-request-headers"]
    is_preflight = method == b"OPTIONS" and {b"origin", b"access-control-request-method"} <= {name for name, _ in fields}
    marker = asked[0] if is_preflight and asked else UNMARKED
    if not stays or expects or length is not None and length > SKIPPED_MAX:
        return marker, False
    try:
        body()
    except (Refusal, Incomplete):
        return marker, False
    return marker, True


def understand(data):
    """The markers that are answered, in order; UNMARKED for a request that is no preflight, last REFUSED where an error ends it."""
    stream, found, goes_on = Stream(data), [], True
    while goes_on:
        try:
            marker, goes_on = one(stream)
            found.append(marker)
        except Refusal:
            return found + [REFUSED]
        except Incomplete:
            return found
    return found
