"""One measured metric: its value, the interval that holds it, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reports import intervals
from reports.run_frames import RunFrames


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One metric of one run.

    Attributes:
        value: in the metric's own unit (ns, B, a count); None when there is no data.
        low: lower end of the 95 % interval; a count is exact, so its own value.
        high: upper end.
        n: how many values it comes from.
        needed: how many values a verdict needs; None where any number will do.
        why: in words: why there is no value, or what should be known about it.
        left_out_s: tainted seconds that it does not look at (``reports.taint``).
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    needed: int | None = None
    why: str = ""
    left_out_s: int = 0


Measure = Callable[[RunFrames], Measurement]
"""Measures a metric that is one number."""
MeasureQuantile = Callable[[RunFrames, str], Measurement]
"""Measures a statistic, such as ``p99``, of a metric that is many spans."""


def exact(value: float, n: int | None, why: str = "") -> Measurement:
    """Return what was counted, which has no doubt about it."""
    return Measurement(value=value, low=value, high=value, n=n, why=why)


def absent(why: str, n: int = 0) -> Measurement:
    """Return that there is no value, and why."""
    return Measurement(n=n, why=why)


def estimated(
    found: intervals.Estimate, why: str = "", *, needed: int | None = None
) -> Measurement:
    """Return an estimate with its interval."""
    return Measurement(
        value=found.value, low=found.low, high=found.high, n=found.n, needed=needed, why=why
    )
