"""The control port of a proxy process: each line is a JSON command, answered by a JSON line.

    {"set": [{"type": "latency", "latency_ms": 5}]}     → {"at_ns": 123, …figures}
    {"read": true}                                      → {…figures}
    anything else                                       → {"error": "what is wrong"}

OSError
└── ControlError     the proxy refused the command or closed the connection
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
    """The proxy refused a command or closed the connection."""


class _ControlSide(asyncio.Protocol):
    """The proxy's end of one control connection."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._held = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            if self._transport is not None:
                self._transport.write(json.dumps(answer(self._proxy, line)).encode() + b"\n")
        if len(self._held) > MAX_LINE_BYTES and self._transport is not None:
            self._transport.abort()


async def serve_control(proxy: FaultProxy) -> tuple[asyncio.Server, int]:
    """Listen on the loopback for control connections; return the server and its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _ControlSide(proxy), "127.0.0.1", 0)
    return server, int(server.sockets[0].getsockname()[1])


def answer(proxy: FaultProxy, line: bytes) -> dict[str, Any]:
    """Execute a command line on a proxy and return the answer."""
    try:
        asked = json.loads(line)
        if not isinstance(asked, dict) or asked.keys() not in ({"set"}, {"read"}):
            return {"error": 'unknown command: write {"set": [toxics]} or {"read": true}'}
        if "read" in asked:
            return proxy.figures()
        return {"at_ns": proxy.set(parse_toxics(asked["set"])), **proxy.figures()}
    except (ToxicError, ValueError, TypeError, AttributeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


class ProxyControl:
    """The client's end of a control connection; every call waits for its answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set(self, toxics: Sequence[Toxic]) -> dict[str, Any]:
        """Replace the toxics; return the figures, with ``at_ns`` when the change took effect.

        Raises:
            ControlError: the proxy refused them.
            OSError: no answer.
        """
        return self._ask({"set": [describe(toxic) for toxic in toxics]})

    def read(self) -> dict[str, Any]:
        """Return ``FaultProxy.figures``.

        Raises:
            OSError: no answer.
        """
        return self._ask({"read": True})

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def _ask(self, content: dict[str, Any]) -> dict[str, Any]:
        self._file.write(json.dumps(content).encode() + b"\n")
        self._file.flush()
        line = self._file.readline()
        if not line:
            raise ControlError("the fault proxy closed the control connection")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise ControlError(found["error"])
        return found
