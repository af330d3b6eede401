"""The offset of another machine's clock from ours, with an error bound. Pure.

The exchange is NTP's (RFC 5905 §8). A ping leaves at T1 by our clock, is received at T2 and
answered at T3 by the other's, and its answer is read at T4 by ours:

        theirs     T2 ──── T3
                  ╱          ╲
        ours    T1            T4        delay  = (T4 − T1) − (T3 − T2)
                                        offset = ((T2 − T1) + (T3 − T4)) / 2

The offset (theirs − ours) is exact when both ways take equally long, and is always off by at
most half the delay. So the filter uses the exchange with the smallest delay (RFC 5905 §10), and
adds the clocks' possible drift since then to the bound.

ValueError
└── ImpossibleExchange   the stamps of an exchange contradict each other
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

KEPT: Final = 8
"""How many exchanges the filter keeps: as many as NTP's (RFC 5905 §10)."""
DRIFT_PPM: Final = 15
"""The largest drift of a clock, in millionths: PHI of RFC 5905 §7.3."""
STAMP_ERROR_NS: Final = 1_000
"""The contract's stamps are whole microseconds."""


class ImpossibleExchange(ValueError):  # noqa: N818 - it describes the stamps
    """Stamps that no pair of clocks can give."""


@dataclass(frozen=True, slots=True)
class Offset:
    """An estimate of the offset.

    Attributes:
        offset_ns: their clock minus ours; add it to our stamp to get theirs.
        error_ns: the error bound at the time of the call.
        delay_ns: of the exchange that it comes from, both ways together.
        exchanges: how many the filter chose from.
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
    """Keeps the last exchanges, and uses the one with the smallest error bound."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: deque[_Exchange] = deque(maxlen=KEPT)

    def add(self, sent_ns: int, received_ns: int, answered_ns: int, done_ns: int) -> None:
        """Add an exchange.

        Args:
            sent_ns: T1, when the ping left, by our clock.
            received_ns: T2, when it was received, by theirs.
            answered_ns: T3, when the pong left, by theirs.
            done_ns: T4, when the pong was read, by ours.

        Raises:
            ImpossibleExchange: the answer precedes the question, or the other side took longer
                than the exchange.
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
        """Return the offset and its bound at a time of our clock; None before any exchange."""
        if not self._kept:
            return None
        best = min(self._kept, key=lambda exchange: exchange.error_ns(now_ns))
        return Offset(best.offset_ns, best.error_ns(now_ns), best.delay_ns, len(self._kept))
