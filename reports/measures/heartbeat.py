"""Heartbeats: their regularity, missing ones, and false evictions of clients."""

from __future__ import annotations

import math
from typing import Final

from loadtests.results import EndOutcome, Event, Phase, Series
from reports.believability import left_out
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.latency import measure_stream
from reports.measures.measurement import Measure, Measurement, MeasureQuantile, absent, exact
from reports.measures.orders import orders_of
from reports.run_frames import RunFrames

_S: Final = 1_000_000_000
WELL_BEHAVED: Final = (
    "subscriber", "trader", "exchange_user", "idle", "churner", "returner", "storm", "model_user",
)  # fmt: skip
"""Groups whose users keep every rule, so the gateway has no reason to disconnect them."""


def measure_gaps(
    run: RunFrames, metric: str, statistic: str, *, without: frozenset[int] | None = None
) -> Measurement:
    """Measure a quantile of heartbeat gaps, without beats that a dirty second delayed.

    A beat that is read late lengthens the gap before it and shortens the next, one interval
    later. Both gaps are left out.

    Args:
        run: the run.
        metric: ``heartbeat.error`` or ``heartbeat.gap``.
        statistic: ``p50`` to ``p99.99``, or ``max``.
        without: seconds of the run to leave out; None for those that the run leaves out of times.
    """
    dirty = left_out(run) if without is None else without
    interval_s = round(float(run.manifest.facts.get("heartbeat_interval_ms") or 0) / 1_000)
    after = {second + interval_s + slip for second in dirty for slip in (-1, 0, 1)}
    steady = run["timeline"]
    last = steady.loc[steady["phase"] == str(Phase.STEADY), "t_s"]
    held = set(last.tolist())
    excluded = frozenset(dirty | (after & held) if interval_s else dirty)
    return measure_stream(run, metric, statistic, without=excluded)


def count_missed(run: RunFrames) -> Measurement:
    """Count heartbeats that never arrived."""
    if run["events"].empty:  # every run records its phases there
        return absent(run.why_absent("events"))
    heard = histogram_of(run, Series.HEARTBEAT_GAP, EVERY_PHASE).n
    missed = int((run["events"]["event"] == str(Event.HEARTBEAT_MISSED)).sum())
    if not heard and not missed:
        return absent("no client stayed for two heartbeats")
    return exact(missed, heard + missed)


def count_false_evictions(run: RunFrames) -> Measurement:
    """Count unexplained disconnections of well-behaved users.

    A disconnection is explained by an ``EndOutcome`` in its row (a drop by command, a drain). It
    is also explained for a group that was told to ``pause``: the gateway may close a client that
    does not read as a slow consumer.
    """
    events = run["events"]
    if events.empty:
        return absent(run.why_absent("events"))
    behaved = events["group"].isin(WELL_BEHAVED)
    came = events["event"].isin([str(Event.CONNECT), str(Event.RECONNECT)])
    kept = int((came & behaved).sum())
    ends = events[behaved & (events["event"] == str(Event.DISCONNECT))]
    if not kept and ends.empty:
        return absent("no well-behaved user received a welcome")
    ends = ends[~ends["outcome"].isin([str(outcome) for outcome in EndOutcome])]
    paused = {order.who: order.start_s * _S for order in reversed(orders_of(run, "pause"))}
    unexplained = sum(
        at_ns < paused.get(group, math.inf)
        for at_ns, group in zip(ends["t_ns"], ends["group"], strict=True)
    )
    return exact(unexplained, max(kept, len(ends)))


def _gaps(metric: str) -> MeasureQuantile:
    return lambda run, statistic: measure_gaps(run, metric, statistic)


QUANTILES: Final[dict[str, MeasureQuantile]] = {
    metric: _gaps(metric) for metric in ("heartbeat.error", "heartbeat.gap")
}
MEASURES: Final[dict[str, Measure]] = {
    "heartbeat.missed": count_missed,
    "heartbeat.false_evictions": count_false_evictions,
}
