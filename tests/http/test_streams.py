"""Requests behind an event stream on the same connection, and clients who do not behave while one runs."""

import json

import pytest

from chatting import Chatting, script
from wire import Wire, login, marked, new_marker


@pytest.fixture(scope="module")
def chatting(sinas, vendor, admin):
    return Chatting(sinas, vendor, admin)


def asked(chatting, content, method="POST", fields=b""):
    """The bytes of a request for a stream in a chat of its own, and the chat."""
    chat = chatting.chat(chatting.wire_agent)
    body = json.dumps({"content": content}).encode()
    return (b"%s /chats/%s/messages/stream HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nContent-Length: %d\r\n%s\r\n"
            % (method.encode(), chat["id"].encode(), chatting.ann.headers["Authorization"].encode(), len(body), fields)) + body, chat


@pytest.fixture
def agent(chatting, unique):
    chatting.wire_agent = chatting.agent("wire" + unique)


def texts(answer):
    events = [block.split(b"\n") for block in answer.body.split(b"\n\n") if b"event: message" in block]
    return "".join(json.loads(line[6:]).get("content") or "" for block in events for line in block if line.startswith(b"data: "))


@pytest.mark.parametrize("is_cut", [False, True])
def test_requests_behind_a_stream(chatting, sinas, agent, is_cut):
    first, second = new_marker(), new_marker()
    stream, _ = asked(chatting, script(deltas=["<a>", "<b>"], pace=0.01))
    again, _ = asked(chatting, script(deltas=["<c>"]))
    sent = marked(first) + stream + login(second) + again + marked(first + second)
    with Wire(sinas.socket.getsockname()) as wire:
        wire.send(*([sent[i:i + 1] for i in range(len(sent))] if is_cut else [sent]))
        wire.half_close()
        answers = wire.answers()
    assert [answer.status for answer in answers] == [200, 200, 422, 200, 200]
    assert [texts(answers[1]), texts(answers[3])] == ["<a><b>", "<c>"]
    assert [answers[0].markers, answers[2].markers] == [[first], [second]] and answers[4].raw.count(first + second) == 1


def test_rubbish_behind_a_stream(chatting, sinas, agent):
    stream, chat = asked(chatting, script(deltas=["<a>", "<b>"], pace=0.05))
    with Wire(sinas.socket.getsockname()) as wire:
        wire.send(stream + b"\x00\x01 rubbish\n\n" + marked(new_marker()))
        answers = wire.answers()
    assert [answer.status for answer in answers] == [200, 400] and texts(answers[0]) == "<a><b>" and answers[1].closes
    assert chatting.get(chat)["messages"][-1]["content"] == "<a><b>"


def test_a_flood_behind_a_stream(chatting, sinas, agent):
    """It is read ahead as far as the limit, then waits in the client's socket; every request of it is answered."""
    markers = [new_marker() for _ in range(2000)]
    stream, _ = asked(chatting, script(deltas=["<a>"] * 20, pace=0.02))
    with Wire(sinas.socket.getsockname()) as wire:
        wire.send(stream + b"".join(marked(marker) for marker in markers))
        wire.half_close()
        answers = wire.answers()
    assert texts(answers[0]) == "<a>" * 20
    assert [answer.markers for answer in answers[1:]] == [[marker] for marker in markers]


def test_http_1_0_gets_a_stream_without_chunks(chatting, sinas, agent):
    stream, _ = asked(chatting, script(deltas=["<a>", "<b>"]))
    with Wire(sinas.socket.getsockname()) as wire:
        wire.send(stream.replace(b"HTTP/1.1", b"HTTP/1.0") + marked(new_marker()))
        while wire.more():
            pass
    head, body = wire.got.split(b"\r\n\r\n", 1)
    assert b"transfer-encoding" not in head.lower() and b"connection: close" in head.lower()
    assert b"<b>" in body and b"HTTP/1.1 " not in body


@pytest.mark.parametrize("method, status", [("HEAD", 405), ("GET", 405), ("TRACE", 405), ("OPTIONS", 204)])
def test_other_methods_start_no_turn(chatting, sinas, agent, method, status):
    sent, chat = asked(chatting, "hello", method)
    marker = new_marker()
    with Wire(sinas.socket.getsockname()) as wire:
        wire.send(sent + marked(marker))
        wire.half_close()
        answers = wire.answers(heads=(0,) if method == "HEAD" else ())
    assert [answer.status for answer in answers] == [status, 200] and answers[1].markers == [marker]
    assert chatting.get(chat)["messages"] == []


def test_expectation_and_chunks_for_a_stream(chatting, sinas, agent):
    sent, _ = asked(chatting, script(deltas=["<a>"]), fields=b"Expect: 100-continue\r\n")
    with Wire(sinas.socket.getsockname()) as wire:
        head, body = sent.split(b"\r\n\r\n", 1)
        wire.send(head + b"\r\n\r\n")
        assert wire.answer().status == 100
        wire.send(body)
        answer = wire.answer()
        assert answer.status == 200 and texts(answer) == "<a>"


def test_clients_who_vanish(chatting, sinas, agent):
    """In the middle of the head, the body and the answer: the turn that has begun is completed or stopped, and nothing else happens."""
    for n in range(60):
        sent, _ = asked(chatting, script(deltas=["<a>"] * 5, pace=0.002))
        with Wire(sinas.socket.getsockname()) as wire:
            wire.send(sent[:len(sent) * n // 40])
            if n % 3 == 0 and n >= 40:
                wire.more()
    stream, _ = asked(chatting, script(deltas=["<b>"]))
    with Wire(sinas.socket.getsockname()) as wire:
        wire.send(stream)
        assert texts(wire.answer()) == "<b>"
