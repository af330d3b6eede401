"""The faults by name: what each does to a gateway, and in words what it is.

Each takes a gateway that was made and not started, and wraps one of its ports. What the
gateway tells of itself, its welcome and its limits, stays as it was: a fault is what breaks
a promise, not what announces another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.server.app import Gateway
from tests.faults import connections, deliveries, limits, members

Seed = Callable[[Gateway], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to be wrong."""

    meaning: str
    seed: Seed


def _leave_alone(_gateway: Gateway) -> None:
    """Seed nothing."""


FAULTS: Final[dict[str, Fault]] = {
    "none": Fault("the gateway as it is", _leave_alone),
    "limit-59": Fault("59 events pass, not 60", partial(limits.enforce, limit=59)),
    "limit-61": Fault("61 events pass, not 60", partial(limits.enforce, limit=61)),
    "window-59": Fault("the window is 59 s, not 60", partial(limits.enforce, window_s=59)),
    "window-61": Fault("the window is 61 s, not 60", partial(limits.enforce, window_s=61)),
    "limit-reset": Fault("a user's limit is forgotten with its connection", limits.reset),
    "heartbeat-dropped": Fault("1 % of the clients get no heartbeat", members.drop_heartbeats),
    "heartbeat-slow": Fault("the heartbeat's interval is 1.2 times too long", members.slow_beats),
    "broadcast-late": Fault("1 % of the broadcasts go 20 ms late", deliveries.delay),
    "delivery-lost": Fault("one delivery in 10,000 is lost", deliveries.lose),
    "delivery-doubled": Fault("one delivery in 10,000 comes twice", deliveries.double),
    "delivery-swapped": Fault("one delivery in 10,000 comes after the next", deliveries.swap),
    "first-lost": Fault("the first event after a subscription is lost", members.lose_first),
    "foreign-order": Fault("one user's order goes to another, too", deliveries.tell_another),
    "private-field": Fault("the public form of an order names its owner", deliveries.name_owner),
    "room-kept": Fault("a room that was left still delivers", members.keep_rooms),
    "memory-leaked": Fault("each connection leaves 4 KB behind", connections.leak),
    "token-overstays": Fault("an expired token is served for 60 s more", connections.overstay),
    "token-unchecked": Fault("an expired token is let in", connections.let_in),
    "slow-blocks": Fault("a slow client holds its rooms up", deliveries.wait_for_slow),
    "peer-unnoticed": Fault("a peer without pongs is not closed", connections.trust_silence),
    "drain-silent": Fault("a drain is not announced", connections.drain_silently),
}
"""Every fault, ``none`` among them."""
