"""``Anomalies``: scores what users and addresses do against their own past. Pure.

Each subject has a row. A row counts signals in windows of 10 s, and knows the mean of each signal
in its past windows. Two rules tell an anomaly. *Burst:* a signal of this window exceeds
``floor + 3 mean + 6 √mean``. *Drift:* the excess of ended windows over ``slack + 2 mean``, summed
while it is positive (a one-sided CUSUM, Page 1954), exceeds two floors. A burst teaches the row no
more than the allowed number, and refusals and errors never become normal. A subject without a past
may do twice as much of the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

WINDOW_NS: Final = 10_000_000_000
_QUIET_WINDOWS: Final = 6  # after an anomaly, its signal is not told again for so long
_FORGET_WINDOWS: Final = 360  # an hour without a signal
_MEMORY: Final = 0.02  # weight of the newest window: the past is about the last 50 windows
_MEANS: Final = 3.0
_DEVIATIONS: Final = 6.0
_DRIFT_MEANS: Final = 2.0
_DRIFT_FLOORS: Final = 2.0
_SLACK: Final = 0.2  # of a floor, a window
_NEW: Final = 2.0  # floors that a subject without a past is allowed
MOST_ROWS: Final = 20_000


class Signal(IntEnum):
    """What is counted of a subject."""

    CONNECT = 0
    SUBSCRIPTION = 1
    PING = 2
    TOKEN = 3
    MODEL = 4
    REFUSAL = 5
    ERROR = 6


class SubjectKind(StrEnum):
    """What a row is about."""

    USER = "user"
    ADDRESS = "address"


_FLOORS: Final = {
    # connects, subscriptions, pings, tokens, model requests, refusals, errors: in a window
    SubjectKind.USER: (6.0, 25.0, 12.0, 5.0, 6.0, 5.0, 6.0),
    SubjectKind.ADDRESS: (40.0, 250.0, 120.0, 50.0, 60.0, 12.0, 30.0),
}
_SIGNALS: Final = len(Signal)
_SUSPICIOUS: Final = (Signal.TOKEN, Signal.REFUSAL, Signal.ERROR)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A subject that behaves unlike its past.

    Attributes:
        kind: user or address.
        subject: the user's id, or the address.
        signal: what it does.
        count: how often in the window; for a drift, the summed excess.
        allowed: how much its past allows.
    """

    kind: SubjectKind
    subject: str
    signal: Signal
    count: float
    allowed: float

    @property
    def score(self) -> float:
        """The count over what is allowed; 1 is the threshold."""
        return self.count / self.allowed


class _Row:
    """The signals of a subject."""

    __slots__ = ("allowed", "counts", "excess", "means", "quiet_until", "window", "windows")

    def __init__(self, window: int, floors: tuple[float, ...]) -> None:
        self.window = window
        self.windows = 0
        self.counts = [0] * _SIGNALS
        self.means = [0.0] * _SIGNALS
        self.excess = [0.0] * _SIGNALS
        self.allowed = [
            floor if signal in _SUSPICIOUS else _NEW * floor for signal, floor in enumerate(floors)
        ]
        self.quiet_until = [0] * _SIGNALS

    def turn(self, window: int, floors: tuple[float, ...]) -> int | None:
        """Begin a new window.

        Returns:
            The signal that drifts most, ``None`` if none does.
        """
        elapsed = window - self.window
        self.window = window
        self.windows += 1
        if self.windows == 1:
            self.allowed = list(floors)
        weight = max(_MEMORY, 1.0 / self.windows)
        fading = (1.0 - _MEMORY) ** (elapsed - 1)
        worst, worst_ratio = None, 1.0
        for signal in range(_SIGNALS):
            count, mean, floor = self.counts[signal], self.means[signal], floors[signal]
            if not count and not mean:
                continue
            over = count - (_SLACK * floor + _DRIFT_MEANS * mean)
            excess = self.excess[signal] = max(0.0, self.excess[signal] + over)
            if excess > worst_ratio * _DRIFT_FLOORS * floor:
                worst, worst_ratio = signal, excess / (_DRIFT_FLOORS * floor)
            most = _SLACK * floor if signal in _SUSPICIOUS else self.allowed[signal]
            mean += weight * (min(count, most) - mean)
            mean *= fading
            self.excess[signal] *= fading
            self.means[signal] = mean if mean > 1e-3 else 0.0
            self.allowed[signal] = floor + _MEANS * mean + _DEVIATIONS * math.sqrt(mean)
            self.counts[signal] = 0
        return worst


class Anomalies:
    """The rows of one kind of subject. The subject without a signal for longest is forgotten first.

    Args:
        kind: the kind.
        most_rows: the most rows.
    """

    def __init__(self, kind: SubjectKind, most_rows: int = MOST_ROWS) -> None:
        self._kind = kind
        self._floors = _FLOORS[kind]
        self._most_rows = most_rows
        self._rows: dict[str, _Row] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def note(self, subject: str, signal: Signal, now_ns: int) -> Anomaly | None:
        """Count a signal.

        Args:
            subject: the subject.
            signal: what it did.
            now_ns: the time, monotonic ns.

        Returns:
            The anomaly that this signal tells, ``None`` if it tells none.
        """
        window = now_ns // WINDOW_NS
        row = self._rows.get(subject)
        found = None
        if row is None or row.window != window:
            found = self._turn(subject, row, window)
            row = self._rows[subject]
        counts = row.counts
        counts[signal] += 1
        if counts[signal] <= row.allowed[signal] or window < row.quiet_until[signal]:
            return found
        return self._tell(subject, row, signal, counts[signal], row.allowed[signal])

    def sweep(self, now_ns: int) -> None:
        """Forget the subjects without a signal for an hour."""
        before = now_ns // WINDOW_NS - _FORGET_WINDOWS
        while self._rows:
            subject, row = next(iter(self._rows.items()))
            if row.window >= before:
                return  # the rows are in the order of their last windows
            del self._rows[subject]

    def _turn(self, subject: str, row: _Row | None, window: int) -> Anomaly | None:
        """Begin a subject's window, and return the anomaly that its ended windows tell."""
        if row is None:
            if len(self._rows) >= self._most_rows:
                del self._rows[next(iter(self._rows))]
            self._rows[subject] = _Row(window, self._floors)
            return None
        del self._rows[subject]
        self._rows[subject] = row  # the last one now
        drifting = row.turn(window, self._floors)
        if drifting is None or window < row.quiet_until[drifting]:
            return None
        excess, row.excess[drifting] = row.excess[drifting], 0.0
        allowed = _DRIFT_FLOORS * self._floors[drifting]
        return self._tell(subject, row, Signal(drifting), excess, allowed)

    def _tell(
        self, subject: str, row: _Row, signal: Signal, count: float, allowed: float
    ) -> Anomaly:
        row.quiet_until[signal] = row.window + _QUIET_WINDOWS
        return Anomaly(self._kind, subject, signal, count, allowed)
