"""Whether a scenario suits its target's limits and heartbeat, and the limits of its processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.contract import LimitName
from loadtests.plan.addresses import is_loopback, users_by_address
from scenarios.schema import Scenario

GENERATOR_DESCRIPTORS: Final = 64
"""Open files and sockets of a load generator besides one for each client; it needs 40."""
GATEWAY_DESCRIPTORS: Final = 128
"""The same of a gateway, which keeps 64 for health checks and metrics."""
_SIGNING: Final = ("bad_token", "expiring", "entitled")  # groups that make tokens of their own
_TRADER_JOINS: Final = 2  # requests of a trader when it connects


def event_limit(welcome: Mapping[str, Any], name: LimitName) -> tuple[int, int] | None:
    """Return a rolling limit of a welcome: events, and window in ns; None when it lists none."""
    announced = welcome.get("limits", {}).get("events", {}).get(name)
    if not isinstance(announced, dict):
        return None
    return int(announced["limit"]), round(announced["windowMs"] * 1_000_000)


def limits_exceeded(
    scenario: Scenario, *, host: str, users: int, spawn_rate: float, limits: Mapping[str, Any]
) -> list[str]:
    """Return messages about each limit of the target that a scenario exceeds.

    An abuser exceeds its limits on purpose. Limits by address do not matter on loopback, where
    each 50 users have an address of their own.

    Args:
        scenario: what is to run.
        host: of the target.
        users: how many there will be.
        spawn_rate: users a second.
        limits: as the welcome lists them. A limit that is not listed does not exist.
    """
    demands = [_rooms_demand(scenario), _symbols_demand(scenario)]
    if not is_loopback(host):
        by_address = users_by_address(host, users)
        in_a_minute = min(by_address, round(spawn_rate * 60))
        demands += [
            ("connectionsPerAddress", by_address, "users from one address"),
            ("connectsPerMinutePerAddress", in_a_minute, "connects from one address in a minute"),
        ]
    problems = [
        f"{name}: the target allows {limits[name]}, the scenario needs {need} {what}"
        for name, need, what in demands
        if name in limits and need > limits[name]
    ]
    return problems + _events_problem(scenario, limits)


def descriptors_problem(who: str, clients: int, own: int, limit: int) -> str | None:
    """Return a message when a process may open fewer descriptors than its clients need.

    Args:
        who: the process, for the message.
        clients: connections that it will have.
        own: descriptors that it needs besides.
        limit: descriptors that it may have (``ulimit -n``).
    """
    need = clients + own
    if need <= limit:
        return None
    words = f"the {who} needs {need:,} descriptors for {clients:,} clients and may open {limit:,}"
    return f"{words}; allow more with ulimit -n {need}, or run fewer users"


def tokens_problems(scenario: Scenario, *, users: int, tokens: int, can_publish: bool) -> list[str]:
    """Return messages on what a scenario needs and given tokens do not allow.

    Args:
        scenario: the scenario of the run.
        users: how many users the run has.
        tokens: how many users have a token.
        can_publish: whether there is a token for the publisher.
    """
    problems = []
    signing = [group for group in _SIGNING if getattr(scenario.users, group) is not None]
    if signing:
        problems.append(f"{' and '.join(signing)} users sign tokens and need JWT_SECRET instead")
    if tokens < users:
        problems.append(f"{users:,} users need a token each, the file has {tokens:,}")
    if scenario.publish and not can_publish:
        problems.append("the scenario publishes, which needs a line publish: TOKEN")
    return problems


def heartbeat_problem(scenario: Scenario, welcome: Mapping[str, Any]) -> str | None:
    """Return a message when the target's heartbeat interval is not the scenario's."""
    wanted = scenario.gateway.get("GATEWAY_HEARTBEAT_SECONDS")
    announced_s = welcome.get("heartbeatInterval", 0) / 1_000
    if wanted is None or float(wanted) == announced_s:
        return None
    return (
        f"the scenario sets a heartbeat of {float(wanted):g} s, the target announces "
        f"{announced_s:g} s; heartbeats are judged by what it announces"
    )


def _rooms_demand(scenario: Scenario) -> tuple[str, int, str]:
    held = scenario.users.symbols()
    if scenario.users.trader is not None:
        # A trader holds its symbols, one that comes and goes, and the trading room.
        held["trader"] = scenario.users.trader.symbols + 2
    for command in scenario.commands:
        if command.do == "subscribe":
            held[command.who] = held.get(command.who, 0) + command.count
    return "roomsPerClient", max(held.values(), default=0), "rooms for a client"


def _symbols_demand(scenario: Scenario) -> tuple[str, int, str]:
    counts = [command.count for command in scenario.commands if command.do == "subscribe"]
    counts += scenario.users.symbols().values()
    return "symbolsPerCall", max(counts, default=0), "symbols in a call"


def _events_problem(scenario: Scenario, limits: Mapping[str, Any]) -> list[str]:
    limit = event_limit({"limits": limits}, LimitName.CONNECTION)
    trader = scenario.users.trader
    if limit is None or trader is None:
        return []
    events, window_ns = limit
    need = _TRADER_JOINS + int(window_ns / 1e9 / trader.request_every_s) + 1
    if need <= events:
        return []
    name, window_s = f"events.{LimitName.CONNECTION}", window_ns / 1e9
    return [f"{name}: the target allows {events} in {window_s:g} s, a trader sends {need}"]
