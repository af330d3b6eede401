"""One connection to the target before the load: for its welcome and its clock's offset."""

from __future__ import annotations

from typing import Any

from gateway.contract import ClientEvent
from loadtests.connection.plain_connection import PlainConnection
from loadtests.health.clock_offset import KEPT, Offset, OffsetFilter


def fetch_welcome(url: str, token: str) -> dict[str, Any]:
    """Connect once and return the welcome.

    Raises:
        ClientError: the target is unreachable, refuses, or sends no welcome.
    """
    probe = PlainConnection(url)
    try:
        return probe.connect(token)
    finally:
        probe.client.close()


def fetch_clock_offset(url: str, token: str) -> Offset | None:
    """Connect once and measure the offset of the target's clock with pings.

    Returns:
        None when the target's pong carries no stamps.

    Raises:
        ClientError: the target is unreachable, refuses, or does not answer.
    """
    found = OffsetFilter()
    probe = PlainConnection(url)
    try:
        probe.connect(token)
        for _ in range(KEPT):  # the contract allows 10 pings in 10 s
            reply = probe.client.call(ClientEvent.PING)
            pong = reply.payload
            if not isinstance(pong, dict) or not {"received", "sent"} <= pong.keys():
                return None
            received_ns, sent_ns = (int(pong[name]) * 1_000 for name in ("received", "sent"))
            found.add(reply.sent_ns, received_ns, sent_ns, reply.done_ns)
        return found.at(reply.done_ns)
    finally:
        probe.client.close()
