"""The charts of a report. Each answers one question, and its title is the answer.

A chart is a function of a run that returns a ``canvas.Chart``. To add one, write the function in
a module of this folder and name it in ``SECTIONS``: it is then in the report, and notebooks call
it as ``reports.charts.NAME``. Importing the package loads no chart.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

SECTIONS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("carried", "Capacity", ("capacity.capacity_search",)),
    ("course", "The run over time", ("timeline.run_timeline",)),
    ("nodes", "Nodes", ("nodes.nodes_apart",)),
    (
        "latency",
        "Latency",
        (
            "heatmap.latency_heatmap",
            "latency.percentile_spectrum",
            "stages.latency_by_stage",
            "stages.latency_by_family",
            "stages.fanout_skew",
        ),
    ),
    (
        "freshness",
        "Freshness and fairness",
        ("freshness.staleness_over_time", "freshness.fairness_by_arrival"),
    ),
    ("heartbeats", "Heartbeats", ("heartbeat.heartbeat_error", "heartbeat.dead_peer_times")),
    ("limits", "Rate limit", ("limiter.limiter_decisions",)),
    ("authentication", "Authentication", ("authentication.auth_cases",)),
    ("memories", "Memory", ("memory.memory_per_client", "memory.leak_cycles")),
    ("delivery", "Delivery", ("delivery.delivery_ledger", "delivery.isolation")),
    ("returning", "Reconnect storm and drain", ("curves.storm_recovery", "curves.drain_course")),
)
"""The report's sections, in order: id, title, and charts as ``module.function``."""
_OTHERS: Final = (
    "canvas.Chart",
    "explaining.flame_graph",
    "explaining.functions_that_grew",
    "explaining.places_of_excess",
    "generator.generator_health",
    "latency.latency_over_time",
    "pairs.compare_quantiles",
    "verdicts.verdict_forest",
)
"""Names that notebooks and the page use and no section lists."""
_MODULES: Final = {
    name: module
    for path in (*_OTHERS, *(path for _, _, paths in SECTIONS for path in paths))
    for module, name in [path.split(".")]
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"reports.charts.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_MODULES)
