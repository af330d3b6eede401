"""A run's figures in the formats of other tools, for their charts and alerts.

- ``bencher``: Bencher Metric Format. A benchmark is ``smoke/push.p99``; its measure is
  ``latency`` or ``cpu-time`` (ns), ``memory`` (B), ``ratio`` or ``count``, with the 95 % interval
  as ``lower_value`` and ``upper_value``.
- ``customSmallerIsBetter``: of github-action-benchmark. A figure whose budget demands much is left
  out, since there a smaller value is worse.
- ``openmetrics``: OpenMetrics text, GitLab's ``metrics.txt``. Times are in seconds.

A figure that a broken check spoils is left out, and every figure of a run that did not run to its
end, so that no tool takes it for a baseline.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest

from loadtests.outputs import EXPORTS
from reports.history.rows import Figure, figure_name, figures_of
from reports.run_frames import RunFrames
from reports.verdict import RunVerdict, shortfalls
from reports.weighing import is_timing
from scenarios.schema import METRICS

_NS: Final = 1e9
_MEASURES: Final = {"bytes": "memory", "ratio": "ratio", "count": "count", "number": "number"}


def render_bencher(run: RunFrames, outcome: RunVerdict) -> str:
    """Return the figures in Bencher Metric Format."""
    content: dict[str, dict[str, dict[str, float]]] = {}
    for metric, statistic, figure in _trusted(run, outcome):
        numbers = {"value": figure.value}
        if figure.low is not None and figure.high is not None:
            numbers |= {"lower_value": figure.low, "upper_value": figure.high}
        of_time = "latency" if is_timing(metric) else "cpu-time"
        measure = _MEASURES.get(figure.kind, of_time)
        content[f"{outcome.scenario}/{figure_name(metric, statistic)}"] = {measure: numbers}
    return _as_text(content)


def render_smaller_is_better(run: RunFrames, outcome: RunVerdict) -> str:
    """Return the figures as github-action-benchmark's ``customSmallerIsBetter`` reads them."""
    return _as_text(
        [
            {
                "name": f"{outcome.scenario}/{figure_name(metric, statistic)}",
                "unit": METRICS[metric].unit or figure.kind,
                "value": figure.value,
                **_range(figure),
                "extra": f"run {outcome.run_id}",
            }
            for metric, statistic, figure in _trusted(run, outcome)
            if figure.operator not in (">=", ">")
        ]
    )


def render_openmetrics(run: RunFrames, outcome: RunVerdict) -> str:
    """Return the figures as OpenMetrics text: a gauge a metric, a sample a statistic."""
    families: dict[str, GaugeMetricFamily] = {}
    for metric, statistic, figure in _trusted(run, outcome):
        row = METRICS[metric]
        unit = {"ns": "seconds", "B": "bytes"}.get(row.unit, "")
        if metric not in families:
            name = "_".join(["tidegate", *metric.split("."), *([unit] if unit else [])])
            labels = ["scenario", "statistic"] if statistic else ["scenario"]
            families[metric] = GaugeMetricFamily(name, row.meaning, labels=labels, unit=unit)
        words = [outcome.scenario, statistic] if statistic else [outcome.scenario]
        families[metric].add_metric(words, figure.value / (_NS if row.unit == "ns" else 1))
    registry = CollectorRegistry()
    registry.register(_Collected(families))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
    return text.decode("utf-8")


class _Collected:
    """Families as prometheus_client collects them."""

    def __init__(self, families: Mapping[str, GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._families.values()


def spoilt_words(run: RunFrames, outcome: RunVerdict) -> str:
    """Return why figures are left out of exports; empty when none is."""
    short = shortfalls(run)
    if short:
        return f"no figure is exported: {short[0][1]}"
    spoilt = [
        figure_name(*key) for key, figure in figures_of(run, outcome).items() if figure.invalid
    ]
    return f"not exported, as they cannot be trusted: {', '.join(spoilt)}" if spoilt else ""


def _trusted(run: RunFrames, outcome: RunVerdict) -> Iterator[tuple[str, str | None, Figure]]:
    """Yield metric, statistic and figure of each that can be trusted; none of a partial run."""
    if shortfalls(run):
        return
    for (metric, statistic), figure in figures_of(run, outcome).items():
        if not figure.invalid:
            yield metric, statistic, figure


def _range(figure: Figure) -> dict[str, str]:
    if figure.low is None or figure.high is None:
        return {}
    return {"range": f"95 %: {figure.low:.6g} to {figure.high:.6g}"}


def _as_text(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


_EACH: Final = (render_bencher, render_smaller_is_better, render_openmetrics)
RENDERERS: Final[Mapping[str, Callable[[RunFrames, RunVerdict], str]]] = dict(
    zip(EXPORTS, _EACH, strict=True)
)
"""The function that writes each format of ``--export``."""
