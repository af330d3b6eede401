"""How a proxy in another process is told what to do: a line of JSON, answered by another.

    {"set": [{"type": "latency", "latency_ms": 5}]}     → {"at_ns": 123, …figures}
    {"read": true}                                      → {…figures}
    anything else                                       → {"error": "what would be right"}

OSError
└── ControlError     the proxy refused what it was asked, in its own words
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from typing import Any, Final, Self, cast

from loadtests.faults.proxy import FaultProxy
from loadtests.faults.toxics import Toxic, ToxicError, describe, parse_toxics

LISTENING: Final = "faults on "
ANSWER_S: Final = 5.0
MAX_LINE_BYTES: Final = 65_536


class ControlError(OSError):
    """The proxy did not do what it was asked."""


class ControlSide(asyncio.Protocol):
    """One connection of somebody who says what a proxy is to do."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._held = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole line."""
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            if self._transport is not None:
                self._transport.write(json.dumps(answer(self._proxy, line)).encode() + b"\n")
        if len(self._held) > MAX_LINE_BYTES and self._transport is not None:
            self._transport.abort()


async def serve_control(proxy: FaultProxy) -> tuple[asyncio.Server, int]:
    """Listen on the loopback for what a proxy is to do, and return the server and its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ControlSide(proxy), "127.0.0.1", 0)
    return server, int(server.sockets[0].getsockname()[1])


def answer(proxy: FaultProxy, line: bytes) -> dict[str, Any]:
    """Do what a line asks of a proxy, and return the answer."""
    try:
        asked = json.loads(line)
        if not isinstance(asked, dict) or asked.keys() not in ({"set"}, {"read"}):
            return {"error": 'say {"set": [toxics]} or {"read": true}'}
        if "read" in asked:
            return proxy.figures()
        return {"at_ns": proxy.set(parse_toxics(asked["set"])), **proxy.figures()}
    except (ToxicError, ValueError, TypeError, AttributeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


class ProxyControl:
    """The other end of the control port, for programs that wait for their answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set(self, toxics: Sequence[Toxic]) -> dict[str, Any]:
        """Set the toxics; the figures come with ``at_ns``, when they began. Raises OSError."""
        return self._ask({"set": [describe(toxic) for toxic in toxics]})

    def read(self) -> dict[str, Any]:
        """Return ``FaultProxy.figures``. Raises OSError."""
        return self._ask({"read": True})

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def _ask(self, content: dict[str, Any]) -> dict[str, Any]:
        self._file.write(json.dumps(content).encode() + b"\n")
        self._file.flush()
        line = self._file.readline()
        if not line:
            raise ControlError("the fault proxy hung up")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise ControlError(found["error"])
        return found
