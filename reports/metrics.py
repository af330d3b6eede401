"""Measure what a budget may judge: every metric of ``scenarios.schema.METRICS``.

Each family is a module of ``reports.measures``; here is the table from a metric's name to the
function that measures it, which a test holds against the closed list.

- Times are judged over the steady phase without its tainted seconds (``reports.taint``).
- Counts are exact and judge all phases: a message lost during the ramp is lost.
- What was not measured has no value and a reason, never a zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from reports.measures import (
    auth,
    cost,
    dead_peers,
    delivery,
    departure,
    drain,
    fairness,
    heartbeat,
    isolation,
    latency,
    limits,
    memory,
    storm,
)
from reports.measures.departure import cycle_levels, cycle_line
from reports.measures.fairness import client_means
from reports.measures.histograms import histogram_of, quantile_fraction
from reports.measures.latency import SOURCES
from reports.measures.measurement import Measure, Measurement, MeasureQuantile
from reports.measures.memory import memory_levels, memory_line, memory_points
from reports.measures.storm import storm_times
from reports.remembering import once_a_run
from reports.run_frames import RunFrames
from scenarios.catalogue import METRICS

Each = TypeVar("Each")

__all__ = [
    "MEASURES",
    "QUANTILES",
    "SOURCES",
    "Measurement",
    "client_means",
    "cycle_levels",
    "cycle_line",
    "histogram_of",
    "measure",
    "memory_levels",
    "memory_line",
    "memory_points",
    "quantile_fraction",
    "storm_times",
]


def _united(tables: tuple[Mapping[str, Each], ...]) -> dict[str, Each]:
    found: dict[str, Each] = {}
    for table in tables:
        twice = found.keys() & table.keys()
        if twice:
            raise ValueError(f"measured by two families: {', '.join(sorted(twice))}")
        found.update(table)
    return found


QUANTILES: Final[Mapping[str, MeasureQuantile]] = _united(
    (
        latency.QUANTILES,
        heartbeat.QUANTILES,
        limits.QUANTILES,
        dead_peers.QUANTILES,
        storm.QUANTILES,
        auth.QUANTILES,
        drain.QUANTILES,
    )
)
"""Metrics of many spans."""

MEASURES: Final[Mapping[str, Measure]] = _united(
    (
        heartbeat.MEASURES,
        limits.MEASURES,
        delivery.MEASURES,
        isolation.MEASURES,
        memory.MEASURES,
        departure.MEASURES,
        storm.MEASURES,
        dead_peers.MEASURES,
        auth.MEASURES,
        drain.MEASURES,
        fairness.MEASURES,
        cost.MEASURES,
    )
)
"""Metrics of one number."""


@once_a_run
def measure(run: RunFrames, metric: str, statistic: str | None = None) -> Measurement:
    """Measure one metric of a run.

    Raises:
        KeyError: no metric of that name is in ``METRICS``.
        ValueError: a quantile metric was asked for without a statistic.
    """
    if METRICS[metric].kind != "quantiles":
        return MEASURES[metric](run)
    if statistic is None:
        raise ValueError(f"{metric} needs a statistic, such as {metric}.p99")
    return QUANTILES[metric](run, statistic)
