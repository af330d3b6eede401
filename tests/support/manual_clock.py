"""A clock for tests of the gateway."""

from __future__ import annotations


class ManualClock:
    """A clock that moves only by ``advance`` and ``step``.

    Args:
        monotonic_ns: the start of the monotonic clock, ns.
        unix_s: the start of the wall clock, s.
    """

    def __init__(self, monotonic_ns: int = 1_000_000_000, unix_s: float = 1_800_000_000.0) -> None:
        self.id = "manual"
        self._monotonic_ns = monotonic_ns
        self._unix_s = unix_s

    def monotonic_ns(self) -> int:
        """Return the monotonic time."""
        return self._monotonic_ns

    def unix_s(self) -> float:
        """Return the wall time."""
        return self._unix_s

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._monotonic_ns += round(seconds * 1e9)
        self._unix_s += seconds

    def step(self, seconds: float) -> None:
        """Step the wall clock, back if negative. No time passes."""
        self._unix_s += seconds
