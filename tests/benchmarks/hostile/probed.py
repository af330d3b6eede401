"""``python -m tests.benchmarks.hostile.probed gateway|bare``: a server with a probe of its loop.

``gateway`` is the whole gateway, ``bare`` a protocol that does nothing. A second port, told on the
second line of the output, answers a ``?`` with a line of JSON: ``lag_ms``, the longest that a
timer of 1 ms was late since the last answer, and ``held``, what the server's tables hold. An ``h``
holds the loop for ``HOLD_S``, which is no lag: what happens meanwhile comes at once. Answers then
have ``held_before``, what the tables held at the end of it, and ``empty_s``, how long after it
they were empty; null while they are not.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from typing import Final

from gateway.contract import LISTENING_LINE

HOLD_S: Final = 0.5
HOLD: Final = b"h"
ASK: Final = b"?"
_TICK_S: Final = 0.001
_BACKLOG: Final = 8_192

Held = Callable[[], int]


class Probe:
    """Wakes each millisecond, and notes the latest."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._held_before: int | None = None
        self._empty_s: float | None = None
        self._released_s: float | None = None
        self._longest_s = 0.0
        self._schedule()

    def hold(self) -> None:
        """Hold the loop; lag counts from then on, and so does the time to empty tables."""
        time.sleep(HOLD_S)
        self._held_before, self._empty_s = self._held(), None
        self._released_s = self._due_s = time.monotonic()
        self._longest_s = 0.0

    def answer(self) -> bytes:
        # A lag that lasts still counts. Not the loop's time: that is the beginning of its turn.
        longest_s, self._longest_s = max(self._longest_s, time.monotonic() - self._due_s), 0.0
        words = {
            "lag_ms": longest_s * 1_000,
            "held": self._held(),
            "held_before": self._held_before,
            "empty_s": self._empty_s,
        }
        return json.dumps(words).encode() + b"\n"

    def _schedule(self) -> None:
        self._due_s = time.monotonic() + _TICK_S
        asyncio.get_running_loop().call_later(_TICK_S, self._wake)

    def _wake(self) -> None:
        now_s = time.monotonic()
        self._longest_s = max(self._longest_s, now_s - self._due_s)
        if self._released_s is not None and self._empty_s is None and not self._held():
            self._empty_s = now_s - self._released_s
        self._schedule()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(1):
            if asked == HOLD:
                self.hold()
            else:
                writer.write(self.answer())
        writer.close()


class Bare(asyncio.Protocol):
    """Does nothing but know who is connected."""

    connected: Final = set[asyncio.BaseTransport]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.connected.add(transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.connected.discard(self._transport)


async def _serve_gateway() -> tuple[str, Held]:
    from gateway.server.app import Gateway
    from gateway.server.log import configure_logs
    from gateway.settings import read_settings

    settings = read_settings(os.environ, random_secret=secrets.token_urlsafe(48))
    configure_logs(settings.log_level, settings.log_format)
    gateway = Gateway(settings)
    context, transport = gateway.context, gateway.transport

    def held() -> int:
        participants = transport.manager.get_participants("/", None)
        is_inhabited = next(iter(participants), None) is not None
        kept = len(context.sessions) + len(transport.engine.sockets) + is_inhabited
        return kept + context.subscriptions.symbol_count()

    return await gateway.start(), held


async def _serve_bare() -> tuple[str, Held]:
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0, backlog=_BACKLOG)
    host, port = server.sockets[0].getsockname()
    return f"http://{host}:{port}", lambda: len(Bare.connected)


async def _main(kind: str) -> None:
    url, held = await (_serve_gateway() if kind == "gateway" else _serve_bare())
    answering = await asyncio.start_server(Probe(held).serve, "127.0.0.1", 0)
    port = answering.sockets[0].getsockname()[1]
    print(f"{LISTENING_LINE}{url}\n{port}", flush=True)  # noqa: T201 - a command line speaks
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main(sys.argv[1]))
