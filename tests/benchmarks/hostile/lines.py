"""Plain sockets to the gateway, for clients that no library would be.

Everything here awaits on the loop's ``sock_*`` calls: a socket can be left alone half-way,
and go on to be read by a poll.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.contract import SOCKETIO_PATH
from tests.benchmarks.transport import wire

NARROW_BYTES: Final = 4_096
"""Receive buffer of a client that does not read: the kernel takes little for it."""
_READ_BYTES: Final = 65_536
_PATIENCE_S: Final = 5.0
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_SID: Final = re.compile(rb'"sid":"([^"]+)"')


class LineBroken(OSError):  # noqa: N818 - it reads as what happened
    """The gateway ended a connection, or did not answer, where an answer was needed."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom to connect to, as whom, and for what.

    Attributes:
        port: on 127.0.0.1.
        tokens: taken in turn, for a limit may hold for each user.
        symbols: to subscribe to.
    """

    port: int
    tokens: Iterator[str]
    symbols: Sequence[str]

    def greeting(self) -> bytes:
        """Return upgrade request and CONNECT with the next token, in one piece."""
        return wire.upgrade_request(self.port) + wire.connect_frame(next(self.tokens))

    def subscription(self) -> bytes:
        """Return the frame that subscribes to every symbol."""
        return wire.event("subscribe", {"channel": "market-data", "symbols": list(self.symbols)})


async def dial(port: int, receive_bytes: int | None = None) -> socket.socket:
    """Connect, and say nothing.

    Raises:
        OSError: refused.
    """
    line = socket.socket()
    line.setblocking(False)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_bytes is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    try:
        await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", port))
    except BaseException:
        line.close()
        raise
    return line


async def join(target: Target, receive_bytes: int | None = None) -> socket.socket:
    """Connect, authenticate and subscribe; return once the subscription is answered.

    Raises:
        OSError: refused, closed, or not answered within 5 s.
    """
    line = await dial(target.port, receive_bytes)
    try:
        await send(line, target.greeting() + target.subscription())
        await read_until(line, b'42["subscribed"')
    except BaseException:
        line.close()
        raise
    return line


async def send(line: socket.socket, data: bytes) -> None:
    """Send all of it.

    Raises:
        OSError: the connection has ended.
    """
    await asyncio.get_running_loop().sock_sendall(line, data)


async def read_until(line: socket.socket, wanted: bytes) -> bytes:
    """Return what comes until it holds those bytes.

    Raises:
        LineBroken: it ended before, or 5 s have passed.
    """
    received = b""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while wanted not in received:
                chunk = await asyncio.get_running_loop().sock_recv(line, _READ_BYTES)
                if not chunk:
                    raise LineBroken(f"closed before {wanted!r}: {received[-200:]!r}")
                received += chunk
    except TimeoutError:
        raise LineBroken(f"no {wanted!r} in {_PATIENCE_S:g} s: {received[-200:]!r}") from None
    return received


async def read_to_end(line: socket.socket, timeout_s: float = _PATIENCE_S) -> bool:
    """Read and forget until the gateway closes; return whether it did in that time.

    A WebSocket's close frame counts: the gateway then waits up to 2 s for this end to close.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while data := await asyncio.get_running_loop().sock_recv(line, _READ_BYTES):
                if _ends_with_close(data):
                    break
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def _ends_with_close(data: bytes) -> bool:
    # A server's close frame is not masked and carries at most 125 bytes (RFC 6455, 5.5).
    at = data.rfind(b"\x88")
    return 0 <= at < len(data) - 1 and at + 2 + data[at + 1] == len(data)


def polling_request(port: int, sid: str = "", body: bytes | None = None) -> bytes:
    """Return a poll, or with a body a push."""
    query = f"EIO=4&transport=polling{f'&sid={sid}' if sid else ''}"
    verb = "GET" if body is None else "POST"
    head = f"{verb} {SOCKETIO_PATH}?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def upgrade_of(port: int, sid: str) -> bytes:
    """Return the request that moves a polling session to a WebSocket."""
    return wire.upgrade_request(port).replace(
        b"transport=websocket", b"transport=websocket&sid=" + sid.encode()
    )


async def request(line: socket.socket, data: bytes) -> bytes:
    """Send an HTTP request and return the body of its answer.

    Raises:
        OSError: it was not answered.
    """
    await send(line, data)
    answer = await read_until(line, _HEAD_END)
    head, _, body = answer.partition(_HEAD_END)
    length = _LENGTH.search(head)
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0:
        chunk = await asyncio.get_running_loop().sock_recv(line, missing)
        if not chunk:
            raise LineBroken("closed within an answer")
        body += chunk
        missing -= len(chunk)
    return body


async def open_polling(line: socket.socket, port: int) -> str:
    """Open a session over HTTP polling and return its sid.

    Raises:
        OSError: it was not opened.
    """
    answer = await request(line, polling_request(port))
    found = _SID.search(answer)
    if found is None:
        raise LineBroken(f"a session was not opened: {answer[:200]!r}")
    return found[1].decode()
