"""What the run tells its publisher: one line of JSON, read strictly."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtests.plan.schedule import SECOND_NS, MergedArrivals, plan_of
from scenarios.schema import Arrivals, Publish, Scenario


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishPlan:
    """What to publish. Times are monotonic ns of this machine.

    ``clock_offset_ns`` is the gateway's clock minus this one, so that ``srcTs`` can be in the
    gateway's; None, where nobody knows it, leaves ``srcTs`` out.
    From each of ``orders_ns`` on the gateway may be away until it answers again: what fails
    meanwhile is missed. Nothing is due from ``end_ns`` on; None leaves the end to whoever
    stops the publisher.
    """

    directory: Path
    url: str
    token: str
    publish: tuple[Publish, ...]
    symbols: tuple[str, ...]
    weights: tuple[float, ...]
    seed: int
    user_ids: tuple[str, ...]
    t0_ns: int
    first_ns: int
    steady_ns: int
    end_ns: int | None
    late_ns: int
    clock_offset_ns: int | None
    orders_ns: tuple[int, ...] = ()


def read_plan(line: str) -> PublishPlan:
    """Return the plan that a line of JSON states.

    Raises:
        ValueError: the line is no JSON object.
        TypeError: a field is missing or unknown.
    """
    content: dict[str, Any] = json.loads(line)
    content["directory"] = Path(content["directory"])
    content["publish"] = tuple(
        Publish(**{**item, "arrivals": Arrivals(**item["arrivals"])}) for item in content["publish"]
    )
    for name in ("symbols", "weights", "user_ids", "orders_ns"):
        content[name] = tuple(content.get(name, ()))
    return PublishPlan(**content)


def plan_arrivals(plan: PublishPlan) -> MergedArrivals:
    """Return the intended times of a plan, each event's offset within its own interval."""
    draw = random.Random(plan.seed)  # noqa: S311 - a load plan, repeatable by its seed
    return MergedArrivals(
        [
            plan_of(
                item.arrivals,
                first_ns=plan.first_ns + int(draw.random() * SECOND_NS / item.rate),
                rate_per_s=item.rate,
                seed=f"{plan.seed}:{index}:{item.event}",
            )
            for index, item in enumerate(plan.publish)
        ],
        plan.end_ns,
    )


def describe_plan(scenario: Scenario, *, directory: Path, **facts: object) -> dict[str, object]:
    """Return a plan as plain values; ``facts`` are the other fields of ``PublishPlan``."""
    market = scenario.market
    return {
        "directory": str(directory.resolve()),
        "publish": [asdict(item) for item in scenario.publish],
        "symbols": list(market.names),
        "weights": list(market.weights()),
        "seed": scenario.seed,
        "late_ns": round(scenario.health.publisher_delay_p99_ms * 1_000_000),
        **facts,
    }
