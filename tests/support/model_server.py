"""A server that speaks the wire formats of the model providers, and misbehaves when it is asked to.

The last message of a conversation says what it does: see ``Mischief``. It runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from aiohttp import web
from deadlines import DEADLINE_S

UPSTREAM_TEXT: Final = "upstream-says-quota-of-acme-corp"
"""A part of every error text of the server. No client and no log may see it."""
KEY: Final = "key-of-the-gateway-for-the-provider"
PIECES: Final = ("Once", " upon", " a", " time")
_EMOJI: Final = " 🌊"


class Mischief(StrEnum):
    """What the last message of a conversation asks of the server."""

    NONE = "please answer"
    UNAUTHORIZED = "please refuse the key"
    BUSY = "please say 429"
    BROKEN = "please say 500"
    BAD_REQUEST = "please say 400"
    CUT = "please cut the connection"
    UNFINISHED = "please end too early"
    NO_JSON = "please send no json"
    OTHER_SHAPE = "please send another shape"
    ERROR_EVENT = "please send an error in the stream"
    SILENT = "please say nothing"
    SILENT_LATER = "please stop talking"
    ENDLESS = "please never stop"


_STATUSES: Final = {
    Mischief.UNAUTHORIZED: 401,
    Mischief.BUSY: 429,
    Mischief.BROKEN: 500,
    Mischief.BAD_REQUEST: 400,
}


def _data(value: object, end: str = "\n\n") -> bytes:
    return f"data: {json.dumps(value)}{end}".encode()


class OpenAIDialect:
    """Chat Completions with ``stream``, as OpenAI and DeepSeek send them."""

    def __init__(self, comment: bytes = b"") -> None:
        self._comment = comment  # DeepSeek sends comments while a request waits

    def prompt(self, body: dict[str, Any]) -> str:
        return str(body["messages"][-1]["content"])

    def head(self) -> bytes:
        return self._comment + self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def tail(self) -> bytes:
        usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
        last = _data({**self._envelope(), "choices": [], "usage": usage})
        return self._chunk({}, "stop") + last + b"data: [DONE]\n\n"

    def other_shape(self) -> bytes:
        return _data({**self._envelope(), "choices": [{"index": 0, "delta": UPSTREAM_TEXT}]})

    def error(self, status: int) -> dict[str, Any]:
        return {
            "error": {"message": UPSTREAM_TEXT, "type": "e", "param": None, "code": str(status)}
        }

    def error_event(self) -> bytes:
        return _data(self.error(500))

    def _envelope(self) -> dict[str, Any]:
        kind = "chat.completion.chunk"
        return {"id": "chatcmpl-1", "object": kind, "created": 1_760_000_000, "model": "m-1"}

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _data({**self._envelope(), "choices": [choice]})


class ClaudeDialect:
    """Messages with ``stream``, as Anthropic sends them."""

    def prompt(self, body: dict[str, Any]) -> str:
        return str(body["messages"][-1]["content"])

    def head(self) -> bytes:
        message: dict[str, Any] = {
            "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m-1",
            "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 1},
        }  # fmt: skip
        block = {"type": "text", "text": ""}
        return (
            self._event("message_start", message=message)
            + self._event("content_block_start", index=0, content_block=block)
            + self._event("ping")
        )

    def piece(self, text: str) -> bytes:
        delta = {"type": "text_delta", "text": text}
        return self._event("content_block_delta", index=0, delta=delta)

    def tail(self) -> bytes:
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        return (
            self._event("content_block_stop", index=0)
            + self._event("message_delta", delta=delta, usage={"output_tokens": 5})
            + self._event("message_stop")
        )

    def other_shape(self) -> bytes:
        return self._event("content_block_delta", index=0, delta=UPSTREAM_TEXT)

    def error(self, _status: int) -> dict[str, Any]:
        return {"type": "error", "error": {"type": "api_error", "message": UPSTREAM_TEXT}}

    def error_event(self) -> bytes:
        error = {"type": "overloaded_error", "message": UPSTREAM_TEXT}
        return self._event("error", error=error)

    def _event(self, kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\n".encode() + _data({"type": kind, **fields})


class GeminiDialect:
    """``streamGenerateContent`` with ``alt=sse``, as Google sends it."""

    def prompt(self, body: dict[str, Any]) -> str:
        return str(body["contents"][-1]["parts"][0]["text"])

    def head(self) -> bytes:
        return b""

    def piece(self, text: str) -> bytes:
        return self._chunk({"parts": [{"text": text}], "role": "model"})

    def tail(self) -> bytes:
        return self._chunk({"parts": [{"text": ""}], "role": "model"}, finishReason="STOP")

    def other_shape(self) -> bytes:
        return _data({"candidates": UPSTREAM_TEXT}, "\r\n\r\n")

    def error(self, status: int) -> dict[str, Any]:
        return {"error": {"code": status, "message": UPSTREAM_TEXT, "status": "SOME_STATUS"}}

    def error_event(self) -> bytes:
        return _data(self.error(503), "\r\n\r\n")

    def _chunk(self, content: dict[str, Any], **more: Any) -> bytes:
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14}
        candidate = {"content": content, "index": 0, **more}
        value = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m-1"}
        return _data(value, "\r\n\r\n")


Dialect = OpenAIDialect | ClaudeDialect | GeminiDialect
_DIALECTS: Final[dict[str, tuple[str, Dialect]]] = {
    "openai": ("/openai/v1/chat/completions", OpenAIDialect()),
    "deepseek": ("/deepseek/chat/completions", OpenAIDialect(b": keep-alive\n\n")),
    "claude": ("/claude/v1/messages", ClaudeDialect()),
    "gemini": ("/gemini/v1/models/m-1:streamGenerateContent", GeminiDialect()),
}
PROVIDERS: Final = tuple(_DIALECTS)
_BASES: Final = {
    "openai": "/openai/v1", "deepseek": "/deepseek", "claude": "/claude", "gemini": "/gemini",
}  # fmt: skip


@dataclass
class Asked:
    """One request that the server received."""

    provider: str
    headers: dict[str, str]
    body: dict[str, Any]
    began_s: float = field(default_factory=time.monotonic)
    gone_s: float | None = None
    """When the gateway closed the connection of an endless or silent answer."""


class ModelServer:
    """The server, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="model server")
        self._thread.start()
        assert self._started.wait(DEADLINE_S)

    def settings(self, provider: str) -> dict[str, str]:
        """Return the variables of a gateway that asks this server for a provider."""
        prefix = f"GATEWAY_{provider.upper()}"
        return {
            f"{prefix}_API_KEY": KEY,
            f"{prefix}_BASE_URL": f"http://127.0.0.1:{self.port}{_BASES[provider]}",
            f"{prefix}_MODEL": "m-1",
        }

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(DEADLINE_S)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        app = web.Application()
        for name, (path, dialect) in _DIALECTS.items():
            app.router.add_post(path, self._handler(name, dialect))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._started.set()
        await self._stopped.wait()
        await runner.cleanup()

    def _handler(self, name: str, dialect: Dialect) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            asked = Asked(name, dict(request.headers), await request.json())
            self.asked.append(asked)
            return await _answer(request, dialect, Mischief(dialect.prompt(asked.body)), asked)

        return handle


async def _answer(
    request: web.Request, dialect: Dialect, mischief: Mischief, asked: Asked
) -> web.StreamResponse:
    status = _STATUSES.get(mischief)
    if status is not None:
        return web.json_response(dialect.error(status), status=status)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    if mischief is Mischief.SILENT:
        await _wait_for_the_end(request, asked)
        return response
    await response.write(dialect.head())
    if mischief is Mischief.ENDLESS:
        await _talk_for_ever(request, response, dialect, asked)
        return response
    text = b"".join(dialect.piece(piece) for piece in (*PIECES, _EMOJI))
    for part in _halves(text):  # no event begins where a packet begins
        await response.write(part)
        await asyncio.sleep(0.01)
    await _end(request, response, dialect, mischief, asked)
    return response


async def _end(
    request: web.Request,
    response: web.StreamResponse,
    dialect: Dialect,
    mischief: Mischief,
    asked: Asked,
) -> None:
    ends = {
        Mischief.NONE: dialect.tail(),
        Mischief.NO_JSON: f"event: content_block_delta\ndata: {{{UPSTREAM_TEXT}\n\n".encode(),
        Mischief.OTHER_SHAPE: dialect.other_shape(),
        Mischief.ERROR_EVENT: dialect.error_event(),
    }
    if mischief in ends:
        await response.write(ends[mischief])
    elif mischief is Mischief.CUT and request.transport is not None:
        request.transport.abort()
    elif mischief is Mischief.SILENT_LATER:
        await _wait_for_the_end(request, asked)


def _halves(data: bytes) -> Iterator[bytes]:
    middle = data.index("🌊".encode()) + 2 if "🌊".encode() in data else len(data) // 2
    yield data[:middle]
    yield data[middle:]


async def _talk_for_ever(
    request: web.Request, response: web.StreamResponse, dialect: Dialect, asked: Asked
) -> None:
    with contextlib.suppress(ConnectionError):
        while request.transport is not None and not request.transport.is_closing():
            await response.write(dialect.piece("and "))
            await asyncio.sleep(0.01)
    asked.gone_s = time.monotonic()


async def _wait_for_the_end(request: web.Request, asked: Asked) -> None:
    deadline_s = time.monotonic() + 2 * DEADLINE_S
    while request.transport is not None and not request.transport.is_closing():
        assert time.monotonic() < deadline_s, "the gateway never ended a silent call"
        await asyncio.sleep(0.01)
    asked.gone_s = time.monotonic()
