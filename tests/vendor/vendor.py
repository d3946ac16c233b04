#!/usr/bin/python3
"""A scripted model vendor; see README.md beside it."""

import argparse
import asyncio
import gzip
import json
import os
import random
import re
import sys
import time
import traceback
from urllib.parse import parse_qs, urlsplit

SUITE = os.environ.get("SUITES", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/suites"))
DEFAULT = {"deltas": ["Hello", ", ", "world", "."]}


class State:
    def __init__(self):
        self.validator = None
        self.clear()

    def clear(self):
        self.scripts, self.requests = {}, []
        self.counts = {"open": {}, "aborted": {}, "finished": {}}
        self.connections = set()  # that asked a model
        self.changed = asyncio.Event()

    def count(self, what, model, n=1):
        counts = self.counts[what]
        counts[model] = counts.get(model, 0) + n
        self.changed.set()
        self.changed = asyncio.Event()


STATE = State()


def validator():
    import jsonschema

    with open(os.path.join(SUITE, "openai/openapi-subset.json")) as file:
        components = json.load(file)["components"]
    schema = {"$ref": "#/components/schemas/CreateChatCompletionRequest", "components": components}
    return jsonschema.Draft202012Validator(schema)


# ---- scripts ----

def last_text(messages):
    """Text of the last user message, and how many assistant messages follow it."""
    rounds = 0
    for message in reversed(messages):
        if message.get("role") == "assistant":
            rounds += 1
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                if all(part.get("type") == "tool_result" for part in content):
                    continue
                content = "".join(part.get("text", "") for part in content if part.get("type") == "text")
            return content or "", rounds
    return "", rounds


def find_script(body):
    text, rounds = last_text(body.get("messages", []))
    at = re.search(r"\bscript:\s*(?=[\[{])", text)  # not javascript:
    if at:
        script, _ = json.JSONDecoder().raw_decode(text[at.end():])
        return script[min(rounds, len(script) - 1)] if isinstance(script, list) else script
    script = STATE.scripts.get(body.get("model"), DEFAULT)
    if isinstance(script, list):
        return script.pop(0) if len(script) > 1 else script[0]
    return script


def steps_of(script):
    """The deltas, one after the other; for ever if endless."""
    yield from script.get("deltas", [] if {"tools", "endless", "long_line"} & script.keys() else DEFAULT["deltas"])
    if "long_line" in script:
        yield {"text": "x" * script["long_line"]}
    for index, tool in enumerate(script.get("tools", [])):
        yield {"tool": tool, "index": index}
    while "endless" in script:
        yield script["endless"]


def finish_of(script):
    return script.get("finish", "tool_calls" if script.get("tools") else "stop")


def usage_of(script, body):
    usage = script.get("usage")
    if usage is None:
        prompt = len(json.dumps(body.get("messages"))) // 4
        usage = {"prompt_tokens": prompt, "completion_tokens": 7, "total_tokens": prompt + 7}
    return usage


def tool_arguments(tool):
    arguments = tool.get("arguments", {})
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


# ---- dialects: each yields the pieces of its stream ----

class OpenAI:
    content_type = "text/event-stream"

    def __init__(self, script, body):
        self.script, self.body = script, body
        self.base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000,
                     "model": body.get("model")}

    def piece(self, value):
        return "data: " + (value if isinstance(value, str) else json.dumps(value)) + "\n\n"

    def choice(self, delta, finish=None):
        return self.piece({**self.base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def begin(self):
        yield self.choice({"role": "assistant", "content": ""})

    def text(self, text):
        yield self.choice({"content": text})

    def delta(self, delta):
        yield self.choice(delta)

    def tool(self, tool, index):
        text, split = tool_arguments(tool), tool.get("split", 0)
        head = {"index": index, "type": "function", "function": {"name": tool["name"], "arguments": ""}}
        if tool.get("id", "") is not None:
            head["id"] = tool.get("id", f"call_{index:024x}")
        if not split:
            head["function"]["arguments"] = text
        yield self.choice({"tool_calls": [head]})
        for at in range(0, len(text) if split else 0, split or 1):
            yield self.choice({"tool_calls": [{"index": index, "function": {"arguments": text[at:at + split]}}]})

    def finish(self, reason):
        yield self.choice({}, reason)

    def end(self):
        wants_usage = (self.body.get("stream_options") or {}).get("include_usage")
        if self.script.get("usage") or (wants_usage and self.script.get("usage") is not False):
            yield self.piece({**self.base, "choices": [], "usage": usage_of(self.script, self.body)})
        if self.script.get("done", True):
            yield self.piece("[DONE]")


class Mistral(OpenAI):
    """Whole calls, usage in the chunk that says how it ended."""

    def tool(self, tool, index):
        head = {"id": tool.get("id") or f"{index:09d}", "index": index,
                "function": {"name": tool["name"], "arguments": tool_arguments(tool)}}
        yield self.choice({"tool_calls": [head]})

    def finish(self, reason):
        yield self.piece({**self.base, "usage": usage_of(self.script, self.body),
                          "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": reason}]})

    def end(self):
        if self.script.get("done", True):
            yield self.piece("[DONE]")


class Anthropic:
    content_type = "text/event-stream"
    reasons = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}

    def __init__(self, script, body):
        self.script, self.body, self.block, self.open = script, body, -1, None

    def event(self, kind, **fields):
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"

    def begin(self):
        usage = usage_of(self.script, self.body) or {}
        yield self.event("message_start", message={"id": "msg_1", "role": "assistant", "content": [], "usage": {
            "input_tokens": usage.get("prompt_tokens", 0), "output_tokens": 1}})
        yield self.event("ping")

    def close(self):
        if self.open:
            yield self.event("content_block_stop", index=self.block)
        self.open = None

    def start(self, kind, block):
        yield from self.close()
        self.block, self.open = self.block + 1, kind
        yield self.event("content_block_start", index=self.block, content_block=block)

    def text(self, text):
        if self.open != "text":
            yield from self.start("text", {"type": "text", "text": ""})
        yield self.event("content_block_delta", index=self.block, delta={"type": "text_delta", "text": text})

    def delta(self, delta):
        yield self.event("content_block_delta", index=self.block, delta=delta)

    def tool(self, tool, index):
        yield from self.start("tool_use", {"type": "tool_use", "id": tool.get("id") or f"toolu_{index}",
                                           "name": tool["name"], "input": {}})
        text = tool_arguments(tool)
        split = tool.get("split") or len(text)
        for at in range(0, 0 if text == "{}" else len(text), split):
            yield self.event("content_block_delta", index=self.block,
                             delta={"type": "input_json_delta", "partial_json": text[at:at + split]})

    def finish(self, reason):
        yield from self.close()
        usage = usage_of(self.script, self.body) or {}
        yield self.event("message_delta", delta={"stop_reason": self.reasons.get(reason, reason)},
                         usage={"output_tokens": usage.get("completion_tokens", 0)})

    def end(self):
        if self.script.get("done", True):
            yield self.event("message_stop")


class Ollama:
    content_type = "application/x-ndjson"

    def __init__(self, script, body):
        self.script, self.body, self.reason = script, body, None

    def line(self, **fields):
        return json.dumps({"model": self.body.get("model"), "created_at": "2026-01-01T00:00:00Z", **fields}) + "\n"

    def message(self, **fields):
        return self.line(message={"role": "assistant", "content": "", **fields}, done=False)

    def begin(self):
        return ()

    def text(self, text):
        yield self.message(content=text)

    def delta(self, delta):
        yield self.message(**delta)

    def tool(self, tool, index):
        arguments = json.loads(tool_arguments(tool))
        yield self.message(tool_calls=[{"function": {"index": index, "name": tool["name"], "arguments": arguments}}])

    def finish(self, reason):
        self.reason = "stop" if reason == "tool_calls" else reason
        return ()

    def end(self):
        if not self.script.get("done", True):
            return
        usage = usage_of(self.script, self.body)
        counts = {"prompt_eval_count": usage["prompt_tokens"], "eval_count": usage["completion_tokens"]} if usage else {}
        yield self.line(message={"role": "assistant", "content": ""}, done=True, done_reason=self.reason, **counts)


DIALECTS = {"/v1/chat/completions": OpenAI, "/mistral/v1/chat/completions": Mistral, "/v1/messages": Anthropic,
            "/api/chat": Ollama}


# ---- HTTP ----

class Broken(Exception):
    """The script wants the connection broken."""


class Connection(asyncio.Protocol):
    def __init__(self):
        self.buffer, self.task, self.model, self.transport = bytearray(), None, None, None
        self.writable = asyncio.Event()
        self.writable.set()
        self.lost = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, reason):
        self.lost.set()
        self.writable.set()
        if self.task is not None:
            self.task.cancel()
        if self.model is not None:
            STATE.count("open", self.model, -1)
            STATE.count("aborted", self.model)
        self.model = None

    def pause_writing(self):
        self.writable.clear()

    def resume_writing(self):
        self.writable.set()

    def data_received(self, data):
        self.buffer += data
        if self.task is None:
            self.next_request()

    def next_request(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        size = int(headers.get("content-length", 0))
        if len(self.buffer) < end + 4 + size:
            return
        body = bytes(self.buffer[end + 4:end + 4 + size])
        del self.buffer[:end + 4 + size]
        method, target, _ = head[0].split(" ", 2)
        self.task = asyncio.get_running_loop().create_task(self.handle(method, target, headers, body))

    async def handle(self, method, target, headers, body):
        try:
            await self.answer(method, target, headers, body)
            if self.model is not None:
                STATE.count("open", self.model, -1)
                STATE.count("finished", self.model)
            self.model = None
        except asyncio.CancelledError:
            return
        except Broken:
            self.model = None
            self.transport.abort()
        except Exception:
            traceback.print_exc()
            self.transport.abort()
        self.task = None
        if self.buffer:
            self.next_request()

    async def send(self, data):
        await self.writable.wait()
        if self.lost.is_set():
            raise asyncio.CancelledError
        self.transport.write(data)

    async def reply(self, status, value, headers=None, content_type="application/json"):
        data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        fields = {"content-type": content_type, "content-length": str(len(data)), **(headers or {})}
        await self.send(head_of(status, fields) + data)

    async def answer(self, method, target, headers, body):
        url = urlsplit(target)
        if url.path.startswith("/control/"):
            await self.control(method, url, json.loads(body) if body else {})
        elif method == "GET" and url.path.endswith("/models"):
            names = sorted(STATE.scripts) or ["scripted"]
            await self.reply(200, {"object": "list", "data": [
                {"id": name, "object": "model", "created": 1700000000, "owned_by": "tests"} for name in names]})
        elif method == "POST" and url.path in DIALECTS:
            await self.chat(url.path, headers, body)
        else:
            await self.reply(404, {"error": {"message": f"no such path {url.path}", "type": "invalid_request_error",
                                             "param": None, "code": None}})

    async def control(self, method, url, body):
        what = url.path[len("/control/"):]
        if what == "script":
            STATE.scripts[body["model"]] = body["script"]
        elif what == "validate":
            STATE.validator = validator() if body["on"] else None
        elif what == "reset":
            STATE.clear()
        elif what == "requests":
            return await self.reply(200, STATE.requests)
        elif what == "state":
            return await self.reply(200, {**STATE.counts, "connections": len(STATE.connections)})
        elif what == "wait":
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            return await self.wait(query)
        return await self.reply(200, {})

    async def wait(self, query):
        until = time.monotonic() + 10
        while STATE.counts[query["what"]].get(query["model"], 0) < int(query.get("count", 1)):
            try:
                await asyncio.wait_for(STATE.changed.wait(), until - time.monotonic())
            except asyncio.TimeoutError:
                return await self.reply(408, {"detail": "it did not happen"})
        return await self.reply(200, {})

    async def chat(self, path, headers, body):
        body = json.loads(body)
        invalid = None
        if STATE.validator is not None and DIALECTS[path] is OpenAI:
            invalid = "; ".join(error.message[:500] for error in STATE.validator.iter_errors(body)) or None
        STATE.requests.append({"path": path, "headers": headers, "body": body, "invalid": invalid})
        script = find_script(body)
        self.model = body.get("model")
        STATE.connections.add(self)
        STATE.count("open", self.model)
        if script.get("hang"):
            await self.lost.wait()
        await asyncio.sleep(script.get("delay", 0))
        if "status" in script or "body" in script:
            await self.reply(script.get("status", 200), script.get("body", ""), script.get("headers"))
        else:
            await self.stream(script, DIALECTS[path](script, body))

    async def stream(self, script, dialect):
        out = Body(self, script, dialect.content_type)
        await out.begin()
        if "garbage" in script:
            await out.write_bytes(random.Random(1).randbytes(script["garbage"]))
            await out.end()
            return
        await out.write(*dialect.begin())
        count = 0
        for is_last, step in look_ahead(steps_of(script)):
            if is_last and script.get("finish_early") and finish_of(script) is not None:
                await out.write(*dialect.finish(finish_of(script)))
            await self.step(out, dialect, step)
            count += 1
            if count == script.get("cut"):
                await asyncio.sleep(0.02)  # what was written is on its way before the reset
                raise Broken
            if script.get("pace"):
                await asyncio.sleep(script["pace"])
            elif count % 64 == 0:
                await asyncio.sleep(0)
        if not script.get("finish_early") and finish_of(script) is not None:
            await out.write(*dialect.finish(finish_of(script)))
        await out.write(*dialect.end())
        await out.end()

    async def step(self, out, dialect, step):
        if isinstance(step, str):
            step = {"text": step}
        if "text" in step:
            await out.write(*dialect.text(step["text"]))
        if "delta" in step:
            await out.write(*dialect.delta(step["delta"]))
        if "tool_calls" in step:
            await out.write(*dialect.delta({"tool_calls": step["tool_calls"]}))
        if "tool" in step:
            await out.write(*dialect.tool(step["tool"], step["index"]))
        if "raw" in step:
            await out.write_bytes(step["raw"].encode("utf-8", "surrogatepass"))
        if "comment" in step:
            await out.write(f": {step['comment']}\n\n")
        if "sleep" in step:
            await asyncio.sleep(step["sleep"])


def look_ahead(steps):
    """Each with whether it is the last."""
    iterator = iter(steps)
    for step in iterator:
        for following in iterator:
            yield False, step
            step = following
        yield True, step


def head_of(status, fields):
    lines = [f"HTTP/1.1 {status} Scripted"] + [f"{name}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Body:
    """A response body as the script wants it written: chunked unless it is to end with the connection."""

    def __init__(self, connection, script, content_type):
        self.connection, self.script, self.content_type = connection, script, content_type
        self.is_chunked = not script.get("close")
        self.gzip = gzip.compress(b"x" * (1 << 26)) if script.get("gzip") else None

    async def begin(self):
        fields = {"content-type": self.content_type, "cache-control": "no-cache", **self.script.get("headers", {})}
        fields.update({"transfer-encoding": "chunked"} if self.is_chunked else {"connection": "close"})
        for i in range(self.script.get("headers_size", 0) // 1000):
            fields[f"x-filling-{i}"] = "x" * 985
        if self.gzip:
            fields["content-encoding"] = "gzip"
        await self.connection.send(head_of(200, fields))
        if self.script.get("bom"):
            await self.write_bytes(b"\xef\xbb\xbf")
        if self.gzip:
            await self.write_bytes(self.gzip)

    async def write(self, *pieces):
        for piece in pieces:
            if self.script.get("comments"):
                piece = ": keep-alive\n\n" + piece
            if self.script.get("crlf"):
                piece = piece.replace("\n", "\r\n")
            elif self.script.get("cr"):
                piece = piece.replace("\n", "\r")
            data = piece.encode()
            for part in (data[i:i + 1] for i in range(len(data))) if self.script.get("bytewise") else (data,):
                await self.write_bytes(part)

    async def write_bytes(self, data):
        if self.is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        await self.connection.send(data)

    async def end(self):
        if self.is_chunked:
            await self.connection.send(b"0\r\n\r\n")
        else:
            self.connection.transport.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", arguments.port, backlog=4096)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
