"""``PlainConnection``: a connection without a Locust user, which takes its welcome only."""

from __future__ import annotations

import ssl
from typing import Any

from gevent.event import AsyncResult
from gevent.timeout import Timeout

from gateway.contract import ServerEvent
from loadtests.connection.client import CONNECT_TIMEOUT_S, Client
from loadtests.errors import TimedOut


class PlainConnection:
    """Holds a connection and takes its welcome. It ignores all other events.

    Args:
        url: of the gateway.
        source_address: to connect from; None leaves it to the kernel.
        tls: what to trust with https and wss; None trusts the machine's authorities.

    Attributes:
        client: to call with.
    """

    def __init__(
        self, url: str, source_address: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.client = Client(url, self, source_address=source_address, tls=tls)
        self._welcomed: AsyncResult = AsyncResult()

    def connect(self, token: str) -> dict[str, Any]:
        """Connect and return the welcome.

        Raises:
            ClientError: refused, unreachable, or no welcome in time.
        """
        self._welcomed = AsyncResult()
        try:
            self.client.connect({"token": token})
            welcome: dict[str, Any] = self._welcomed.get(timeout=CONNECT_TIMEOUT_S)
        except Timeout:
            self.client.close()
            raise TimedOut("the welcome event", CONNECT_TIMEOUT_S) from None
        return welcome

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:  # noqa: ARG002 - the listener's shape
        """Take the welcome; part of ``client.Listener``.

        Args:
            stamp_ns: read stamp, monotonic.
            name: name of the event.
            arguments: its arguments.
        """
        if name == ServerEvent.CONNECTED and arguments and isinstance(arguments[0], dict):
            self._welcomed.set(arguments[0])

    def on_end(self, stamp_ns: int, error: Exception) -> None:  # noqa: ARG002 - the listener's shape
        """Fail the wait for the welcome; calls fail by themselves."""
        if not self._welcomed.ready():
            self._welcomed.set_exception(error)

    def on_left_open(self, stamp_ns: int) -> None:
        """Ignore it; part of ``client.Listener``."""
