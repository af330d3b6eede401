"""The scenario contract: reads a scenario file strictly and reports every problem.

Import scenarios from here. The module uses the standard library only, and reads only the given
file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, cast

from scenarios.arrivals import Arrivals, read_arrivals
from scenarios.budgets import Budget, parse_budget
from scenarios.capacity_table import read_capacity
from scenarios.catalogue import METRICS, Metric
from scenarios.coherence import check_coherence
from scenarios.commands import read_command
from scenarios.groups import GROUPS, MAX_USERS, DeadPeerKind, read_users
from scenarios.health_table import read_health
from scenarios.model import (
    GATEWAY_DEEDS,
    GENERATOR_CPU_PERCENT,
    MOST_NODES,
    PUBLISHABLE_EVENTS,
    Command,
    Deed,
    LoadStage,
    Market,
    Phases,
    Policy,
    Publish,
    Scenario,
)
from scenarios.problems import ScenarioError, shown
from scenarios.reading import Source, Table
from scenarios.text import parse_toml, read_text

__all__ = [
    "GATEWAY_DEEDS",
    "GENERATOR_CPU_PERCENT",
    "GROUPS",
    "METRICS",
    "MOST_NODES",
    "Arrivals",
    "Budget",
    "Command",
    "DeadPeerKind",
    "Deed",
    "Metric",
    "Publish",
    "Scenario",
    "ScenarioError",
    "parse_budget",
    "parse_scenario",
    "read_scenario",
]

MAX_SPAWN_RATE: Final = 10_000.0
MAX_PAYLOAD_BYTES: Final = 64_512  # the publish route takes items of 64 KiB; 1 KiB is envelope
SCENARIO_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
GATEWAY_SETTING: Final = re.compile(r"GATEWAY_[A-Z0-9_]+")
SECRET_ENDINGS: Final = ("_SECRET", "_PASSWORD", "_KEY", "_TOKEN")


def read_scenario(path: Path) -> Scenario:
    """Return the scenario of a file.

    Raises:
        ScenarioError: the file cannot be read or is not valid; it lists every problem.
    """
    return parse_scenario(read_text(path, "a scenario file such as smoke.toml"), path=str(path))


def parse_scenario(text: str, *, path: str) -> Scenario:
    """Return the scenario of a TOML text; ``path`` names it in messages.

    Raises:
        ScenarioError: the text is not valid; it lists every problem.
    """
    content, lines = parse_toml(text, path)
    source = Source(lines)
    scenario = read_tables(Table(source, (), content), text)
    if not source.problems:
        check_coherence(scenario, source)
    if source.problems:
        raise ScenarioError(path, source.problems)
    return scenario


def read_tables(top: Table, text: str) -> Scenario:
    """Return the scenario of a file's tables; problems are in the table's source.

    Args:
        top: the whole file.
        text: its source.
    """
    scenario = Scenario(
        name=_name(top),
        seed=top.integer("seed", 0, 2**32 - 1, 20),
        nodes=top.integer("nodes", 1, MOST_NODES, 3, default=1),
        question=_question(text),
        budgets=_budgets(top),
        phases=_phases(top),
        stages=tuple(_stage(table) for table in top.tables("stages")),
        commands=tuple(read_command(table) for table in top.tables("commands")),
        capacity=read_capacity(top),
        gateway=_gateway(top),
        market=_market(top),
        users=read_users(top),
        publish=tuple(_publish(table) for table in top.tables("publish")),
        health=read_health(top),
        policy=_policy(top),
        source=text,
    )
    top.finish()
    return scenario


def _question(text: str) -> str:
    lines = (line for line in text.splitlines() if line.strip())
    # "#:schema" tells an editor the JSON Schema of the file.
    first = next((line for line in lines if not line.startswith("#:")), "")
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def _name(top: Table) -> str:
    right = 'write lower-case letters, digits and "-", at most 40, such as "smoke"'
    value = top.take("name", right)
    if isinstance(value, str) and SCENARIO_NAME.fullmatch(value):
        return value
    if value is not None:
        top.report("name", f"name = {shown(value)}; {right}")
    return ""


def _budgets(top: Table) -> tuple[Budget, ...]:
    right = 'write at least one, such as budgets = ["push.p99 <= 10 ms"]'
    value = top.take("budgets", right)
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        top.report("budgets", f"budgets is not a list of texts; {right}")
        return ()
    found: list[Budget] = []
    for index, text in enumerate(value):
        path = ("budgets", index)
        if not isinstance(text, str):
            top.source.report(path, f"budget {shown(text)} is not a text; {right}")
            continue
        try:
            found.append(parse_budget(text, top.source.line(path)))
        except ScenarioError as error:
            top.source.problems.extend(error.problems)
    return tuple(found)


def _phases(top: Table) -> Phases:
    table = top.table("phases") or Table(Source({}), (), {})
    phases = Phases(
        spawn_rate=table.number("spawn_rate", 0.1, MAX_SPAWN_RATE, 60.0),
        arrivals=read_arrivals(table),
        warm_up_s=table.duration_s("warm_up", 0.0, 3_600.0, "3 s"),
        steady_s=table.duration_s("steady", 1.0, 86_400.0, "30 s"),
        drain_s=table.duration_s("drain", 0.1, 120.0, "5 s"),
    )
    table.finish()
    return phases


def _stage(table: Table) -> LoadStage:
    found = LoadStage(
        at_s=table.duration_s("at", 0.0, 86_400.0, "10 s"),
        users=table.integer("users", 1, MAX_USERS, 300),
        spawn_rate=table.number("spawn_rate", 0.1, MAX_SPAWN_RATE, 60.0),
    )
    table.finish()
    return found


def _gateway(top: Table) -> Mapping[str, str]:
    table = top.table("gateway", optional=True)
    if table is None:
        return {}
    settings: dict[str, str] = {}
    for key, value in table.content.items():
        if not GATEWAY_SETTING.fullmatch(key):
            table.report(
                key, f"{key[:80]} is not a gateway setting; their names start with GATEWAY_"
            )
        elif key.endswith(SECRET_ENDINGS):
            table.report(
                key, f"{key} is a secret, which a scenario must not hold; a run makes its own"
            )
        elif isinstance(value, bool):
            settings[key] = "1" if value else "0"
        elif isinstance(value, int | float | str):
            settings[key] = str(value)
        else:
            table.report(key, f"{key} is not a text, number or boolean; write such as {key} = 5")
    return settings


def _market(top: Table) -> Market:
    table = top.table("market") or Table(Source({}), (), {})
    market = Market(
        symbols=table.integer("symbols", 1, 10_000, 50), zipf=table.number("zipf", 0.0, 5.0, 1.0)
    )
    table.finish()
    return market


def _publish(table: Table) -> Publish:
    found = Publish(
        event=table.text("event", PUBLISHABLE_EVENTS),
        rate=table.number("rate", 0.01, 100_000.0, 40.0),
        arrivals=read_arrivals(table),
        payload_bytes=table.size_bytes("payload", 1, MAX_PAYLOAD_BYTES, "330 B"),
    )
    table.finish()
    return found


def _policy(top: Table) -> Policy:
    table = top.table("policy", optional=True)
    if table is None:
        return Policy()
    inconclusive = table.text("inconclusive", ("fail", "pass"), default="fail")
    abort = table.text("abort", ("gross", "never"), default="gross")
    table.finish()
    return Policy(
        inconclusive=cast(Literal["fail", "pass"], inconclusive),
        abort=cast(Literal["gross", "never"], abort),
    )
