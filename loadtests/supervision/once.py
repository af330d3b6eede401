"""``tidegate run --once``: a scenario made small, to check it or a gateway's wiring.

One user of each group runs for ten seconds. Every oracle that has data is a budget of zero. Times
are not judged: so few values decide none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final

from scenarios.groups import DeadPeerGroup
from scenarios.model import Scenario
from scenarios.producers import missing_producer
from scenarios.schema import parse_scenario

STEADY_S: Final = 10.0
HEARTBEAT_S: Final = 2
"""Interval of the embedded gateway, so that ten seconds have several heartbeats."""
_WARM_UP_S: Final = 2.0
_SPAWN_RATE: Final = 10.0
"""Users a second at least: the ramp takes about a second."""
_HEARTBEAT: Final = "GATEWAY_HEARTBEAT_SECONDS"
OF_HEARTBEATS: Final = ("heartbeat.missed",)
"""Oracles without data where the interval is a target's own, and longer than the run."""
ORACLES: Final = (
    "delivery.lost",
    "delivery.duplicate",
    "delivery.reordered",
    "delivery.leaked",
    "delivery.altered",
    "delivery.false_conflations",
    "isolation.unsubscribed",
    "isolation.foreign",
    "isolation.private_fields",
    "heartbeat.missed",
    "heartbeat.extra",
    "heartbeat.false_evictions",
    "answers.mismatched",
    "disconnect.left_open",
    "disconnect.stranded",
    "dead_peer.early",
    "dead_peer.late",
    "storm.not_back",
    "rate_limit.false_accepts",
    "rate_limit.false_refusals",
    "rate_limit.dishonest_retries",
    "rate_limit.neighbours_refused",
    "auth.false_accepts",
    "auth.false_refusals",
    "auth.wrong_codes",
    "auth.early_events",
    "auth.overstayed",
    "drain.unannounced",
    "errors",
)
"""Counts that are zero in every run of a right gateway."""


def shrink(scenario: Scenario, *, is_embedded: bool) -> Scenario:
    """Return a scenario with one user of each group, for ten seconds, judged by every oracle.

    Commands keep their order and their share of the steady phase. Load stages and a capacity search
    are left out. Few symbols make sure that events arrive.

    Args:
        scenario: the scenario.
        is_embedded: whether the run starts the gateway, and so sets its heartbeat interval.

    Raises:
        ScenarioError: the scenario cannot be made so small.
    """
    content: dict[str, Any] = tomllib.loads(scenario.source)
    for name in ("stages", "capacity"):
        content.pop(name, None)
    phases = content["phases"]
    phases["spawn_rate"] = max(scenario.phases.spawn_rate, _SPAWN_RATE)
    phases["warm_up"] = _span(min(scenario.phases.warm_up_s, _WARM_UP_S))
    phases["steady"] = _span(STEADY_S)
    for name, group in scenario.users.named().items():
        kinds = len(group.kinds) if isinstance(group, DeadPeerGroup) else 1
        content["users"][name]["count"] = kinds
    content["market"]["symbols"] = _symbols(scenario)
    _hasten(content, STEADY_S / scenario.phases.steady_s, scenario)
    content.setdefault("gateway", {})[_HEARTBEAT] = HEARTBEAT_S
    content["budgets"] = ["errors == 0"]
    small = _parsed(content, scenario)
    left_out = () if is_embedded else OF_HEARTBEATS
    names = [name for name in ORACLES if missing_producer(name, small) is None]
    content["budgets"] = [f"{name} == 0" for name in names if name not in left_out]
    return _parsed(content, scenario)


def _symbols(scenario: Scenario) -> int:
    """Return a number of symbols of which a user holds about half."""
    held = max(scenario.users.symbols().values(), default=0)
    held += max((one.count for one in scenario.commands if one.do == "subscribe"), default=0)
    return min(scenario.market.symbols, max(2 * held, 1))


def _hasten(content: Mapping[str, Any], factor: float, scenario: Scenario) -> None:
    """Move the commands to the same share of a steady phase that is ``factor`` times as long."""
    for written, command in zip(content.get("commands", []), scenario.commands, strict=True):
        written["at"] = _span(command.at_s * factor)
        if "within" in written:
            written["within"] = _span(command.within_s * factor)


def _parsed(content: Mapping[str, Any], scenario: Scenario) -> Scenario:
    import tomli_w  # an extra's: the command line must load without it

    question = f"# {scenario.question} (--once: one user of each group)"
    return parse_scenario(f"{question}\n\n{tomli_w.dumps(content)}", path=f"{scenario.name} --once")


def _span(seconds: float) -> str:
    return f"{seconds:.3f} s"
