"""Scenario files (what to run, what to demand) and the strict schema that reads them.

The names are those of ``scenarios.schema``, imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = "METRICS Budget Metric Scenario ScenarioError parse_budget parse_scenario read_scenario"


def __getattr__(name: str) -> Any:
    if name not in _NAMES.split():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("scenarios.schema"), name)
