"""The distance of every budget from its limit as text: a forest plot for summaries and comments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from reports.console import MARKS
from reports.decisions import Decision

_COLUMNS: Final = 48
_ROOM: Final = 1.25
"""What stays free on both sides, as a factor."""
_LEAST: Final = 1e-4
"""A smaller share of the limit is drawn at the left end."""


def is_drawn(decision: Decision) -> bool:
    """Return whether a decision has a place on a logarithmic scale."""
    return (
        decision.kind != "count"
        and (decision.measurement.value or 0) > 0
        and decision.budget.limit > 0
    )


def share(decision: Decision, value: float) -> float:
    """Return a value as a share of its budget's limit."""
    return value / decision.budget.limit


def render_forest(decisions: Sequence[Decision]) -> list[str]:
    """Return a line for each budget with its value, its 95 % interval and the limit.

    Times, sizes and ratios share one logarithmic scale, on which the limit is 1. Counts are exact
    and have no place on it.

    Returns:
        The lines under the scale; none where no budget has a place.
    """
    shown = [decision for decision in decisions if is_drawn(decision)]
    if not shown:
        return []
    spans = [_span(decision) for decision in shown]
    low = max(min(0.5, *(one[0] for one in spans)) / _ROOM, _LEAST)
    high = max(1.0, *(one[2] for one in spans)) * _ROOM

    def column(ratio: float) -> int:
        place = math.log(max(ratio, low) / low) / math.log(high / low)
        return round(place * (_COLUMNS - 1))

    width = max(len(decision.budget.text) for decision in shown)
    lines = [f"{'':{width}}  {'limit':>{column(1.0) + 1}}"]
    for decision, (first, middle, last) in zip(shown, spans, strict=True):
        cells = [" "] * _COLUMNS
        cells[column(1.0)] = "┊"
        ends = column(first), column(last)
        cells[ends[0] : ends[1] + 1] = "─" * (ends[1] - ends[0] + 1)
        cells[column(middle)] = MARKS[decision.verdict]
        percent = f"{middle:.0%}".replace("%", " %")
        lines.append(f"{decision.budget.text:{width}}  {''.join(cells)}  {percent}")
    return lines


def _span(decision: Decision) -> tuple[float, float, float]:
    """Return low end, value and high end as shares of the limit."""
    found = decision.measurement
    value = found.value or 0.0
    low = value if found.low is None else found.low
    high = value if found.high is None else found.high
    return share(decision, low), share(decision, value), share(decision, high)
