"""A local server that speaks the two wire formats, and goes wrong in every way that real ones do.

It is a plain asyncio server and not a web framework, since half of what it is for is to break the
protocol: connections that drop in the middle of a chunk, events that are no JSON, silence.
"""

import asyncio
import contextlib
import json
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Reply:
    """What the server does with one request."""

    text: str = "an answer"
    thinking: str = ""
    tool_calls: tuple = ()
    """(id, name, arguments) each."""
    stop: str = ""
    """In Anthropic's words: end_turn, max_tokens, refusal, tool_use, ..."""
    status: int = 200
    headers: dict = field(default_factory=dict)
    error_type: str = "api_error"
    error_message: str = "something went wrong"
    delay: float = 0.0
    """Seconds before the first byte."""
    break_after: int | None = None
    """The connection drops after so many events."""
    malformed_at: int | None = None
    """The event with this number is no JSON."""
    stream_error: str | None = None
    """An error event of this type after the first text."""
    usage: bool = True
    cache_read: int = 0
    cache_write: int = 0


@dataclass
class Received:
    """A request as it came in."""

    path: str
    headers: dict
    body: dict
    at: float

    @property
    def prompt(self) -> str:
        """All words of the user's turns."""
        texts = []
        for message in self.body["messages"]:
            if message["role"] in ("user", "tool"):
                content = message["content"]
                if isinstance(content, str):
                    texts.append(content)
                else:
                    texts += [b.get("text", b.get("content", "")) for b in content]
        return "\n".join(texts)


class ModelServer:
    """Runs in a thread; `script` maps a request to a reply. Remembers what came in and went out."""

    def __init__(self, script, capacity=None):
        self.script = script
        self.received: list[Received] = []
        self.answered: list[Received] = []
        """Requests whose answer was sent to its end."""
        self.at_once = 0
        self.most_at_once = 0
        self._capacity = capacity
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def url(self):
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._stop = asyncio.Event()
        self._gate = asyncio.Semaphore(self._capacity) if self._capacity else None
        self._handlers = set()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 24)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in list(self._handlers):
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _connection(self, reader, writer):
        task = asyncio.current_task()
        self._handlers.add(task)
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._handlers.discard(task)
            with contextlib.suppress(Exception):
                writer.close()

    async def _request(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return False
        first, *lines = head.split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        received = Received(first.split()[1].split("?")[0], headers, body, time.monotonic())
        if received.path.endswith("/count_tokens"):
            tokens = len(json.dumps(body["messages"]) + json.dumps(body.get("system", ""))) // 4
            await self._json(writer, 200, {"input_tokens": tokens}, {})
            return True
        self.received.append(received)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            reply = self.script(received)
            async with self._gate or contextlib.nullcontext():
                if reply.delay:
                    await asyncio.sleep(reply.delay)
                kept = await self._reply(received, writer, reply)
            if kept and reply.status == 200:
                self.answered.append(received)
            return kept
        finally:
            self.at_once -= 1

    async def _reply(self, received, writer, reply):
        anthropic = received.path.endswith("/messages")
        if reply.status != 200:
            error = {"type": reply.error_type, "message": reply.error_message}
            body = {"error": error}
            if anthropic:
                body = {"type": "error", "error": error, "request_id": "req_1"}
            await self._json(writer, reply.status, body, reply.headers)
            return True
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
            b"\r\n"
        )
        events = _anthropic(received, reply) if anthropic else _openai(received, reply)
        for number, (name, data) in enumerate(events):
            if number == reply.break_after:
                writer.transport.abort()
                return False
            text = "{not json" if number == reply.malformed_at else data
            if not isinstance(text, str):
                text = json.dumps(text)
            event = f"event: {name}\n" if name else ""
            payload = f"{event}data: {text}\n\n".encode()
            writer.write(f"{len(payload):x}\r\n".encode() + payload + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _json(self, writer, status, body, headers):
        data = json.dumps(body).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{more}"
            f"content-length: {len(data)}\r\n\r\n".encode()
            + data
        )
        await writer.drain()


def _pieces(text, size=200):
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]


def _input_tokens(received):
    return len(json.dumps(received.body["messages"])) // 4


def _anthropic(received, reply):
    usage = {
        "input_tokens": _input_tokens(received),
        "cache_read_input_tokens": reply.cache_read,
        "cache_creation_input_tokens": reply.cache_write,
        "output_tokens": 1,
    }
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": received.body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    yield "message_start", {"type": "message_start", "message": message}
    yield "ping", {"type": "ping"}
    blocks = []
    if reply.thinking:
        blocks.append(
            (
                {"type": "thinking", "thinking": "", "signature": ""},
                [
                    *({"type": "thinking_delta", "thinking": p} for p in _pieces(reply.thinking)),
                    {"type": "signature_delta", "signature": "signed"},
                ],
            )
        )
    if reply.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(reply.text)]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for identity, name, arguments in reply.tool_calls:
        deltas = [
            {"type": "input_json_delta", "partial_json": piece}
            for piece in _pieces(json.dumps(arguments), 20)
        ]
        start = {"type": "tool_use", "id": identity, "name": name, "input": {}}
        blocks.append((start, deltas))
    for index, (start, deltas) in enumerate(blocks):
        yield (
            "content_block_start",
            {"type": "content_block_start", "index": index, "content_block": start},
        )
        for delta in deltas:
            yield (
                "content_block_delta",
                {"type": "content_block_delta", "index": index, "delta": delta},
            )
            if reply.stream_error:
                yield (
                    "error",
                    {"type": "error", "error": {"type": reply.stream_error, "message": "busy"}},
                )
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    stop = reply.stop or ("tool_use" if reply.tool_calls else "end_turn")
    yield (
        "message_delta",
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": {"output_tokens": len(reply.text) // 4 + 1},
        },
    )
    yield "message_stop", {"type": "message_stop"}


_OPENAI_STOPS = {
    "end_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def _openai(received, reply):
    def chunk(delta, finish=None, usage=None, choices=True):
        return "", {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": received.body["model"],
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}] if choices else [],
            "usage": usage,
        }

    yield chunk({"role": "assistant", "content": ""})
    for piece in _pieces(reply.thinking) if reply.thinking else ():
        yield chunk({"reasoning_content": piece})
    for piece in _pieces(reply.text) if reply.text else ():
        yield chunk({"content": piece})
        if reply.stream_error:
            yield "", {"error": {"type": reply.stream_error, "message": "busy"}}
    for index, (identity, name, arguments) in enumerate(reply.tool_calls):
        first, *rest = _pieces(json.dumps(arguments), 20)
        call = {"index": index, "id": identity, "type": "function"}
        call["function"] = {"name": name, "arguments": first}
        yield chunk({"tool_calls": [call]})
        for piece in rest:
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    stop = reply.stop or ("tool_use" if reply.tool_calls else "end_turn")
    yield chunk({}, _OPENAI_STOPS[stop])
    if reply.usage:
        prompt = _input_tokens(received) + reply.cache_read
        completion = len(reply.text) // 4 + 1
        yield chunk(
            {},
            choices=False,
            usage={
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": reply.cache_read},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
        )
    yield "", "[DONE]"
