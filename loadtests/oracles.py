"""Oracles: what the gateway ought to have done, held against what it did. Pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from loadtests.results import LimitOutcome


class HeartbeatOracle:
    """One client's heartbeats against the interval that its welcome announced.

    A beat is missed when none came within half an interval of where it was due.
    The welcome stands for a first beat: the gateway beats on one global tick, so
    the first must come within one interval of it.

    Args:
        interval_ns: the welcome's ``heartbeatInterval``.
        welcome_ns: the welcome's read stamp.
    """

    __slots__ = ("_beats", "_last_ns", "interval_ns", "missed")

    def __init__(self, interval_ns: int, welcome_ns: int) -> None:
        if interval_ns <= 0:
            raise ValueError(f"a heartbeat interval of {interval_ns} ns; it is over 0")
        self.interval_ns = interval_ns
        self.missed = 0
        self._last_ns = welcome_ns
        self._beats = 0

    def beat(self, stamp_ns: int) -> int | None:
        """Take a heartbeat and return the gap to the one before, in ns; None for the first."""
        gap_ns = stamp_ns - self._last_ns
        self.missed += self._missed_in(gap_ns)
        self._last_ns = stamp_ns
        self._beats += 1
        return gap_ns if self._beats > 1 else None

    def close(self, now_ns: int) -> int:
        """Count what a silent end missed, and return all that was missed; idempotent."""
        self.missed += self._missed_in(now_ns - self._last_ns)
        self._last_ns = max(now_ns, self._last_ns)
        return self.missed

    def _missed_in(self, gap_ns: int) -> int:
        # Halves go up, always: Python's round() sends 1.5 and 2.5 to the same 2.
        return max(0, math.floor(gap_ns / self.interval_ns + 0.5) - 1)


@dataclass(frozen=True, slots=True)
class _Arrival:
    earliest_ns: int
    latest_ns: int
    is_certain: bool


class RateLimitOracle:
    """One connection's decisions against «``limit`` accepted in any window (t − w, t]».

    An event arrives at the gateway somewhere between its sending and its answer.
    A decision is wrong only when it is wrong for every arrival time possible;
    right for one and wrong for another is undecidable. What the gateway accepted
    before is taken as it is, so one wrong decision is counted once.

    Args:
        limit: how many are accepted.
        window_ns: in any window of this length.
    """

    def __init__(self, limit: int, window_ns: int) -> None:
        self._limit = limit
        self._window_ns = window_ns
        self._accepted: deque[_Arrival] = deque()

    def judge(self, sent_ns: int, done_ns: int, *, is_accepted: bool) -> LimitOutcome:
        """Judge a decision; decisions are judged in the order in which they were sent.

        Args:
            sent_ns: when the event left, the earliest that it arrived.
            done_ns: when its answer was read, the latest.
            is_accepted: what the gateway decided.
        """
        self._forget(sent_ns)
        surely = sum(
            arrival.is_certain and arrival.earliest_ns > done_ns - self._window_ns
            for arrival in self._accepted
        )
        possibly = len(self._accepted)
        if is_accepted:
            self._accepted.append(_Arrival(sent_ns, done_ns, is_certain=True))
            return self._outcome(
                LimitOutcome.ACCEPTED, possibly < self._limit, surely >= self._limit
            )
        return self._outcome(LimitOutcome.REFUSED, surely >= self._limit, possibly < self._limit)

    def unanswered(self, sent_ns: int, given_up_ns: int) -> LimitOutcome:
        """Take an event whose answer never came: it may have been accepted, or not."""
        self._forget(sent_ns)
        self._accepted.append(_Arrival(sent_ns, given_up_ns, is_certain=False))
        return LimitOutcome.UNDECIDABLE

    def _forget(self, sent_ns: int) -> None:
        """Drop what has left the window for certain."""
        self._accepted = deque(
            arrival for arrival in self._accepted if arrival.latest_ns > sent_ns - self._window_ns
        )

    @staticmethod
    def _outcome(decision: LimitOutcome, is_right: bool, is_wrong: bool) -> LimitOutcome:
        if is_right:
            return decision
        if not is_wrong:
            return LimitOutcome.UNDECIDABLE
        if decision is LimitOutcome.ACCEPTED:
            return LimitOutcome.FALSE_ACCEPT
        return LimitOutcome.FALSE_REFUSAL
