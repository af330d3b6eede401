"""``Poster``: JSON posted over kept HTTP connections, with little CPU time for each request.

A publication of the load generator is on its way only once its request is written. Whatever that
takes is part of every push time, so this client does no more than a request needs.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Final, cast

import httptools

from loadtests.connection.protocol.handshake import Target, parse_target
from loadtests.connection.trust import machine_authorities
from loadtests.errors import ConnectionClosed, TimedOut, unreachable

_LAST_INTERIM: Final = 199
"""Statuses up to here come before the answer (RFC 9110 §15.2)."""


class Poster:
    """Posts to one server. Requests side by side have a connection each, which is kept.

    Args:
        url: of the server, without a path.
        timeout_s: for a request as a whole, its connection included.

    Raises:
        InvalidTarget: the URL names no server.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._target = parse_target(url)
        self._timeout_s = timeout_s
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes, token: str) -> tuple[int, bytes]:
        """Return status and body of the answer.

        Args:
            path: of the route.
            body: JSON.
            token: the bearer token.

        Raises:
            Unreachable: no connection.
            TimedOut: no whole answer in time.
            ConnectionClosed: the connection ended before the answer, or the answer is no HTTP.
        """
        head = _head(self._target, path, token)
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._take()
                answer = await connection.ask(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        except TimeoutError:
            raise TimedOut(f"the answer to POST {path}", self._timeout_s) from None
        finally:
            if connection is not None:
                self._put_back(connection)
        return answer

    def close(self) -> None:
        """Close the kept connections."""
        while self._idle:
            self._idle.pop().close()

    async def _take(self) -> _Connection:
        while self._idle:
            kept = self._idle.pop()
            if kept.is_free:
                return kept
        loop = asyncio.get_running_loop()
        tls = machine_authorities() if self._target.secure else None
        try:
            _, connection = await loop.create_connection(
                _Connection, self._target.host, self._target.port, ssl=tls
            )
        except OSError as error:
            raise unreachable(self._url, error) from error
        return connection

    def _put_back(self, connection: _Connection) -> None:
        if connection.is_free:
            self._idle.append(connection)
        else:
            connection.close()


class _Connection(asyncio.Protocol):
    """One request at a time. An answer that is broken, late or not awaited ends the connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    @property
    def is_free(self) -> bool:
        """Whether it can take a request."""
        return self._answer is None and self._transport is not None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and return status and body of its answer.

        Raises:
            ConnectionClosed: the connection ended before, or the answer is no HTTP.
        """
        if self._transport is None or self._answer is not None:
            raise ConnectionClosed("the connection is not free")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; part of ``asyncio.Protocol``."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read the answer; part of ``asyncio.Protocol``."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(f"the answer is no HTTP: {type(error).__name__}: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail a request that waits; part of ``asyncio.Protocol``."""
        self._end(str(exc) if exc else "the server closed before its answer was whole")

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body; part of httptools' parser."""
        self._body.append(part)

    def on_message_complete(self) -> None:
        """Hand the answer over; part of httptools' parser."""
        status = self._parser.get_status_code()
        body = b"".join(self._body)
        self._body.clear()
        if status <= _LAST_INTERIM:
            return
        answer, self._answer = self._answer, None
        if answer is None or not self._parser.should_keep_alive():
            self.close()
        if answer is not None and not answer.done():
            answer.set_result((status, body))

    def _end(self, why: str) -> None:
        self.close()
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(ConnectionClosed(why))


@lru_cache(maxsize=16)
def _head(target: Target, path: str, token: str) -> bytes:
    """Return the request up to the length of its body, which follows."""
    lines = (
        f"POST {path} HTTP/1.1",
        f"Host: {target.authority}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        "Content-Length: ",
    )
    return "\r\n".join(lines).encode("latin-1")
