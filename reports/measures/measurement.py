"""One measured metric: its value and interval, or the reason why there is none."""

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
        low: lower end of the 95 % interval; the value itself for an exact count.
        high: upper end.
        n: number of values behind it.
        needed: number of values that a verdict needs; None when any number suffices.
        why: why there is no value, or a remark about it.
        left_out_s: number of dirty seconds left out (``reports.believability``).
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    needed: int | None = None
    why: str = ""
    left_out_s: int = 0


Measure = Callable[[RunFrames], Measurement]
"""Measures a metric of one number."""
MeasureQuantile = Callable[[RunFrames, str], Measurement]
"""Measures a statistic, such as ``p99``, of a metric of many times."""


def exact(value: float, n: int | None, why: str = "") -> Measurement:
    """Return an exact count.

    Args:
        value: the count.
        n: number of cases checked; None when unknown.
        why: a remark.
    """
    return Measurement(value=value, low=value, high=value, n=n, why=why)


def absent(why: str, n: int = 0) -> Measurement:
    """Return a measurement without a value, with the reason."""
    return Measurement(n=n, why=why)


def estimated(
    found: intervals.Estimate, why: str = "", *, needed: int | None = None
) -> Measurement:
    """Return the measurement of an estimate.

    Args:
        found: value, interval and number of values.
        why: a remark.
        needed: number of values that a verdict needs.
    """
    return Measurement(
        value=found.value, low=found.low, high=found.high, n=found.n, needed=needed, why=why
    )
