"""The plan that a run sends its publisher: one line of JSON, read strictly."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtests.plan.schedule import SECOND_NS, MergedArrivals, plan_of
from loadtests.plan.turns import Turns
from scenarios.schema import Arrivals, Publish, Scenario


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishPlan:
    """What to publish, and when. Times are monotonic.

    Attributes:
        url: ``http://HOST:PORT`` of the gateway, or ``URL,URL`` of its nodes.
        token: with the scope to publish.
        symbols: the symbols, most popular first.
        weights: share of each symbol, summing to 1.
        user_ids: users that trading events may name as owners.
        t0_ns: the run's start.
        first_ns: when the first publication may be due.
        steady_ns: when the steady phase begins.
        end_ns: nothing is due from then on; None when the run stops the publisher.
        late_ns: a publication sent this long after it was due counts as late.
        clock_offset_ns: the gateway's clock minus this one, to write ``srcTs`` in the gateway's
            time; None when unknown, and ``srcTs`` is left out.
        orders_ns: when commands end the gateway. From then until it answers again, a failed
            publication counts as missed.
        turns: the only slices in which publications are due; None for all the time.
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
    turns: Turns | None = None


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
    content["turns"] = None if content.get("turns") is None else Turns(**content["turns"])
    return PublishPlan(**content)


def plan_arrivals(plan: PublishPlan) -> MergedArrivals:
    """Return the intended times of a plan. Each event begins at its own offset in its interval."""
    draw = random.Random(plan.seed)  # noqa: S311 - a load plan, repeatable by its seed
    return MergedArrivals(
        [
            plan_of(
                item.arrivals,
                first_ns=plan.first_ns,
                rate_per_s=item.rate,
                seed=f"{plan.seed}:{index}:{item.event}",
                offset_ns=int(draw.random() * SECOND_NS / item.rate),
                turns=plan.turns,
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
