"""A synthetic ``capacity.json``: the answer of a search over publications a second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.results import CAPACITY, FORMAT_VERSION

WHY = "push.p99 <= 10 ms: 31.2 ms"
TRIALS = (
    (310.0, False, "PASS", ""),
    (620.0, False, "PASS", ""),
    (1_240.0, False, "PASS", ""),
    (2_480.0, False, "FAIL", WHY),
    (1_753.6, False, "INVALID", "the generator's own share: 9 ms"),
    (1_430.0, False, "INCONCLUSIVE", "push.p99 <= 10 ms: the limit lies inside the interval"),
    (1_240.0, True, "PASS", ""),
)


def capacity_content(
    trials: Sequence[tuple[float, bool, str, str]] = TRIALS, **changes: object
) -> dict[str, Any]:
    """Return its members: 1,240 to 1,430 publications a second, bound by push.p99."""
    return {
        "format_version": FORMAT_VERSION,
        "scenario": "capacity",
        "of": "publications",
        "unit": "publications a second",
        "low": 1_240.0,
        "high": 1_430.0,
        "is_confirmed": True,
        "bound": "gateway",
        "why": WHY,
        "at_least": None,
        "trials": [
            {
                "load": load,
                "is_long": is_long,
                "verdict": verdict,
                "why": why,
                "run": f"trial-{number:02d}/run",
            }
            for number, (load, is_long, verdict, why) in enumerate(trials, 1)
        ],
    } | changes


def write_capacity(directory: Path, content: object) -> None:
    """Write the file into a run directory."""
    (directory / CAPACITY).write_text(json.dumps(content), encoding="utf-8")
