"""Charts of a run: each answers one question, and its title is the answer.

A chart is a function of the run (and its verdict) that returns a ``Chart``. It knows its
title before it draws, and says why when there is nothing to draw. Importing the package
imports nothing; each name resolves on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.charts.canvas import Chart as Chart
    from reports.charts.generator import generator_health as generator_health
    from reports.charts.heartbeat import heartbeat_error as heartbeat_error
    from reports.charts.latency import latency_over_time as latency_over_time
    from reports.charts.latency import percentile_spectrum as percentile_spectrum
    from reports.charts.limiter import limiter_decisions as limiter_decisions
    from reports.charts.memory import memory_per_client as memory_per_client
    from reports.charts.verdicts import verdict_forest as verdict_forest

_HOMES = {
    "Chart": "canvas",
    "generator_health": "generator",
    "heartbeat_error": "heartbeat",
    "latency_over_time": "latency",
    "limiter_decisions": "limiter",
    "memory_per_client": "memory",
    "percentile_spectrum": "latency",
    "verdict_forest": "verdicts",
}

__all__ = [
    "Chart",
    "generator_health",
    "heartbeat_error",
    "latency_over_time",
    "limiter_decisions",
    "memory_per_client",
    "percentile_spectrum",
    "verdict_forest",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"reports.charts.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
