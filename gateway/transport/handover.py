"""Taking a WebSocket's socket from aiohttp when aiohttp received the request.

This happens under ``web.run_app``, and on a keep-alive connection whose first request was
another one. aiohttp has no public interface for it. This module alone uses private names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from gateway.transport.answers import plain_response
from gateway.transport.relay import relay_of
from gateway.transport.requests import RequestHead

Adopt = Callable[[asyncio.Transport, RequestHead, bytes], None]


class _Collector:
    """Replaces aiohttp's payload parser and collects the bytes after the head."""

    def __init__(self) -> None:
        self.data = bytearray()

    def set_exception(self, *_: Any) -> None:
        """Do nothing: the new protocol learns of the connection's end."""

    def feed_eof(self) -> None:
        """Do nothing, as above."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Collect bytes, and ask for more."""
        self.data += data
        return False, b""


async def take_over(request: web.Request, head: RequestHead, adopt: Adopt) -> web.StreamResponse:
    """Give a request's socket to ``adopt`` and detach it from aiohttp.

    Args:
        request: the request.
        head: its head.
        adopt: called with transport, head and the bytes after the head. It answers the
            request and owns the socket.

    Returns:
        A response that aiohttp does not write.

    Raises:
        ConnectionResetError: the client has disconnected.
    """
    protocol: Any = request.protocol
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has disconnected")
    collector = _Collector()
    protocol.set_parser(collector)  # receives the bytes that aiohttp has read ahead
    detach(protocol)
    adopt(transport, head, bytes(collector.data))
    return _Gone()


def detach(protocol: Any) -> None:
    """End aiohttp's protocol of a connection that goes on without it."""
    protocol.transport = None
    asyncio.get_running_loop().call_soon(protocol.connection_lost, None)


def close(protocol: Any) -> None:
    """Have aiohttp's protocol close its connection after the answer that it is writing."""
    protocol.close()


def answer_and_close(
    request: web.Request, status: int, body: bytes, headers: Mapping[str, str]
) -> web.Response:
    """Answer a request without reading the rest of its body, and close the connection.

    Args:
        request: the request.
        status: the status of the answer.
        body: its body, JSON.
        headers: additional headers.

    Returns:
        A response that aiohttp does not write: it would read the rest of the body first.
    """
    transport = request.transport
    relay = None if transport is None else relay_of(transport)
    if transport is not None and relay is not None and not transport.is_closing():
        relay.finish(transport, plain_response(status, body, "application/json", headers))
    return _Gone()


def answer_nobody() -> web.Response:
    """Return a response for a client that has disconnected."""
    return _Gone()


class _Gone(web.Response):
    """A response that is not written."""

    async def prepare(self, _request: web.BaseRequest) -> Any:
        """Write nothing."""
        return None

    async def write_eof(self, _data: bytes = b"") -> None:
        """Write nothing."""
