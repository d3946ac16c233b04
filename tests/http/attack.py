#!/usr/bin/python3
"""One hostile client, in a process of its own.

    attack.py HOST PORT SOURCE COUNT KIND

Opens COUNT connections from the address SOURCE and does on each what KIND says, until its input ends. Prints `ready` and the
number of connections once all stand.
"""

import os
import resource
import select
import socket
import struct
import sys

ASK = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
LOGIN = b"POST /auth/login HTTP/1.1\r\nHost: a\r\n"
LONG = b"OPTIONS /x HTTP/1.1\r\nHost: a\r\nOrigin: a\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: " + b"a" * 30000 + b"\r\n\r\n"
# What a connection sends at first, and then one octet of at a time.
SLOW = {
    "idle": (ASK, b""),
    "part-of-head": (b"GET /health HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 30000, b""),
    "slow-head": (b"GET /health HTTP/1.1\r\nHost: a\r\nA: ", b"a" * 20000),
    "slow-body": (LOGIN + b"Content-Length: 16384\r\n\r\n", b" " * 16384),
    "slow-chunks": (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n", b"1;abc\r\na\r\n" * 1000),
    "slow-reader": (LONG * 12, b""),
    "slow-reader-of-much": (b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 40, b""),
}


def input_ended(seconds=0):
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def connect(address, source, receive_bytes=None):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if receive_bytes:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    s.bind((source, 0))
    s.connect(address)
    return s


def say_ready(count):
    print("ready", count, flush=True)


def begin(address, source, kind):
    first, rest = SLOW[kind]
    s = connect(address, source, 4096 if kind.startswith("slow-reader") else None)
    s.setblocking(False)
    try:
        s.send(first)
    except OSError:
        pass
    return s, iter(rest)


def stay(address, source, count, kind):
    opened = [begin(address, source, kind) for _ in range(count)]
    if kind == "idle":  # between requests: each has had its answer
        for s, _ in opened:
            s.setblocking(True)
            s.recv(65536)
    say_ready(len(opened))
    while not input_ended(0.1):
        for i, (s, rest) in enumerate(opened):
            octet = next(rest, None)
            try:
                if octet is not None:
                    s.send(bytes([octet]))
            except BlockingIOError:
                pass
            except OSError:
                s.close()
                opened[i] = begin(address, source, kind)


def flood(address, source, kind):
    """Connections as fast as they come; each is reset at once."""
    say_ready(0)
    count = 0
    while count % 64 or not input_ended():
        s = connect(address, source)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if kind == "flood-of-requests":
            s.send(ASK * 64)
        elif kind == "flood-of-rubbish":
            s.send(os.urandom(512))
        s.close()
        count += 1
    print("connections", count, flush=True)


def hammer(address, source):
    """Pipelines on one connection, read as they come."""
    say_ready(1)
    s = connect(address, source)
    while not input_ended():
        s.sendall(ASK * 64)
        wanted = 64
        while wanted > 0:
            wanted -= s.recv(1 << 20).count(b"HTTP/1.1 200")


def main():
    host, port, source, count, kind = sys.argv[1:]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if kind in SLOW:
        stay((host, int(port)), source, int(count), kind)
    elif kind == "pipelines":
        hammer((host, int(port)), source)
    else:
        flood((host, int(port)), source, kind)


main()
