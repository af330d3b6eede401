"""``Parting``: a link after the server's DISCONNECT, watched until the server closes it.

A stock client closes the transport itself after DISCONNECT, so it would never see that a gateway
leaves it open. The load client waits instead. The gateway aborts a close that takes longer than
``CLOSE_TIMEOUT_SECONDS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.contract import CLOSE_TIMEOUT_SECONDS
from loadtests.connection.links import Link
from loadtests.connection.protocol.session import Connection, Ended
from loadtests.connection.seals import Seal

_SLACK_S: Final = 2.0
LEFT_OPEN_NS: Final = round((CLOSE_TIMEOUT_SECONDS + _SLACK_S) * 1_000_000_000)
"""A transport that is open for longer after DISCONNECT was left open."""


class Parting:
    """Closes a link when the server does, or reports that it left the link open.

    Args:
        link: of the client that the server disconnected.
        connection: its protocol core, parted.
        since_ns: stamp of the read that brought DISCONNECT.
        report: called with the time, ns, when the transport was left open.
    """

    def __init__(
        self,
        link: Link | Seal,
        connection: Connection,
        since_ns: int,
        report: Callable[[int], None],
    ) -> None:
        self._link = link
        self._connection = connection
        self._until_ns = since_ns + LEFT_OPEN_NS
        self._report = report
        link.hand_over(self)
        link.expect_within(LEFT_OPEN_NS)

    def on_open(self) -> None:
        """Part of ``links.LinkHolder``; the link is open already."""

    def on_data(self, stamp_ns: int, data: bytes) -> None:
        """Take a read, until the server closes; part of ``links.LinkHolder``."""
        connection = self._connection
        events = connection.receive(data) if data else connection.receive_eof()
        answer = connection.bytes_to_send()
        if answer and data:
            self._link.send(answer)
        if any(isinstance(event, Ended) for event in events):
            self._link.close()
        elif stamp_ns > self._until_ns:
            self._give_up()

    def on_kernel_stamp(self, stamp_ns: int, share_ns: int) -> None:
        """Ignore kernel stamps; part of ``links.LinkHolder``."""

    def on_failure(self, error: Exception) -> None:
        """Take the end of the link, or a silence in which it should have ended."""
        if isinstance(error, TimeoutError):
            self._give_up()
        else:
            self._link.close()

    def _give_up(self) -> None:
        self._link.close()
        self._report(self._until_ns)
