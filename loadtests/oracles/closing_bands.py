"""When a gateway must close a dead peer: time bands predicted from the handshake. Pure.

The handshake announces ``pingInterval`` and ``pingTimeout`` (Engine.IO 4, heartbeat). The
server pings ``pingInterval`` after the last pong or the open packet. It closes when no pong
arrives within ``pingTimeout`` after that. The contract adds for slow readers: lossless bytes
older than 5 s close the client, and a close that takes longer than 2 s is aborted. So::

    last ping   + interval            + timeout         close sent
    or open ────────┬──────────────────────┬─────────────────┤
                    next ping              no pong arrived   │ + 2 s if the peer does not
                                                             │   answer the close: aborted

    mute      neither reads nor writes           last ping + interval + timeout (+ 2 s)
    no-pong   reads, so it sees the close        last ping + interval + timeout
    stalled   sends pongs on schedule, but       death + 5 s (+ 2 s): at its death it requests
              reads nothing                      more lossless answers than the kernel accepts,
                                                 so the gateway queues bytes from then on

The edges of a band are moved outwards for three reasons: the gateway's timers are coarse (a
250th of the interval, at most 50 ms, twice), a ping is read later than it was sent, and either
process may be busy.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.contract import CLOSE_TIMEOUT_SECONDS
from loadtests.results import DeadPeerOutcome
from scenarios.schema import DeadPeerKind

EARLY_SLACK_NS: Final = 250_000_000
"""Largest delay between sending and reading a ping or an open packet."""
LATE_SLACK_NS: Final = 500_000_000
"""Allowance for coarse timers and for busy processes."""
_CLOSE_NS: Final = round(CLOSE_TIMEOUT_SECONDS * 1e9)


class Band(NamedTuple):
    """Earliest and latest correct end of a dead peer's connection, monotonic ns."""

    begin_ns: int
    end_ns: int

    def judge(self, ended_ns: int) -> DeadPeerOutcome:
        """Return whether an end at that moment (monotonic ns) is early, late or in the band."""
        if ended_ns < self.begin_ns:
            return DeadPeerOutcome.EARLY
        if ended_ns > self.end_ns:
            return DeadPeerOutcome.LATE
        return DeadPeerOutcome.IN_BAND


def predict_band(
    kind: DeadPeerKind,
    *,
    pinged_ns: int,
    died_ns: int,
    interval_ns: int,
    timeout_ns: int,
    max_send_ns: int,
) -> Band:
    """Return the band of one dead peer.

    Args:
        kind: kind of dead peer.
        pinged_ns: when the peer read its last ping, or the open packet before any ping;
            monotonic ns.
        died_ns: when the peer went dead, monotonic ns.
        interval_ns: ``pingInterval``, ns.
        timeout_ns: ``pingTimeout``, ns.
        max_send_ns: how long the gateway queues lossless bytes for a client, ns.
    """
    unanswered_ns = pinged_ns + interval_ns + timeout_ns
    due_ns = died_ns + max_send_ns if kind == "stalled" else unanswered_ns
    closing_ns = 0 if kind == "no-pong" else _CLOSE_NS
    return Band(due_ns - EARLY_SLACK_NS, due_ns + closing_ns + LATE_SLACK_NS)
