"""``Visit``: a connection of a check, which gets its welcome and waits for its end."""

from __future__ import annotations

from typing import Any

import gevent
from gevent.event import AsyncResult, Event

from gateway.contract import ServerEvent
from loadtests.connection.client import CONNECT_TIMEOUT_S, Client
from loadtests.errors import ClientError, ConnectRefused
from loadtests.watching.witness_metrics import WitnessMetrics


class Visit:
    """A connection that only waits for its end.

    Args:
        url: of the gateway.
        metrics: takes failures.

    Attributes:
        client: the connection.
        ended: set once it has ended.
        is_left_open: whether the transport stayed open after DISCONNECT.
    """

    def __init__(self, url: str, metrics: WitnessMetrics) -> None:
        self.client = Client(url, self)
        self.ended = Event()
        self.is_left_open = False
        self._metrics = metrics
        self._welcome: AsyncResult = AsyncResult()

    def enter(self, token: str) -> bool:
        """Connect, and return whether that succeeded. A failure but a refused token is counted."""
        try:
            self.client.connect({"token": token})
        except ConnectRefused:
            return False
        except ClientError:
            self._metrics.failed()
            return False
        return True

    def welcome(self) -> dict[str, Any] | None:
        """Return the welcome event; None, which counts as a failure, if none comes."""
        try:
            found: dict[str, Any] = self._welcome.get(timeout=CONNECT_TIMEOUT_S)
        except gevent.Timeout:
            self._metrics.failed()
            return None
        return found

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:  # noqa: ARG002 - the listener's shape
        """Take the welcome, and ignore other events; part of ``client.Listener``.

        Args:
            stamp_ns: read stamp, monotonic ns.
            name: of the event.
            arguments: its payload.
        """
        if name == ServerEvent.CONNECTED and arguments and isinstance(arguments[0], dict):
            self._welcome.set(arguments[0])

    def on_end(self, stamp_ns: int, error: Exception) -> None:  # noqa: ARG002 - the listener's shape
        """Note the end; part of ``client.Listener``."""
        self.ended.set()

    def on_left_open(self, stamp_ns: int) -> None:  # noqa: ARG002 - the listener's shape
        """Note it; part of ``client.Listener``."""
        self.is_left_open = True
