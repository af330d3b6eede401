"""Taking a WebSocket's socket from aiohttp, where aiohttp was the one that received it.

That is so under ``web.run_app``, and on a keep-alive connection that carried another
request before. aiohttp has no public way; the private names are all here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from gateway.transport.refusals import RequestRejected
from gateway.transport.requests import RequestHead, plain_response

Adopt = Callable[[asyncio.Transport, RequestHead, bytes], None]


class _Collector:
    """Stands in for aiohttp's payload parser: takes the bytes behind the head."""

    def __init__(self) -> None:
        self.data = bytearray()

    def set_exception(self, *_: Any) -> None:
        """Ignore: the connection's end reaches its new protocol."""

    def feed_eof(self) -> None:
        """Ignore: as above."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Keep bytes; never done."""
        self.data += data
        return False, b""


async def take_over(request: web.Request, head: RequestHead, adopt: Adopt) -> web.StreamResponse:
    """Give a request's socket to ``adopt`` and let aiohttp forget it.

    Args:
        request: as its handler got it.
        head: its head.
        adopt: ``(transport, head, bytes behind the head)``; answers and owns the socket.

    Returns:
        A response that aiohttp does not write, because its connection is gone for it.
    """
    protocol: Any = request.protocol
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client went away")
    collector = _Collector()
    protocol.set_parser(collector)  # hands over what was read ahead
    protocol.transport = None
    asyncio.get_running_loop().call_soon(protocol.connection_lost, None)
    adopt(transport, head, bytes(collector.data))
    return _Gone()


def answer_and_close(request: web.Request, reject: RequestRejected) -> web.StreamResponse:
    """Answer a request whose body is not read to its end, and close its connection.

    Returns:
        A response that aiohttp does not write; it would wait for the rest of the body first.
    """
    transport = request.transport
    if transport is not None:
        transport.write(
            plain_response(reject.status, reject.body, "application/json", reject.headers)
        )
        transport.close()
    return _Gone()


def answer_nobody() -> web.StreamResponse:
    """Return a response to a client that has gone."""
    return _Gone()


class _Gone(web.Response):
    """A response to nobody."""

    async def prepare(self, _request: web.BaseRequest) -> Any:
        """Write nothing."""
        return None

    async def write_eof(self, _data: bytes = b"") -> None:
        """Write nothing."""
