"""Rows of a history made of known numbers, without runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from reports.history.rows import Comparable, Figure, Row
from reports.history.store import add_row

GROUP: Final = Comparable("smoke", "0123456789abcdef", "AMD EPYC, 2 cores, x86_64", "embedded")
LIMIT_NS: Final = 10e6
_MS: Final = 1e6


def noisy(sizes: Sequence[float], seed: int = 1, noise: float = 0.05) -> list[float]:
    """Return a value for each size, times log-normal noise of a standard deviation."""
    spread = np.random.default_rng(seed).standard_normal(len(sizes))
    return [float(size * np.exp(noise * each)) for size, each in zip(sizes, spread, strict=True)]


def figure(value: float, *, kind: str = "quantiles", invalid: str = "") -> Figure:
    """Return a figure with an interval of 4 % on either side; a count has its value."""
    width = 0.0 if kind == "count" else 0.04
    return Figure(
        kind=kind,
        value=value,
        low=value * (1 - width),
        high=value * (1 + width),
        operator="==" if kind == "count" else "<=",
        limit=0.0 if kind == "count" else LIMIT_NS,
        invalid=invalid,
    )


def past_row(
    place: int, value_ms: float, *, group: Comparable = GROUP, commit: str = "", invalid: str = ""
) -> Row:
    """Return the row of a run.

    Args:
        place: of the run among the others; a day apart.
        value_ms: of its ``push.p99``.
        group: what it compares with.
        commit: what it measured; by default one of its own.
        invalid: the check that spoils its time.
    """
    day = f"2026-{1 + place // 28:02}-{1 + place % 28:02}"
    return Row(
        run=f"{day}_{group.scenario}_{place:04}",
        created=f"{day}T10:00:00.000Z",
        commit=commit or f"{place + 1:040x}",
        dirty=False,
        group=group,
        verdict="PASS",
        figures={
            "push.p99": figure(value_ms * _MS, invalid=invalid),
            "delivery.lost": figure(0.0, kind="count"),
        },
    )


def write_past(path: Path, values_ms: Sequence[float], *, group: Comparable = GROUP) -> Path:
    """Write a history of runs with these ``push.p99`` and return its path."""
    for place, value in enumerate(values_ms):
        add_row(path, past_row(place, value, group=group))
    return path
