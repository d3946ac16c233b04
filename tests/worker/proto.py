"""workers/proto.def for tests: frames to and from a worker, over a blocking Unix socket."""

import hashlib
import os
import re
import socket
import struct

DEFINITION = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../workers/proto.def")
LINE = re.compile(r"^MSG(_LARGE)?\((\w+), (.*)\)$")
FIELD = re.compile(r"F\((\w+), (\w+)\)")
NUMBERS = {"u8": "<B", "u32": "<I", "u64": "<Q"}
NONE = 0xFFFFFFFF


def read_definition():
    messages, text = [], ""
    with open(DEFINITION) as file:
        for line in file:
            found = LINE.match(line.strip())
            if found:
                large, name, fields = found.groups()
                messages.append((name, FIELD.findall(fields)))
                text += ("large " if large else "") + name + " " + fields + "\n"
    digest = hashlib.sha256(text.encode()).digest()
    return messages, struct.unpack("<Q", digest[:8])[0]


MESSAGES, HASH = read_definition()
TYPES = {name: number for number, (name, _) in enumerate(MESSAGES, 1)}


def encode(name, **values):
    payload = b""
    for kind, field in MESSAGES[TYPES[name] - 1][1]:
        value = values.get(field)
        if kind != "str":
            payload += struct.pack(NUMBERS[kind], value or 0)
        elif value is None:
            payload += struct.pack("<I", NONE)
        else:
            data = value.encode() if isinstance(value, str) else value
            payload += struct.pack("<I", len(data)) + data
    return struct.pack("<IH", len(payload), TYPES[name]) + payload


def decode(number, payload):
    name, fields = MESSAGES[number - 1]
    values, at = {}, 0
    for kind, field in fields:
        if kind != "str":
            values[field] = struct.unpack_from(NUMBERS[kind], payload, at)[0]
            at += struct.calcsize(NUMBERS[kind])
            continue
        size = struct.unpack_from("<I", payload, at)[0]
        at += 4
        values[field] = None if size == NONE else payload[at:at + size].decode()
        at += 0 if size == NONE else size
    assert at == len(payload)
    return name, values


class Reactor:
    """One reactor's connection to a worker."""

    def __init__(self, path, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.buffer = b""
        self.next_id = int.from_bytes(os.urandom(6), "little")
        self.send("hello", proto=HASH, pid=os.getpid())
        name, self.hello = self.receive()
        assert name == "hello" and self.hello["proto"] == HASH

    def close(self):
        self.socket.close()

    def send(self, name, **values):
        self.socket.sendall(encode(name, **values))

    def receive(self):
        while True:
            if len(self.buffer) >= 6:
                size, number = struct.unpack_from("<IH", self.buffer)
                if len(self.buffer) >= 6 + size:
                    payload, self.buffer = self.buffer[6:6 + size], self.buffer[6 + size:]
                    return decode(number, payload)
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError("the worker closed the connection")
            self.buffer += data

    def start(self, window=1 << 18, **values):
        self.next_id += 1
        self.send("llm_start", call_id=self.next_id, window=window, **values)
        return self.next_id

    def events(self, call_id, acks=True):
        """All events of a call up to its last one; those of other calls must not come in between."""
        seq = 0
        while True:
            name, values = self.receive()
            assert values["call_id"] == call_id, (name, values)
            seq += 1
            if acks:
                self.send("call_ack", call_id=call_id, seq=seq)
            yield name, values
            if name in ("llm_end", "llm_failed"):
                return
