"""``tidegate run --once``: a scenario made small, to check it or a gateway's wiring.

One user of each group runs for ten seconds. Budgets are every oracle that has data in such a run,
and the scenario's own counts that must be zero. Times and memory are not judged: so few values and
users decide none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final

from scenarios.groups import DeadPeerGroup
from scenarios.model import Scenario
from scenarios.producers import missing_producer
from scenarios.schema import METRICS, parse_scenario

STEADY_S: Final = 10.0
HEARTBEAT_S: Final = 2
"""Interval of the embedded gateway, so that ten seconds have several heartbeats."""
_WARM_UP_S: Final = 2.0
_SPAWN_RATE: Final = 10.0
"""Users a second at least: the ramp takes about a second."""
_MEMORY: Final = "memory."
"""Metrics that need many users, or many cycles of them."""
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
    "isolation.unentitled",
    "heartbeat.missed",
    "heartbeat.extra",
    "heartbeat.false_evictions",
    "answers.mismatched",
    "dead_peer.early",
    "dead_peer.late",
    "storm.not_back",
    "rate_limit.false_accepts",
    "rate_limit.false_refusals",
    "rate_limit.neighbours_refused",
    "auth.false_accepts",
    "auth.false_refusals",
    "auth.wrong_codes",
    "auth.early_events",
    "auth.overstayed",
    "drain.unannounced",
    "errors",
)
"""Counts that are zero in every run of a right gateway, and have data in each."""


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
    names = dict.fromkeys((*_own_zeros(scenario), *ORACLES))
    content["budgets"] = [
        f"{name} == 0"
        for name in names
        if name not in left_out and missing_producer(name, small) is None
    ]
    return _parsed(content, scenario)


def _own_zeros(scenario: Scenario) -> list[str]:
    """Return the counts of behaviour that the scenario itself demands to be zero."""
    counts = [one for one in scenario.budgets if METRICS[one.metric].kind == "count"]
    zeros = [one.metric for one in counts if one.operator == "==" and not one.limit]
    return [name for name in zeros if not name.startswith(_MEMORY)]


def _symbols(scenario: Scenario) -> int:
    """Return a number of symbols of which a user holds about half."""
    held = max(scenario.users.symbols().values(), default=0)
    held += max((one.count for one in scenario.commands if one.do == "subscribe"), default=0)
    return min(scenario.market.symbols, max(2 * held, 1))


def _hasten(content: dict[str, Any], factor: float, scenario: Scenario) -> None:
    """Move the commands to the same share of a steady phase that is ``factor`` times as long.

    After a restart the gateway is not terminated too: the clients would have no time to return.
    """
    commands = content.get("commands", [])
    for written, command in zip(commands, scenario.commands, strict=True):
        written["at"] = _span(command.at_s * factor)
        if "within" in written:
            written["within"] = _span(command.within_s * factor)
    if any(written["do"] == "restart" for written in commands):
        commands[:] = [written for written in commands if written["do"] != "terminate"]


def _parsed(content: Mapping[str, Any], scenario: Scenario) -> Scenario:
    import tomli_w  # an extra's: the command line must load without it

    question = f"# {scenario.question} (--once: one user of each group)"
    return parse_scenario(f"{question}\n\n{tomli_w.dumps(content)}", path=f"{scenario.name} --once")


def _span(seconds: float) -> str:
    return f"{seconds:.3f} s"
