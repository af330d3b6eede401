"""Levels: the gateway's resources in stretches of constant load.

A level is a column of the ``server`` table while no stage and no command changes the load. It
takes the last seconds before the next change, at most ten, after two seconds to settle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from loadtests.results import Phase
from reports.measures.orders import Order, orders
from reports.run_frames import RunFrames

SETTLING_S: Final = 2
LEVEL_S: Final = 10
FEWEST_SECONDS: Final = 3
_STEADINESS: Final = 0.01
"""The largest relative change of the number of clients within a level."""

Floats = npt.NDArray[np.float64]


class MemoryColumn(NamedTuple):
    """A memory column of the ``server`` table: its name, a label and the label's short form."""

    name: str
    label: str
    short: str


PRIVATE: Final = MemoryColumn("pss_anon_bytes", "private anonymous memory (PSS)", "PSS")
RESIDENT: Final = MemoryColumn("rss_bytes", "resident memory (RSS)", "RSS")


@dataclass(frozen=True, kw_only=True)
class Change:
    """A stretch in which the load changes, in seconds of the run."""

    start_s: float
    end_s: float


def memory_column(rows: pd.DataFrame) -> MemoryColumn:
    """Return the private memory where every row knows it, else the resident memory."""
    return PRIVATE if len(rows) and rows[PRIVATE.name].notna().all() else RESIDENT


def phase_start_s(run: RunFrames, phase: Phase) -> float | None:
    """Return the start of a phase in seconds of the run; None if it did not begin."""
    return next((start for each, start, _ in run.manifest.phases if each is phase), None)


def steady_end_s(run: RunFrames) -> float:
    """Return the end of the steady phase in seconds of the run; infinity if it has none."""
    ends = (end for phase, _, end in run.manifest.phases if phase is Phase.STEADY)
    return next(ends, math.inf)


def stage_changes(run: RunFrames) -> tuple[Change, ...]:
    """Return the stretch in which each stage of the scenario changes the users."""
    start_s = phase_start_s(run, Phase.STEADY)
    if start_s is None:
        return ()
    before = run.scenario.users.total
    found: list[Change] = []
    for stage in run.scenario.stages:
        took_s = abs(stage.users - before) / stage.spawn_rate
        found.append(Change(start_s=start_s + stage.at_s, end_s=start_s + stage.at_s + took_s))
        before = stage.users
    return tuple(found)


def changes(run: RunFrames) -> tuple[Change, ...]:
    """Return the changes by stages and commands in the steady phase, in order of time."""
    ordered = (Change(start_s=order.start_s, end_s=order.end_s) for order in orders(run))
    return tuple(sorted([*stage_changes(run), *ordered], key=lambda change: change.start_s))


def before(run: RunFrames, order: Order, column: str) -> Floats:
    """Return a column's values in the level before a command; see ``after``.

    Args:
        run: the run.
        order: the command.
        column: of the ``server`` table.
    """
    earlier = [change.end_s for change in changes(run) if change.start_s < order.start_s]
    warm_s = phase_start_s(run, Phase.WARM_UP)
    first_s = phase_start_s(run, Phase.STEADY) or 0.0
    since_s = max(earlier, default=first_s if warm_s is None else warm_s)
    return _values(run, column, since_s, order.start_s, FEWEST_SECONDS)


def after(run: RunFrames, order: Order, column: str, *, fewest: int = FEWEST_SECONDS) -> Floats:
    """Return a column's values in the level after a command.

    Args:
        run: the run.
        order: the command.
        column: of the ``server`` table.
        fewest: seconds; a shorter level gives an empty array.
    """
    later = [change.start_s for change in changes(run) if change.start_s > order.start_s]
    until_s = min([*later, steady_end_s(run)])
    return _values(run, column, order.end_s, until_s, fewest)


def _values(run: RunFrames, column: str, since_s: float, until_s: float, fewest: int) -> Floats:
    rows = _settled(run["server"], since_s, until_s)
    found = rows[column].dropna().to_numpy(dtype=np.float64)
    return found if len(found) >= fewest else np.zeros(0)


def _settled(rows: pd.DataFrame, since_s: float, until_s: float) -> pd.DataFrame:
    """Return the rows whose whole second lies in the settled part of a stretch."""
    rows = rows.sort_values("t_s")
    settled = (rows["t_s"] >= since_s + SETTLING_S) & (rows["t_s"] + 1 <= until_s)
    return rows[settled].tail(LEVEL_S)


def climb(run: RunFrames, column: str) -> pd.DataFrame:
    """Return the levels of a staircase of users, lowest first.

    The staircase ends at the first command or the first stage with fewer users, because memory
    is not returned as it was taken.

    Returns:
        One row per level: ``start_s``, ``end_s`` (first and last second used), ``clients``
        (median of the gateway's count), ``value`` (median of the column), ``seconds``.
    """
    found: list[dict[str, float]] = []
    for since_s, until_s in _stretches(run):
        rows = _settled(run["server"], since_s, until_s).dropna(subset=["clients", column])
        if len(rows) < FEWEST_SECONDS:
            continue
        clients = rows["clients"].to_numpy(dtype=np.float64)
        level = float(np.median(clients))
        if np.ptp(clients) > max(1.0, _STEADINESS * level):
            continue
        found.append(
            {
                "start_s": float(rows["t_s"].iloc[0]),
                "end_s": float(rows["t_s"].iloc[-1]),
                "clients": level,
                "value": float(np.median(rows[column].to_numpy(dtype=np.float64))),
                "seconds": float(len(rows)),
            }
        )
    return pd.DataFrame(found, columns=["start_s", "end_s", "clients", "value", "seconds"])


def _stretches(run: RunFrames) -> list[tuple[float, float]]:
    """Return the stretches (s) between the stages of a climb."""
    first = orders(run)
    end_s = min(first[0].start_s if first else math.inf, steady_end_s(run))
    since_s = phase_start_s(run, Phase.WARM_UP)
    if since_s is None:
        since_s = phase_start_s(run, Phase.STEADY) or 0.0
    users, found = run.scenario.users.total, []
    for stage, change in zip(run.scenario.stages, stage_changes(run), strict=False):
        until_s = min(change.start_s, end_s)
        found.append((since_s, until_s))
        if stage.users <= users or change.start_s >= end_s:
            return found
        users, since_s = stage.users, change.end_s
    return [*found, (since_s, end_s)]
