"""Random pipelines of good, odd and hostile requests: every answer belongs to its request, and nothing is answered twice.

Each request carries a marker that its answer repeats, and most bodies hold whole requests with markers of their own. reference.py
says, from the same bytes, which markers are answered and where a refusal ends the connection.
"""

import os
import random

from reference import REFUSED, UNMARKED, understand
from wire import Wire, login, marked, new_marker

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
PIPELINES = int(os.environ.get("PIPELINES", 3000))
BLANKS = [b"", b" ", b"\t", b"  ", b"\x0b", b"\r\n ", b"\x00", b"\xa0"]
ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b" \r\n", b"\x00\r\n"]
LENGTH_NAMES = [b"Content-Length"] * 6 + [b"content-length", b"Content_Length", b"Content-Length ", b" Content-Length", b"Content-Length\x00", b"Content-Len\tgth"]
CODING_NAMES = [b"Transfer-Encoding"] * 6 + [b"transfer-encoding", b"Transfer_Encoding", b"Transfer-Encoding ", b"\tTransfer-Encoding", b"X: y\nTransfer-Encoding",
                                             b"X: y\rTransfer-Encoding", b"X: y\r\n Transfer-Encoding"]
CODINGS = [b"chunked"] * 8 + [b"Chunked", b"chunked, chunked", b"gzip, chunked", b"chunked, identity", b"identity", b"xchunked", b"chunked;a", b"\"chunked\"", b",chunked", b""]
SIZE_FORMS = [b"%x"] * 30 + [b"%X", b"0%x", b"0000000%x", b"0x%x", b"+%x", b"%x ", b" %x", b"%x;a=b", b"%x;\n", b"-%x", b"%x\t"]
JUNK_FIELDS = [b"", b"A: b", b"Connection: keep-alive", b"Upgrade: h2c", b"TE: trailers", b"Expect: 100-continue", b"Connection: close", b"Host: b", b"X-A : b", b": b", b"A", b"Content-Encoding: gzip", b"Connection: Content-Length"]
TARGETS = [b"/marked", b"*", b"http://a/auth/login", b"http://a/marked", b"/%6darked?a=%20", b"/health", b"http://b@a/", b"x"]


def chance(r, percent):
    return r.randrange(100) < percent


def body(r):
    """What a smuggler would like to see read as a request."""
    marker = new_marker()
    return r.choice([b"", b"hello", marked(marker), b"0\r\n\r\n" + marked(marker), b"\r\n" + marked(marker), marked(marker)[:-2], b"X" * 300, b"\r\n\r\n"])


def chunks(r, text):
    parts, form, end = [], r.choice(SIZE_FORMS), r.choice([b"\r\n"] * 60 + ENDS)
    while text:
        n = r.randrange(1, len(text) + 1)
        parts.append(form % n + end + text[:n] + b"\r\n")
        text = text[n:]
    return b"".join(parts) + r.choice([b"0\r\n\r\n"] * 8 + [b"0\r\nA: b\r\n\r\n", b"0\n\n", b"00\r\n\r\n", b"0\r\n"])


def framing(r, text):
    """Fields and the body behind them; often what they say does not agree."""
    kind = r.randrange(10)
    if kind < 3:
        return [], b""
    if kind < 6:
        n = len(text) if chance(r, 85) else r.choice([0, len(text) + 1, max(0, len(text) - 1), 1 << 64])
        value = b"%d" % n if chance(r, 80) else r.choice([b"+%d", b"0%d", b"%d,%d" % (n, n) + b"%.0d", b"%d ", b"0x%x"]) % n
        fields = [r.choice(LENGTH_NAMES) + b":" + r.choice(BLANKS if chance(r, 20) else BLANKS[:4]) + value]
        return fields * (2 if chance(r, 10) else 1), text
    fields = [r.choice(CODING_NAMES) + b":" + r.choice(BLANKS if chance(r, 20) else BLANKS[:4]) + r.choice(CODINGS)]
    if kind == 9:
        fields.insert(r.randrange(2), b"Content-Length: %d" % r.choice([0, 4, len(text)]))
    return fields, chunks(r, text)


def request(r, marker):
    if chance(r, 40):
        return marked(marker)
    is_login = chance(r, 50)
    if is_login and chance(r, 40):
        return login(marker)
    fields, text = framing(r, b'{"email":"%s"}' % marker if is_login and chance(r, 80) else body(r))
    fields += [r.choice(JUNK_FIELDS)] if chance(r, 30) else []
    fields += [b"Host: a"]
    if not is_login:
        fields += [b"Origin: http://o.test", b"Access-Control-Request-Method: PUT", b"Access-Control-Request-Headers: " + marker]
    r.shuffle(fields)
    target = r.choice(TARGETS) if chance(r, 30) else b"/auth/login"
    version = r.choice([b"HTTP/1.1"] * 20 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1"])
    end = r.choice(ENDS) if chance(r, 5) else b"\r\n"
    lines = [(b"POST " if is_login else b"OPTIONS ") + target + b" " + version, *(field for field in fields if field)]
    return b"".join(line + (end if chance(r, 30) else b"\r\n") for line in lines) + (r.choice(ENDS) if chance(r, 5) else b"\r\n") + text


def check(answers, wanted):
    """wanted: what the reference makes of what was sent."""
    found = [answer.markers[0] if answer.markers else UNMARKED if answer.status in (200, 204, 404, 405, 422) else REFUSED for answer in answers]
    assert found == wanted, (found, wanted)
    assert all(len(answer.markers) <= 1 for answer in answers)
    marks = [word for word in found if word != UNMARKED]
    assert len(set(marks)) == len(marks), "answered twice"
    ids = [answer.field(b"x-request-id") for answer in answers]
    assert len(set(ids)) == len(ids)
    if wanted[-1:] == [REFUSED]:
        assert answers[-1].status in (400, 413, 415, 417, 431, 501, 505) and answers[-1].closes, answers[-1]


def test_every_answer_belongs_to_its_request(sinas):
    refused = understood = 0
    for n in range(PIPELINES):
        r = random.Random(f"{SEED} {n}")
        sent = b"".join(request(r, new_marker()) for _ in range(r.randrange(1, 9)))
        cuts = sorted(r.randrange(len(sent)) for _ in range(r.choice((0, 0, 1, 5))))
        with Wire(sinas.socket.getsockname()) as wire:
            wire.send(*(sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)])))
            wire.half_close()
            answers = [answer for answer in wire.answers() if answer.status != 100]
        wanted = understand(sent)
        try:
            check(answers, wanted)
        except AssertionError as error:
            raise AssertionError(f"SEED={SEED}, pipeline {n}: {error}\n{sent!r}") from error
        refused += wanted[-1:] == [REFUSED]
        understood += len(wanted) - (wanted[-1:] == [REFUSED])
    print(f"SEED={SEED}: {PIPELINES} pipelines, {understood} requests understood, {refused} refused")
    assert understood > PIPELINES / 2 and refused > PIPELINES / 10
