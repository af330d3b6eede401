"""``ListeningSocket``: accepts the connections of a gateway, and ends without a failed request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.transport import BACKLOG, Door, accept_waiting

_LAST_ANSWERS_S: Final = 0.25
"""A request comes within a round trip of its connection; one that sends none is not waited for."""
_POLL_S: Final = 0.005

MakeDoor = Callable[[], Door]


class ListeningSocket:
    """Accepts connections.

    Args:
        listening: the listening socket.
        make_door: makes the protocol of a connection.
        tls: options of TLS for the event loop; empty without TLS.
    """

    def __init__(
        self, listening: socket.socket, make_door: MakeDoor, tls: Mapping[str, Any]
    ) -> None:
        self.listening = listening
        self._make_door = make_door
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to accept."""
        self._server = await asyncio.get_running_loop().create_server(
            self._make_door, sock=self.listening, backlog=BACKLOG, **self._tls
        )

    def close(self) -> None:
        """Accept no more, and reset the connections in the queue."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def leave(self, awaits_requests: Callable[[], object]) -> None:
        """Accept the connections in the queue and no others, and answer their requests.

        So a balancer that has just connected gets the answer of a gateway that drains, and asks
        another one. A reset would leave it without any.

        Args:
            awaits_requests: returns whether a connection has not sent its first request.
        """
        if self._server is None:
            return
        accepted = accept_waiting(self.listening)
        self.close()
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + _LAST_ANSWERS_S
        last = [
            loop.create_task(connect_accepted(one, self._make_door, **self._tls))
            for one in accepted
        ]
        while loop.time() < ends_s and (  # noqa: ASYNC110 - once, and short
            awaits_requests() or not all(one.done() for one in last)
        ):
            await asyncio.sleep(_POLL_S)
        for one in last:
            one.cancel()  # of a TLS handshake


async def connect_accepted(accepted: socket.socket, make_door: MakeDoor, **tls: Any) -> None:
    """Serve a connection that the event loop has not accepted itself.

    Args:
        accepted: the connection, not blocking.
        make_door: makes its protocol.
        tls: options of TLS for the event loop.
    """
    try:
        await asyncio.get_running_loop().connect_accepted_socket(make_door, accepted, **tls)
    except OSError:  # the client has disconnected meanwhile
        accepted.close()
