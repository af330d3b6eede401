"""``Relay``: the protocol of a connection that an HTTP server behind it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Relay(asyncio.Protocol):
    """Passes a connection's events on to another protocol, and tells when the connection ends.

    aiohttp does not tell a handler that its client has disconnected.

    Args:
        server: the protocol that answers, ``None`` without one.

    Attributes:
        on_end: called once when the connection ends, ``None`` for nobody.
    """

    __slots__ = ("on_end", "server")

    def __init__(self, server: asyncio.Protocol | None) -> None:
        self.server = server
        self.on_end: Callable[[], None] | None = None

    def data_received(self, data: bytes) -> None:
        """Pass bytes on (asyncio protocol)."""
        if self.server is not None:
            self.server.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass the client's end of sending on (asyncio protocol)."""
        return None if self.server is None else self.server.eof_received()

    def pause_writing(self) -> None:
        """Pass on that the kernel takes no more bytes (asyncio protocol)."""
        if self.server is not None:
            self.server.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the kernel takes bytes again (asyncio protocol)."""
        if self.server is not None:
            self.server.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on, and tell it (asyncio protocol)."""
        server, on_end = self.server, self.on_end
        self.server = self.on_end = None
        if server is not None:
            server.connection_lost(exc)
        if on_end is not None:
            on_end()

    def answered(self) -> None:
        """Note that the server has written an answer."""

    def finish(self, transport: asyncio.Transport, answer: bytes = b"") -> None:
        """Write the last answer, and close without reading what the client still sends.

        Args:
            transport: the connection's transport.
            answer: the answer as bytes.
        """
        transport.write(answer)
        transport.close()


def relay_of(transport: asyncio.Transport) -> Relay | None:
    """Return the relay of a connection that an HTTP server answers, ``None`` after its end."""
    protocol = transport.get_protocol()
    if isinstance(protocol, Relay):
        return protocol
    if transport.is_closing() or not isinstance(protocol, asyncio.Protocol):
        return None
    relay = Relay(protocol)
    transport.set_protocol(relay)
    return relay
