"""How far another machine's clock is from ours, with a bound on the error. Pure.

The exchange is NTP's (RFC 5905 §8). A ping leaves at T1 by our clock, is received at T2 and
answered at T3 by the other's, and its answer is read at T4 by ours:

        theirs     T2 ──── T3
                  ╱          ╲
        ours    T1            T4        delay  = (T4 − T1) − (T3 − T2)
                                        offset = ((T2 − T1) + (T3 − T4)) / 2

The offset (theirs − ours) is exact when both ways take equally long; whatever the ways are,
it is off by at most half the delay. So the exchange with the smallest delay is believed
(RFC 5905 §10, the clock filter), and what a clock may drift since then is added to the bound.

ValueError
└── ImpossibleExchange   the stamps of an exchange contradict each other
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

KEPT: Final = 8
"""Exchanges that are kept: the length of NTP's shift register (RFC 5905 §10)."""
DRIFT_PPM: Final = 15
"""What a clock may run fast or slow: PHI of RFC 5905 §7.3, in millionths."""
STAMP_ERROR_NS: Final = 1_000
"""The contract's stamps are whole microseconds."""


class ImpossibleExchange(ValueError):  # noqa: N818 - what the stamps are
    """Stamps that no pair of clocks can give."""


@dataclass(frozen=True, slots=True)
class Offset:
    """What was found.

    Attributes:
        offset_ns: their clock minus ours; add it to a stamp of ours to get theirs.
        error_ns: the offset is off by at most this much, at the moment it was asked for.
        delay_ns: of the exchange that it comes from, both ways together.
        exchanges: how many it was chosen from.
    """

    offset_ns: int
    error_ns: int
    delay_ns: int
    exchanges: int


@dataclass(frozen=True, slots=True)
class _Exchange:
    offset_ns: int
    delay_ns: int
    at_ns: int

    def error_ns(self, now_ns: int) -> int:
        drift_ns = abs(now_ns - self.at_ns) * DRIFT_PPM // 1_000_000
        return -(-self.delay_ns // 2) + STAMP_ERROR_NS + drift_ns


class OffsetFilter:
    """Keeps the last exchanges, and believes the one that bounds the error best."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: deque[_Exchange] = deque(maxlen=KEPT)

    def add(self, sent_ns: int, received_ns: int, answered_ns: int, done_ns: int) -> None:
        """Take an exchange.

        Args:
            sent_ns: T1, when the ping left, by our clock.
            received_ns: T2, when it was received, by theirs.
            answered_ns: T3, when the pong left, by theirs.
            done_ns: T4, when the pong was read, by ours.

        Raises:
            ImpossibleExchange: an answer before its question, or more time spent there
                than passed here.
        """
        away_ns, there_ns = done_ns - sent_ns, answered_ns - received_ns
        if away_ns < 0 or there_ns < 0:
            raise ImpossibleExchange(f"an answer {min(away_ns, there_ns)} ns after its question")
        if there_ns > away_ns + 2 * STAMP_ERROR_NS:
            raise ImpossibleExchange(f"{there_ns} ns spent there while {away_ns} ns passed here")
        offset_ns = (received_ns - sent_ns + answered_ns - done_ns) // 2
        delay_ns = max(0, away_ns - there_ns)
        self._kept.append(_Exchange(offset_ns, delay_ns, done_ns))

    def at(self, now_ns: int) -> Offset | None:
        """Return the offset with its bound at a moment of our clock; None before any exchange."""
        if not self._kept:
            return None
        best = min(self._kept, key=lambda exchange: exchange.error_ns(now_ns))
        return Offset(best.offset_ns, best.error_ns(now_ns), best.delay_ns, len(self._kept))
