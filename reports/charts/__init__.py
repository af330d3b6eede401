"""Charts of a run: each answers one question, and its title is the answer.

A chart is a function of the run (and its verdict) that returns a ``Chart``. It knows its
title before it draws, and says why when there is nothing to draw. Importing the package
imports nothing; each name resolves on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.charts.authentication import auth_cases as auth_cases
    from reports.charts.canvas import Chart as Chart
    from reports.charts.capacity import capacity_search as capacity_search
    from reports.charts.dead_peers import dead_peer_times as dead_peer_times
    from reports.charts.delivery import delivery_ledger as delivery_ledger
    from reports.charts.delivery import isolation as isolation
    from reports.charts.drain import drain_course as drain_course
    from reports.charts.freshness import fairness_by_arrival as fairness_by_arrival
    from reports.charts.freshness import staleness_over_time as staleness_over_time
    from reports.charts.generator import generator_health as generator_health
    from reports.charts.heartbeat import heartbeat_error as heartbeat_error
    from reports.charts.heatmap import latency_heatmap as latency_heatmap
    from reports.charts.latency import latency_over_time as latency_over_time
    from reports.charts.latency import percentile_spectrum as percentile_spectrum
    from reports.charts.limiter import limiter_decisions as limiter_decisions
    from reports.charts.memory import leak_cycles as leak_cycles
    from reports.charts.memory import memory_per_client as memory_per_client
    from reports.charts.pairs import compare_quantiles as compare_quantiles
    from reports.charts.stages import fanout_skew as fanout_skew
    from reports.charts.stages import latency_by_family as latency_by_family
    from reports.charts.stages import latency_by_stage as latency_by_stage
    from reports.charts.storm import storm_recovery as storm_recovery
    from reports.charts.timeline import run_timeline as run_timeline
    from reports.charts.verdicts import verdict_forest as verdict_forest

_HOMES = {
    "Chart": "canvas",
    "auth_cases": "authentication",
    "capacity_search": "capacity",
    "compare_quantiles": "pairs",
    "dead_peer_times": "dead_peers",
    "delivery_ledger": "delivery",
    "drain_course": "drain",
    "fairness_by_arrival": "freshness",
    "fanout_skew": "stages",
    "generator_health": "generator",
    "heartbeat_error": "heartbeat",
    "isolation": "delivery",
    "latency_by_family": "stages",
    "latency_by_stage": "stages",
    "latency_heatmap": "heatmap",
    "latency_over_time": "latency",
    "leak_cycles": "memory",
    "limiter_decisions": "limiter",
    "memory_per_client": "memory",
    "percentile_spectrum": "latency",
    "run_timeline": "timeline",
    "staleness_over_time": "freshness",
    "storm_recovery": "storm",
    "verdict_forest": "verdicts",
}

__all__ = [
    "Chart",
    "auth_cases",
    "capacity_search",
    "compare_quantiles",
    "dead_peer_times",
    "delivery_ledger",
    "drain_course",
    "fairness_by_arrival",
    "fanout_skew",
    "generator_health",
    "heartbeat_error",
    "isolation",
    "latency_by_family",
    "latency_by_stage",
    "latency_heatmap",
    "latency_over_time",
    "leak_cycles",
    "limiter_decisions",
    "memory_per_client",
    "percentile_spectrum",
    "run_timeline",
    "staleness_over_time",
    "storm_recovery",
    "verdict_forest",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"reports.charts.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
