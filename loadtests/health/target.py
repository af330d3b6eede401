"""One connection to the target before the load: for its welcome and its clock's offset."""

from __future__ import annotations

from typing import Any, Final

from gevent.event import AsyncResult
from gevent.timeout import Timeout

from gateway.contract import ClientEvent, ServerEvent
from loadtests.connection.client import Client
from loadtests.errors import TimedOut
from loadtests.health.clock_offset import KEPT, Offset, OffsetFilter
from loadtests.tokens import mint

PROBE_USER: Final = "tidegate-probe"
_PROBE_TIMEOUT_S: Final = 10.0


def fetch_welcome(url: str, secret: str) -> dict[str, Any]:
    """Connect once, as a separate user, and return the welcome.

    Raises:
        ClientError: the target is unreachable, refuses, or sends no welcome.
    """
    probe = _Probe()
    client = Client(url, probe, connect_timeout_s=_PROBE_TIMEOUT_S)
    try:
        client.connect({"token": mint(secret, PROBE_USER, lifetime_s=60)})
        return probe.welcome()
    finally:
        client.close()


def fetch_clock_offset(url: str, secret: str, exchanges: int = KEPT) -> Offset | None:
    """Connect once and measure the offset of the target's clock with pings.

    Args:
        url: of the target.
        secret: its ``JWT_SECRET``.
        exchanges: pings, at most the 10 that the contract allows in 10 s.

    Returns:
        None when the target's pong carries no stamps.

    Raises:
        ClientError: the target is unreachable, refuses, or does not answer.
    """
    found = OffsetFilter()
    client = Client(url, _Probe(), connect_timeout_s=_PROBE_TIMEOUT_S)
    try:
        client.connect({"token": mint(secret, PROBE_USER, lifetime_s=60)})
        for _ in range(exchanges):
            reply = client.call(ClientEvent.PING)
            pong = reply.payload
            if not isinstance(pong, dict) or not {"received", "sent"} <= pong.keys():
                return None
            received_ns, sent_ns = (int(pong[name]) * 1_000 for name in ("received", "sent"))
            found.add(reply.sent_ns, received_ns, sent_ns, reply.done_ns)
        return found.at(reply.done_ns)
    finally:
        client.close()


class _Probe:
    """Waits for the welcome; part of ``Listener``."""

    def __init__(self) -> None:
        self._welcome: AsyncResult = AsyncResult()

    def welcome(self) -> dict[str, Any]:
        try:
            payload: dict[str, Any] = self._welcome.get(timeout=_PROBE_TIMEOUT_S)
        except Timeout:
            raise TimedOut("the welcome event", _PROBE_TIMEOUT_S) from None
        return payload

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:  # noqa: ARG002 - the protocol's shape
        if name == ServerEvent.CONNECTED and arguments and isinstance(arguments[0], dict):
            self._welcome.set(arguments[0])

    def on_end(self, stamp_ns: int, error: Exception) -> None:  # noqa: ARG002 - the protocol's shape
        self._welcome.set_exception(error)
