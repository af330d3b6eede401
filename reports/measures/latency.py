"""Quantiles of times: pushes, acknowledgements, connections, and the generator's own delays.

They come from the one-second histograms of the steady phase, without its dirty seconds
(``reports.believability``). ``connect`` and ``session`` cover all phases, because users
connect in the ramp. Heartbeats cover the warm-up too, because they are rare.

There are two kinds of interval:

- Values that arrive throughout a phase: a moving-block bootstrap over its seconds. Seconds
  around one that is left out count as neighbours.
- One value per member of a group, within a few seconds of one event (storm, drain, death): a
  distribution-free interval from order statistics over the members (``estimate_by_order``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from loadtests.results import Phase, Series
from reports import intervals, quantities
from reports.believability import left_out
from reports.measures.histograms import EVERY_PHASE, STEADY, histogram_of, quantile_fraction
from reports.measures.measurement import (
    Measurement,
    MeasureQuantile,
    absent,
    estimated,
)
from reports.remembering import once_a_run
from reports.run_frames import RunFrames

HEARTBEAT_PHASES: Final = (Phase.WARM_UP, Phase.STEADY)
_STREAMS: Final[dict[str, tuple[Series, tuple[Phase, ...]]]] = {
    "push": (Series.PUSH, STEADY),
    "push_service": (Series.PUSH_SERVICE, STEADY),
    "accept": (Series.ACCEPT, STEADY),
    "kernel": (Series.KERNEL, STEADY),
    "read": (Series.GENERATOR_SHARE, STEADY),
    "fanout.skew": (Series.FANOUT_SKEW, STEADY),
    "staleness": (Series.STALENESS, STEADY),
    "ack": (Series.ACK, STEADY),
    "ack_service": (Series.ACK_SERVICE, STEADY),
    "connect": (Series.CONNECT, EVERY_PHASE),
    "session": (Series.SESSION, EVERY_PHASE),
    "session_delay": (Series.SESSION_DELAY, EVERY_PHASE),
    "schedule_delay": (Series.SCHEDULE_DELAY, STEADY),
    "publish_delay": (Series.PUBLISH_DELAY, STEADY),
    "publish_ack": (Series.PUBLISH_ACK, STEADY),
    "loop_lag": (Series.GATEWAY_LAG, STEADY),
    "orders.accept": (Series.ORDER_ACCEPT, STEADY),
    "orders.fill": (Series.ORDER_FILL, STEADY),
    "return.current": (Series.RETURN_CURRENT, STEADY),
    "llm.first_token": (Series.LLM_FIRST_TOKEN, STEADY),
    "llm.gap": (Series.LLM_GAP, STEADY),
    "llm.cancel": (Series.LLM_CANCEL, STEADY),
}
SOURCES: Final[dict[str, tuple[Series, tuple[Phase, ...]]]] = {
    **_STREAMS,
    "heartbeat.error": (Series.HEARTBEAT_ERROR, HEARTBEAT_PHASES),
    "heartbeat.gap": (Series.HEARTBEAT_GAP, HEARTBEAT_PHASES),
}
"""The series and phases of each metric whose values arrive throughout a phase."""

_TOGETHER: Final = tuple(
    quantile_fraction(each) for each in ("p50", "p90", "p95", "p99", "p99.9", "p99.99")
)
"""Quantiles estimated together, so that one resampling serves all."""

ONE_WAY: Final = frozenset({"push", "push_service", "accept", "kernel", "staleness"})
"""Metrics that subtract a stamp of one clock from a stamp of another."""


def measure_stream(
    run: RunFrames,
    metric: str,
    statistic: str,
    *,
    without: frozenset[int] | None = None,
) -> Measurement:
    """Measure a quantile of values that arrive throughout a phase.

    Args:
        run: the run.
        metric: a name of ``SOURCES``.
        statistic: ``p50`` to ``p99.99``, or ``max``.
        without: seconds to leave out; None for the run's dirty ones.
    """
    series, phases = SOURCES[metric]
    excluded = _left_out(run, phases) if without is None else without
    histogram = histogram_of(run, series, phases, without=excluded)
    if not histogram.n:
        return absent(_why_empty(run, series, phases))
    found, needed = _estimate(run, metric, statistic, excluded)
    words = [] if found.low is not None else [_too_short(histogram)]
    if excluded:
        words.append(f"{quantities.counted(len(excluded), 'dirty second')} left out")
    measurement = estimated(found, "; ".join(words), needed=needed)
    measurement = replace(measurement, left_out_s=len(excluded))
    return _widen(run, measurement) if metric in ONE_WAY else measurement


def measure_members(
    run: RunFrames, series: Series, statistic: str, *, never: int = 0, nobody: str = ""
) -> Measurement:
    """Measure a quantile of values that each member of a group gives once.

    Args:
        run: the run.
        series: one value for each member, in any phase.
        statistic: ``p50`` to ``p99.99``, or ``max``.
        never: members without a value; each ranks above all values.
        nobody: the reason to give when there is no value at all.
    """
    histogram = histogram_of(run, series, EVERY_PHASE)
    if not histogram.n:
        return absent(run.absences.get("hist") or nobody or _why_empty(run, series, EVERY_PHASE))
    members = histogram.n + never
    if statistic == "max":
        if never:
            return absent(f"{never:,} of {members:,} members have no value", histogram.n)
        return estimated(intervals.estimate_maximum(histogram), needed=1)
    quantile = quantile_fraction(statistic)
    needed = intervals.samples_needed(quantile)
    found = intervals.estimate_by_order(histogram, quantile, never=never)
    if found is None:
        why = f"{never:,} of {members:,} members have no value, so the {statistic} is unknown"
        return absent(why, histogram.n)
    words = f"{never:,} of {members:,} members have no value" if never else ""
    return estimated(found, words, needed=needed)


def _left_out(run: RunFrames, phases: Sequence[Phase]) -> frozenset[int]:
    """Return the seconds to leave out; none of metrics that cover all phases."""
    return frozenset() if len(phases) == len(Phase) else left_out(run)


def _estimate(
    run: RunFrames, metric: str, statistic: str, excluded: frozenset[int]
) -> tuple[intervals.Estimate, int]:
    series, phases = SOURCES[metric]
    if statistic == "max":
        return intervals.estimate_maximum(histogram_of(run, series, phases, without=excluded)), 1
    quantile = quantile_fraction(statistic)
    asked = _TOGETHER if quantile in _TOGETHER else (quantile,)
    found = _estimates(run, metric, excluded, asked)[quantile]
    return found, intervals.samples_needed(quantile)


@once_a_run
def _estimates(
    run: RunFrames, metric: str, excluded: frozenset[int], quantiles: tuple[float, ...]
) -> dict[float, intervals.Estimate]:
    """Return quantiles of a metric with their intervals, from the same draws."""
    series, phases = SOURCES[metric]
    histogram = histogram_of(run, series, phases, without=excluded)
    found = intervals.estimate_quantiles(histogram, quantiles, seed=run.scenario.seed)
    return dict(zip(quantiles, found, strict=True))


def _why_empty(run: RunFrames, series: Series, phases: Sequence[Phase]) -> str:
    where = "" if len(phases) == len(Phase) else f" in the {' and '.join(phases)} phase"
    return run.absences.get("hist") or f"no {series} was measured{where}"


def _too_short(histogram: intervals.StackedHistogram) -> str:
    least = intervals.FEWEST_BLOCKS * intervals.block_length(histogram)
    return (
        f"an interval needs at least {least} seconds, and there are "
        f"{quantities.count(len(histogram.seconds))}"
    )


def _widen(run: RunFrames, found: Measurement) -> Measurement:
    """Add the bound on the clocks' difference to both ends of a one-way interval.

    One clock has no difference. Two clocks with an unbounded difference give no interval.
    """
    clock = run.manifest.part("clock")
    is_one = clock.get("same") is not False
    error_ns = clock.get("error_ns", 0 if is_one else None)
    if error_ns is None:
        words = "gateway and generator have two clocks with an unknown difference"
        why = f"{words}; {found.why}" if found.why else words
        return replace(found, low=None, high=None, why=why)
    if not error_ns or found.low is None or found.high is None:
        return found
    words = f"two clocks, ± {quantities.span(float(error_ns))}"
    return replace(
        found,
        low=max(0.0, found.low - error_ns),
        high=found.high + error_ns,
        why=f"{words}; {found.why}" if found.why else words,
    )


def _stream(metric: str) -> MeasureQuantile:
    return lambda run, statistic: measure_stream(run, metric, statistic)


QUANTILES: Final[dict[str, MeasureQuantile]] = {metric: _stream(metric) for metric in _STREAMS}
