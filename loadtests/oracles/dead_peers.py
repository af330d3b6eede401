"""When a gateway must notice a peer that plays dead: bands predicted from the handshake. Pure.

The handshake announces ``pingInterval`` and ``pingTimeout`` (Engine.IO 4, heartbeat: the
server pings ``pingInterval`` after the last pong, or the open packet, and closes when no pong
comes within ``pingTimeout`` after that). The contract adds, for slow readers: lossless bytes
older than 5 s close the client, and a close that is not done in 2 s is aborted. So::

    last ping   + interval            + timeout         close sent
    or open ────────┬──────────────────────┬─────────────────┤
                    next ping              no pong came      │ + 2 s where the peer answers
                                                             │   no close: aborted

    mute      neither reads nor writes          last ping + interval + timeout (+ 2 s)
    no-pong   reads, so it sees the close        last ping + interval + timeout
    stalled   pongs by the clock, reads nothing  death + 5 s (+ 2 s): at its death it asks for
              and has asked for more than the    answers, which are lossless, of which the first
              kernel takes                       that the kernel refuses waits from then on

An edge is moved outwards by what clocks on both sides need: the gateway's timers are coarse
(a 250th of the interval, 50 ms at most, twice), a ping is read later than it was sent, and
either process may have been busy.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.contract import CLOSE_TIMEOUT_SECONDS
from loadtests.results import DeadPeerOutcome
from scenarios.schema import DeadPeerKind

EARLY_SLACK_NS: Final = 250_000_000
"""A ping or an open packet is read so much after it was sent, at most."""
LATE_SLACK_NS: Final = 500_000_000
"""Timers, and what keeps either process busy."""
_CLOSE_NS: Final = round(CLOSE_TIMEOUT_SECONDS * 1e9)


class Band(NamedTuple):
    """From when to when the end of a dead peer's connection is in order, monotonic ns."""

    begin_ns: int
    end_ns: int

    def judge(self, ended_ns: int) -> DeadPeerOutcome:
        """Return what an end at that moment is."""
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
    """Return the band of one death.

    Args:
        kind: how it plays dead.
        pinged_ns: when its last ping was read, or the open packet where none came.
        died_ns: when it began to play dead.
        interval_ns: ``pingInterval``.
        timeout_ns: ``pingTimeout``.
        max_send_ns: how long lossless bytes may wait for a client.
    """
    unanswered_ns = pinged_ns + interval_ns + timeout_ns
    due_ns = died_ns + max_send_ns if kind == "stalled" else unanswered_ns
    closing_ns = 0 if kind == "no-pong" else _CLOSE_NS
    return Band(due_ns - EARLY_SLACK_NS, due_ns + closing_ns + LATE_SLACK_NS)
