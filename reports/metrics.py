"""Measure what a budget may judge: every metric of ``scenarios.schema.METRICS``.

- Quantile metrics come from the one-second histograms of the steady phase. ``connect``
  takes all phases, because connecting is what the ramp does; heartbeats take warm-up too,
  because they come rarely and every client is there already.
- Counts are exact and judge all phases: a message lost during the ramp is lost.
- What was not measured has no value and a reason, never a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from loadtests.results import Event, LimitOutcome, Phase, Series
from reports import intervals, quantities
from reports.frames import RunFrames
from scenarios.schema import METRICS

_STEADY: Final = (Phase.STEADY,)
_HEARTBEAT: Final = (Phase.WARM_UP, Phase.STEADY)
SOURCES: Final[dict[str, tuple[Series, tuple[Phase, ...]]]] = {
    "push": (Series.PUSH, _STEADY),
    "push_service": (Series.PUSH_SERVICE, _STEADY),
    "accept": (Series.ACCEPT, _STEADY),
    "kernel": (Series.KERNEL, _STEADY),
    "read": (Series.GENERATOR_SHARE, _STEADY),
    "fanout.skew": (Series.FANOUT_SKEW, _STEADY),
    "staleness": (Series.STALENESS, _STEADY),
    "ack": (Series.ACK, _STEADY),
    "ack_service": (Series.ACK_SERVICE, _STEADY),
    "connect": (Series.CONNECT, tuple(Phase)),
    "session": (Series.SESSION, tuple(Phase)),
    "session_delay": (Series.SESSION_DELAY, tuple(Phase)),
    "heartbeat.error": (Series.HEARTBEAT_ERROR, _HEARTBEAT),
    "heartbeat.gap": (Series.HEARTBEAT_GAP, _HEARTBEAT),
    "dead_peer.mute": (Series.DEAD_PEER_MUTE, tuple(Phase)),
    "dead_peer.no_pong": (Series.DEAD_PEER_NO_PONG, tuple(Phase)),
    "dead_peer.stalled": (Series.DEAD_PEER_STALLED, tuple(Phase)),
    "storm.back": (Series.STORM_BACK, tuple(Phase)),
    "storm.fresh": (Series.STORM_FRESH, tuple(Phase)),
    "rate_limit.retry_error": (Series.RETRY_ERROR, tuple(Phase)),
    "auth.expiry": (Series.EXPIRY, tuple(Phase)),
    "drain.notice": (Series.DRAIN_NOTICE, tuple(Phase)),
    "drain.close": (Series.DRAIN_CLOSE, tuple(Phase)),
    "schedule_delay": (Series.SCHEDULE_DELAY, _STEADY),
    "publish_delay": (Series.PUBLISH_DELAY, _STEADY),
    "publish_ack": (Series.PUBLISH_ACK, _STEADY),
}
"""Which series and phases each quantile metric is read from."""

_LIMIT_OUTCOMES: Final = {
    "rate_limit.accepted": (LimitOutcome.ACCEPTED, LimitOutcome.FALSE_ACCEPT),
    "rate_limit.refused": (LimitOutcome.REFUSED, LimitOutcome.FALSE_REFUSAL),
    "rate_limit.false_accepts": (LimitOutcome.FALSE_ACCEPT,),
    "rate_limit.false_refusals": (LimitOutcome.FALSE_REFUSAL,),
    "rate_limit.neighbours_refused": (LimitOutcome.NEIGHBOUR_REFUSED,),
}


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
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    needed: int | None = None
    why: str = ""


def measure(run: RunFrames, metric: str, statistic: str | None = None) -> Measurement:
    """Measure one metric of a run.

    Raises:
        KeyError: no metric of that name is in ``METRICS``.
        ValueError: a quantile metric was asked for without a statistic.
    """
    kind = METRICS[metric].kind
    if kind == "quantiles":
        if statistic is None:
            raise ValueError(f"{metric} needs a statistic, such as {metric}.p99")
        return _measure_quantile(run, metric, statistic)
    if metric == "memory.per_client":
        return _measure_memory(run)
    if metric.startswith("rate_limit."):
        return _count_decisions(run, metric)
    if metric.startswith("delivery."):
        return _count_deliveries(run, metric.removeprefix("delivery."))
    if metric == "heartbeat.missed":
        return _count_missed_heartbeats(run)
    return _sum_timeline(run, metric)


def _exact(value: float, n: int | None, why: str = "") -> Measurement:
    return Measurement(value=value, low=value, high=value, n=n, why=why)


def quantile_fraction(statistic: str) -> float:
    """Return 0.999 for ``p99.9``."""
    return float(statistic.removeprefix("p")) / 100


def histogram_of(run: RunFrames, series: Series, phases: Sequence[Phase]) -> intervals.Histogram:
    """Stack a series' one-second histograms over phases, workers added up.

    Seconds of those phases without a value are rows of zeros: they are part of the run.
    """
    rows = run["hist"]
    # One-byte masks and narrow columns: a run of hours has millions of rows.
    in_phases = rows["phase"].isin([str(phase) for phase in phases]).to_numpy()
    wanted = in_phases & (rows["series"] == str(series)).to_numpy()
    seconds = _seconds_of(run, phases)
    places = np.searchsorted(seconds, rows["t_s"].to_numpy()[wanted]).astype(np.int32)
    found = rows["bucket"].to_numpy()[wanted]
    buckets = np.flatnonzero(np.bincount(found)) if len(found) else np.zeros(0, dtype=np.int64)
    columns = np.searchsorted(buckets, found).astype(np.int32)
    counts = np.zeros((len(seconds), len(buckets)), dtype=np.int64)
    np.add.at(counts, (places, columns), rows["count"].to_numpy()[wanted])
    return intervals.Histogram(seconds=seconds, buckets=buckets.astype(np.int64), counts=counts)


def _seconds_of(run: RunFrames, phases: Sequence[Phase]) -> npt.NDArray[np.int64]:
    """Return the seconds of phases that any table of the run knows."""
    names = [str(phase) for phase in phases]
    seconds: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    for table in ("hist", "timeline"):
        known = run[table].loc[run[table]["phase"].isin(names), "t_s"]
        seconds = np.union1d(seconds, known.unique()).astype(np.int64)
    return seconds


def _measure_quantile(run: RunFrames, metric: str, statistic: str) -> Measurement:
    series, phases = SOURCES[metric]
    histogram = histogram_of(run, series, phases)
    if not histogram.n:
        where = "" if len(phases) == len(Phase) else f" in the {' and '.join(phases)} phase"
        why = run.absences.get("hist") or f"no {series} was measured{where}"
        return Measurement(n=0, why=why)
    if statistic == "max":
        found, needed = intervals.estimate_maximum(histogram), 1
    else:
        quantile = quantile_fraction(statistic)
        needed = intervals.samples_needed(quantile)
        found = intervals.estimate_quantile(histogram, quantile, seed=run.scenario.seed)
    why = ""
    if found.low is None:
        least = intervals.FEWEST_BLOCKS * intervals.block_length(histogram)
        why = (
            f"{quantities.counted(len(histogram.seconds), 'second')} of data are too few "
            f"for an interval: at least {least} are needed"
        )
    return Measurement(
        value=found.value, low=found.low, high=found.high, n=found.n, needed=needed, why=why
    )


def memory_points(run: RunFrames) -> tuple[pd.DataFrame, str]:
    """Return the climb's ``clients`` and ``memory_bytes``, and which memory it is.

    The climb lasts from the first second to the one in which the gateway first counts all
    clients, which it may do a second after the ramp was declared over. Private anonymous
    memory (the gateway's alone) where the whole climb has it, resident memory otherwise.
    """
    rows = run["server"]
    rows = rows[rows["phase"].isin([str(Phase.RAMP), str(Phase.WARM_UP)])].sort_values("t_s")
    if len(rows):
        rows = rows.iloc[: int(rows["clients"].argmax()) + 1]
    column, words = "rss_bytes", "resident memory (RSS)"
    if len(rows) and rows["pss_anon_bytes"].notna().all():
        column, words = "pss_anon_bytes", "private anonymous memory (PSS)"
    points = rows[["clients", column]].rename(columns={column: "memory_bytes"}).dropna()
    return points.astype(float).reset_index(drop=True), words


def memory_line(run: RunFrames) -> intervals.Line | None:
    """Return the line of memory (B) over clients during the ramp; None without four levels."""
    points, _ = memory_points(run)
    return intervals.fit_line(points["clients"].to_numpy(), points["memory_bytes"].to_numpy())


def _measure_memory(run: RunFrames) -> Measurement:
    line = memory_line(run)
    points, words = memory_points(run)
    if line is None:
        levels = points["clients"].nunique()
        why = run.absences.get("server") or (
            f"the ramp showed memory at {quantities.counted(levels, 'client count')}; "
            f"a slope needs {intervals.FEWEST_LEVELS}"
        )
        return Measurement(n=len(points), why=why)
    return Measurement(value=line.slope, low=line.low, high=line.high, n=line.n, why=words)


def _count_decisions(run: RunFrames, metric: str) -> Measurement:
    if run.scenario.users.abuser is None:
        return Measurement(n=0, why="the scenario has no abuser, so the limit was not tried")
    rows = run["events"]
    rows = rows[rows["event"] == str(Event.LIMIT)]
    outcomes = rows["outcome"]
    tried = int((outcomes != str(LimitOutcome.NEIGHBOUR_REFUSED)).sum())
    wanted = [str(outcome) for outcome in _LIMIT_OUTCOMES[metric]]
    found = int(outcomes.isin(wanted).sum())
    if not tried and not found:
        why = run.absences.get("events") or "the abuser sent nothing, so the limit was not tried"
        return Measurement(n=0, why=why)
    undecided = int((outcomes == str(LimitOutcome.UNDECIDABLE)).sum())
    if undecided and undecided == tried and not found:
        return Measurement(n=tried, why=f"none of {tried:,} decisions could be judged")
    why = f"{undecided:,} of {tried:,} decisions could not be judged" if undecided else ""
    return _exact(found, tried, why)


def _count_deliveries(run: RunFrames, column: str) -> Measurement:
    ledger = run["ledger"]
    if ledger.empty:
        return Measurement(n=0, why=run.why_absent("ledger"))
    owed, value = int(ledger["owed"].sum()), int(ledger[column].sum())
    if not owed and not value:
        return Measurement(n=0, why="nothing was owed to anybody, so nothing was tried")
    return _exact(value, owed)


def _count_missed_heartbeats(run: RunFrames) -> Measurement:
    if run["events"].empty:  # a miss would be recorded there; every run records its phases
        return Measurement(n=0, why=run.why_absent("events"))
    heard = histogram_of(run, Series.HEARTBEAT_GAP, tuple(Phase)).n
    missed = int((run["events"]["event"] == str(Event.HEARTBEAT_MISSED)).sum())
    if not heard and not missed:
        return Measurement(n=0, why="no client was there long enough for two heartbeats")
    return _exact(missed, heard + missed)


def _sum_timeline(run: RunFrames, column: str) -> Measurement:
    timeline = run["timeline"]
    if timeline.empty:
        return Measurement(n=0, why=run.why_absent("timeline"))
    return _exact(int(timeline[column].sum()), None)
