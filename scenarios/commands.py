"""The commands of a scenario file: strict reading, and checks of their order.

A command without an effect, such as a return without a drop, is reported before the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from scenarios.groups import GROUP_CLASSES, GROUPS
from scenarios.model import (
    COUNTED_DEEDS,
    DEEDS,
    GATEWAY_DEEDS,
    MOST_NODES,
    Command,
    Deed,
    Scenario,
)
from scenarios.reading import Source, Table

MAX_EACH: Final = 1_000
_NEEDS_BEFORE: Final[Mapping[Deed, Deed]] = {
    "return": "drop",
    "resume": "pause",
    "unsubscribe": "subscribe",
}
_NOT_TWICE: Final[Mapping[Deed, Deed]] = {"drop": "return", "pause": "resume"}


def read_command(table: Table) -> Command:
    """Return the command of a table."""
    deed = cast(Deed, table.text("do", DEEDS))
    is_for_users = deed not in GATEWAY_DEEDS
    command = Command(
        at_s=table.duration_s("at", 0.0, 86_400.0, "10 s"),
        do=deed,
        who=table.text("who", GROUPS) if is_for_users else "",
        within_s=table.duration_s("within", 0.0, 3_600.0, "1 s", default_s=0.0)
        if is_for_users
        else 0.0,
        count=table.integer("count", 1, MAX_EACH, 10) if deed in COUNTED_DEEDS else 0,
        node=table.integer("node", 1, MOST_NODES, 2, default=0),
    )
    table.finish()
    return command


def check_commands(scenario: Scenario, source: Source) -> None:
    """Report every command that contradicts the scenario or an earlier command."""
    before_s = 0.0
    for index, command in enumerate(scenario.commands):
        if command.at_s < before_s:
            words = "commands.at must not fall; write the commands in order of time"
            source.report(("commands", index, "at"), words)
        before_s = command.at_s
        end_s = command.at_s + command.within_s
        if end_s >= scenario.phases.steady_s:
            end = f"phases.steady is {scenario.phases.steady_s:g} s"
            words = f"this command lasts until {end_s:g} s, after the steady phase: {end}"
            source.report(("commands", index, "at"), words)
        _check_group(command, index, scenario, source)
        _check_node(command, index, scenario, source)
        _check_order(command, index, scenario, source)


def _check_group(command: Command, index: int, scenario: Scenario, source: Source) -> None:
    path = ("commands", index, "who")
    if command.do in GATEWAY_DEEDS:
        return
    if not GROUP_CLASSES[command.who].takes_commands:
        words = f"{command.who} has a schedule of its own and takes no commands"
        source.report(path, f"{words}; name another group, such as storm or idle")
    elif command.who not in scenario.users.named():
        words = f"the group {command.who} has no users; add [users.{command.who}]"
        source.report(path, words)
    elif command.do == "subscribe" and command.count > scenario.market.symbols:
        held = scenario.market.symbols
        words = f"commands.count = {command.count}, but market.symbols is {held}"
        source.report(("commands", index, "count"), f"{words}; write at most {held}")


def _check_node(command: Command, index: int, scenario: Scenario, source: Source) -> None:
    path = ("commands", index, "node")
    if command.node and command.do not in GATEWAY_DEEDS:
        words = f"{command.do} is for users; only {' and '.join(GATEWAY_DEEDS)} name a node"
        source.report(path, f"{words}; leave out node")
    elif command.node > scenario.nodes:
        words = f"commands.node = {command.node}, but nodes = {scenario.nodes}"
        source.report(path, f"{words}; write at most that")


def _check_order(command: Command, index: int, scenario: Scenario, source: Source) -> None:
    path = ("commands", index, "do")
    earlier = scenario.commands[:index]
    if any(other.do == "terminate" and other.node in (0, command.node) for other in earlier):
        source.report(path, f"{command.do} comes after terminate, when the gateway is gone")
    own = [other.do for other in earlier if other.who == command.who]
    needed = _NEEDS_BEFORE.get(command.do)
    if needed is not None and own.count(needed) <= own.count(command.do):
        words = f"{command.do} without a {needed} of {command.who} before it"
        source.report(path, f"{words}; add one, or remove this command")
    undone = _NOT_TWICE.get(command.do)
    if undone is not None and own.count(undone) < own.count(command.do):
        words = f"{command.do} twice for {command.who} without a {undone} between"
        source.report(path, f"{words}; add one, or remove this command")
