"""What the run tells its publisher: one line of JSON, read strictly."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.schedule import SECOND_NS, ConstantArrival, MergedArrivals


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to publish. Times are monotonic ns of this machine; ``stamps`` allows ``srcTs``."""

    directory: Path
    url: str
    token: str
    publish: tuple[tuple[str, float], ...]
    symbols: tuple[str, ...]
    weights: tuple[float, ...]
    seed: int
    user_ids: tuple[str, ...]
    t0_ns: int
    first_ns: int
    steady_ns: int
    late_ns: int
    stamps: bool


def read_plan(line: str) -> Plan:
    """Return the plan that a line of JSON states.

    Raises:
        ValueError: the line is no JSON object.
        TypeError: a field is missing or unknown.
    """
    content: dict[str, Any] = json.loads(line)
    content["directory"] = Path(content["directory"])
    content["publish"] = tuple((str(event), float(rate)) for event, rate in content["publish"])
    for name in ("symbols", "weights", "user_ids"):
        content[name] = tuple(content[name])
    return Plan(**content)


def plan_arrivals(plan: Plan) -> MergedArrivals:
    """Return the intended times of a plan: constant rates, each offset within its interval."""
    draw = random.Random(plan.seed)  # noqa: S311 - a load plan, repeatable by its seed
    return MergedArrivals(
        [
            ConstantArrival(plan.first_ns + int(draw.random() * SECOND_NS / rate), rate)
            for _, rate in plan.publish
        ]
    )
