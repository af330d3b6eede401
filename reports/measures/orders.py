"""The scenario's commands as the run carried them out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from loadtests.results import Event, Phase
from reports.run_frames import RunFrames
from scenarios.model import GATEWAY_DEEDS

_S: Final = 1_000_000_000
_SLACK_S: Final = 1.0
"""The largest difference between a command's row and the time in the scenario."""
EARLY_S: Final = 0.1
"""How far an effect may lie before its command: times in the manifest are rounded."""
NOTICE_S: Final = 2.0
"""How long after a command the end of a connection may be read."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One command that was carried out.

    Attributes:
        do: the command, one of ``scenarios.model.DEEDS``.
        who: the group; empty for the gateway.
        start_s: its start, in seconds of the run.
        end_s: when the last user carried it out; for the gateway, its exit.
        count: symbols or requests per user.
    """

    do: str
    who: str
    start_s: float
    end_s: float
    count: int


def orders(run: RunFrames) -> tuple[Order, ...]:
    """Return the commands that were carried out, in order of time.

    The scenario has the time of a command. A worker's ``command`` row near that time shows that
    it was carried out. A command without a row is left out.
    """
    steady_s = next(
        (start for phase, start, _ in run.manifest.phases if phase is Phase.STEADY), None
    )
    if steady_s is None:
        return ()
    rows = run["events"]
    rows = rows[rows["event"] == str(Event.COMMAND)]
    moments = rows["t_ns"].to_numpy() / _S
    found: list[Order] = []
    for command in run.scenario.commands:
        start_s = steady_s + command.at_s
        end_s = start_s + command.within_s
        near = (moments >= start_s - _SLACK_S) & (moments <= end_s + _SLACK_S)
        same = (rows["outcome"] == command.do) & (rows["group"] == command.who)
        if bool((near & same.to_numpy()).any()):
            found.append(
                Order(
                    do=command.do,
                    who=command.who,
                    start_s=start_s,
                    end_s=end_s,
                    count=command.count,
                )
            )
    return tuple(found)


def around(rows: pd.DataFrame, order: Order) -> pd.Series:
    """Return which rows of ``events`` lie within a command, with ``EARLY_S`` and ``NOTICE_S``."""
    at_s = rows["t_ns"] / _S
    return (at_s >= order.start_s - EARLY_S) & (at_s <= order.end_s + NOTICE_S)


def orders_of(run: RunFrames, *deeds: str) -> tuple[Order, ...]:
    """Return the commands of these kinds that were carried out."""
    return tuple(order for order in orders(run) if order.do in deeds)


def gateway_orders(run: RunFrames) -> tuple[Order, ...]:
    """Return the commands to the gateway, each until the gateway's exit.

    The manifest has the exit. Without it, a command lasts until the next one or the run's end.
    """
    exits = run.manifest.part("gateway").get("exits") or ()
    given = orders_of(run, *GATEWAY_DEEDS)
    last_s = max((end for _, _, end in run.manifest.phases), default=0.0)
    found: list[Order] = []
    for index, order in enumerate(given):
        exited_s = exits[index].get("exited_s") if index < len(exits) else None
        following = given[index + 1].start_s if index + 1 < len(given) else last_s
        found.append(replace(order, end_s=float(following if exited_s is None else exited_s)))
    return tuple(found)


def members(run: RunFrames, group: str) -> int:
    """Return the number of users of a group with a welcome, else the planned number."""
    rows = run["clients"]
    welcomed = int(((rows["group"] == group) & rows["welcome_ns"].notna()).sum())
    if welcomed:
        return welcomed
    planned = run.scenario.users.named().get(group)
    return planned.count if planned is not None else 0
