"""Scenario files (what to run, what to demand) and the strict schema that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenarios.schema import (
        METRICS,
        Budget,
        Metric,
        Scenario,
        ScenarioError,
        parse_budget,
        parse_scenario,
        read_scenario,
    )

__all__ = [
    "METRICS",
    "Budget",
    "Metric",
    "Scenario",
    "ScenarioError",
    "parse_budget",
    "parse_scenario",
    "read_scenario",
]


def __getattr__(name: str) -> object:
    """Resolve the public face on first use, so that importing the package loads nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("scenarios.schema"), name)
