"""The scenario's commands as they were carried out, and the level stretches between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from loadtests.results import Event, Phase
from reports.run_frames import RunFrames
from scenarios.model import GATEWAY_DEEDS

_S: Final = 1_000_000_000
_SLACK_S: Final = 1.0
"""How far a command's row may be off the second that the scenario names."""
EARLY_S: Final = 0.1
"""How much before a command its effect may seem to lie: times in the manifest are rounded."""
NOTICE_S: Final = 2.0
"""How long after its cause the end of a connection may still be read."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One command that was carried out.

    Attributes:
        do: what, see ``scenarios.model.DEEDS``.
        who: the group; empty for the gateway.
        start_s: when it was given, seconds of the run.
        end_s: when its last user had carried it out; for the gateway, when it was gone.
        count: symbols or requests for each user.
    """

    do: str
    who: str
    start_s: float
    end_s: float
    count: int


def orders(run: RunFrames) -> tuple[Order, ...]:
    """Return the commands that were carried out, in order of time.

    When a command is due is the scenario's; that it was done is the ``command`` row of any
    worker near that moment. One without a row was never carried out and is left out.
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
    """Return which rows of ``events`` lie in a command's time, with what may be early or late."""
    at_s = rows["t_ns"] / _S
    return (at_s >= order.start_s - EARLY_S) & (at_s <= order.end_s + NOTICE_S)


def orders_of(run: RunFrames, *deeds: str) -> tuple[Order, ...]:
    """Return the commands of these kinds that were carried out."""
    return tuple(order for order in orders(run) if order.do in deeds)


def gateway_orders(run: RunFrames) -> tuple[Order, ...]:
    """Return the commands to the gateway, each until it was gone.

    When it was gone is the manifest's; where it does not say, a gateway that is terminated is
    taken to be gone at the run's end, and one that is restarted at the next command to it.
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
    """Return how many users a group had: those that got a welcome, else those planned."""
    rows = run["clients"]
    welcomed = int(((rows["group"] == group) & rows["welcome_ns"].notna()).sum())
    if welcomed:
        return welcomed
    planned = run.scenario.users.named().get(group)
    return planned.count if planned is not None else 0
