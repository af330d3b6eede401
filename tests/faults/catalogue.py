"""The faults by name: the change to a gateway, and its description.

Each fault takes a gateway before its start and wraps one of its ports. The gateway announces the
same limits and welcome as before: a fault breaks a promise, and does not announce another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.server.app import Gateway
from tests.faults import (
    answers,
    connections,
    deliveries,
    limits,
    members,
    models,
    nodes,
    orders,
    rates,
    replays,
    snapshots,
)

Seed = Callable[[Gateway], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its description and the function that seeds it."""

    meaning: str
    seed: Seed


def _leave_alone(_gateway: Gateway) -> None:
    """Seed nothing."""


FAULTS: Final[dict[str, Fault]] = {
    "none": Fault("the gateway without a fault", _leave_alone),
    "limit-59": Fault("59 events pass, not 60", partial(limits.enforce, limit=59)),
    "limit-61": Fault("61 events pass, not 60", partial(limits.enforce, limit=61)),
    "window-59": Fault("the window is 59 s, not 60", partial(limits.enforce, window_s=59)),
    "window-61": Fault("the window is 61 s, not 60", partial(limits.enforce, window_s=61)),
    "limit-reset": Fault("a user's limit is forgotten with its connection", limits.reset),
    "heartbeat-dropped": Fault("1 % of the clients get no heartbeat", members.drop_heartbeats),
    "heartbeat-slow": Fault("the heartbeat interval is 1.2 times too long", members.slow_beats),
    "heartbeat-doubled": Fault(
        "1 % of the clients get each heartbeat twice", members.double_heartbeats
    ),
    "heartbeat-burst": Fault("heartbeats come two at once", members.beat_in_bursts),
    "broadcast-late": Fault("1 % of the broadcasts are 20 ms late", deliveries.delay),
    "delivery-lost": Fault("one delivery in 10,000 is lost", deliveries.lose),
    "delivery-doubled": Fault("one delivery in 10,000 is sent twice", deliveries.double),
    "delivery-swapped": Fault("one delivery in 10,000 is sent after the next", deliveries.swap),
    "conflation-claimed": Fault(
        "one delivery in 10,000 is lost and claimed to be conflated", deliveries.claim_conflation
    ),
    "digit-changed": Fault("one delivery in 5,000 has another digit", deliveries.change_digit),
    "tick-changed": Fault(
        "one delivery in 5,000 of the gateway's own source has another digit",
        deliveries.change_digit,
    ),
    "snapshot-old": Fault("one snapshot in ten is one value too old", snapshots.serve_older),
    "snapshot-changed": Fault(
        "one snapshot in ten has another digit than its event", snapshots.change_digit
    ),
    "side-changed": Fault("one public order in ten has the other side", deliveries.change_side),
    "answer-other": Fault(
        "one subscription in ten is one to another symbol, and answered so",
        answers.subscribe_to_another,
    ),
    "welcome-other": Fault("one welcome in ten names another user", answers.welcome_another),
    "first-lost": Fault("the first event after a subscription is lost", members.lose_first),
    "foreign-order": Fault("one user's order also goes to another user", deliveries.tell_another),
    "private-field": Fault("the public form of an order names its owner", deliveries.name_owner),
    "room-kept": Fault("a room still delivers to clients that left it", members.keep_rooms),
    "replay-lost": Fault("one replay in ten misses an event", replays.lose),
    "replay-doubled": Fault("one replay in ten repeats an event", replays.double),
    "slot-lost": Fault("one frame of a rate's slots in 100 is lost", rates.lose),
    "slot-old": Fault("a rate's slot sends the first event, and none follows", rates.send_first),
    "rate-ignored": Fault("a client's rate is answered and not kept", rates.ignore),
    "memory-leaked": Fault("each connection leaves 4 KB behind", connections.leak),
    "token-overstays": Fault(
        "a connection is served for 60 s after its token expired", connections.overstay
    ),
    "token-unchecked": Fault("an expired token is accepted", connections.let_in),
    "entitlement-kept": Fault(
        "a refreshed token without a symbol leaves the client in the symbol's room",
        connections.keep_entitlements,
    ),
    "entitlement-ignored": Fault(
        "a token's entitlements are not enforced", connections.ignore_entitlements
    ),
    "revoked-served": Fault(
        "a revoked token's connection is not closed", connections.serve_revoked
    ),
    "slow-blocks": Fault("a slow client delays its rooms", deliveries.wait_for_slow),
    "peer-unnoticed": Fault("a peer without pongs is not closed", connections.trust_silence),
    "drain-silent": Fault("a drain is not announced", connections.drain_silently),
    "drain-for-good": Fault(
        "a drain sends DISCONNECT, after which stock clients stay away", connections.drain_for_good
    ),
    "left-open": Fault(
        "an expired connection is disconnected, and its transport stays open",
        connections.leave_open,
    ),
    "figures-old": Fault("the metrics are 10 s old", answers.tell_old_figures),
    "encoded-for-each": Fault("JSON is encoded once a recipient", deliveries.encode_for_each),
    "token-lost": Fault("one token event of a model in 500 is lost", models.lose),
    "token-doubled": Fault("one token event of a model in 500 is sent twice", models.double),
    "token-foreign": Fault(
        "one token event of a model in 500 goes to another client", models.misdirect
    ),
    "token-altered": Fault("one token of a model in 500 lacks its last letter", models.shorten),
    "fill-early": Fault("one fill in ten is told before its trade", orders.fill_early),
    "profit-wrong": Fault(
        "one position in ten is told with a cent more of profit", orders.tell_another_profit
    ),
    "fee-forgotten": Fault("one trade in ten is told without its fee", orders.forget_fee),
    "public-price": Fault(
        "one trade in ten has another price for others than for its owner",
        orders.change_public_price,
    ),
    "node-swapped": Fault(
        "one node of three delivers one publication in 50 after the next of its stream", nodes.swap
    ),
    "node-renumbered": Fault(
        "one node of three gives two neighbours of a stream each other's numbers", nodes.renumber
    ),
    "node-skipped": Fault(
        "one node of three loses what came in while it was reconnecting to Redis", nodes.skip
    ),
    "loop-held": Fault("the event loop is held for 50 ms each 5 s", deliveries.hold_loop),
}
"""Every fault, including ``none``."""
