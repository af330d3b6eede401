"""Levels: stretches in which nothing changes, and what the gateway used in each.

A level is what a column of the ``server`` table shows while no stage climbs and no command is
carried out: its last seconds before the next change, at most ten, once two seconds have passed
for things to settle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

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
"""By how much of itself the number of clients may change within a level."""

PRIVATE: Final = ("pss_anon_bytes", "private anonymous memory (PSS)")
RESIDENT: Final = ("rss_bytes", "resident memory (RSS)")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A stretch of the run in which the load changes, in seconds of the run."""

    start_s: float
    end_s: float


def memory_column(rows: pd.DataFrame) -> tuple[str, str]:
    """Return which memory is known all through these rows, the gateway's alone if it can be."""
    return PRIVATE if len(rows) and rows[PRIVATE[0]].notna().all() else RESIDENT


def phase_start_s(run: RunFrames, phase: Phase) -> float | None:
    """Return when a phase began, in seconds of the run; None if it did not."""
    return next((start for each, start, _ in run.manifest.phases if each is phase), None)


def steady_end_s(run: RunFrames) -> float:
    """Return when the steady phase ended, or would have."""
    ends = (end for phase, _, end in run.manifest.phases if phase is Phase.STEADY)
    return next(ends, math.inf)


def stage_changes(run: RunFrames) -> tuple[Change, ...]:
    """Return when each stage of the scenario climbs or falls."""
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
    """Return every change of the steady phase, stages and commands, in order of time."""
    ordered = (Change(start_s=order.start_s, end_s=order.end_s) for order in orders(run))
    return tuple(sorted([*stage_changes(run), *ordered], key=lambda change: change.start_s))


def before(run: RunFrames, order: Order, column: str, *, fewest: int = FEWEST_SECONDS) -> Floats:
    """Return a column's values in the level before a command; empty when it was too short."""
    earlier = [change.end_s for change in changes(run) if change.start_s < order.start_s]
    warm_s = phase_start_s(run, Phase.WARM_UP)
    first_s = phase_start_s(run, Phase.STEADY) or 0.0
    since_s = max(earlier, default=first_s if warm_s is None else warm_s)
    return _values(run, column, since_s, order.start_s, fewest)


def after(run: RunFrames, order: Order, column: str, *, fewest: int = FEWEST_SECONDS) -> Floats:
    """Return a column's values in the level after a command; empty when it was too short."""
    later = [change.start_s for change in changes(run) if change.start_s > order.start_s]
    until_s = min([*later, steady_end_s(run)])
    return _values(run, column, order.end_s, until_s, fewest)


def _values(run: RunFrames, column: str, since_s: float, until_s: float, fewest: int) -> Floats:
    rows = _settled(run["server"], since_s, until_s)
    found = rows[column].dropna().to_numpy(dtype=np.float64)
    return found if len(found) >= fewest else np.zeros(0)


def _settled(rows: pd.DataFrame, since_s: float, until_s: float) -> pd.DataFrame:
    """Return the rows whose whole second lies in the settled end of a stretch."""
    rows = rows.sort_values("t_s")
    settled = (rows["t_s"] >= since_s + SETTLING_S) & (rows["t_s"] + 1 <= until_s)
    return rows[settled].tail(LEVEL_S)


def climb(run: RunFrames, column: str) -> pd.DataFrame:
    """Return the levels of a staircase: one row each, lowest first.

    They are the level of the first users and one after each stage that brings more, up to the
    first command or the first stage that sends some away: memory given back is another matter
    than memory taken.

    Returns:
        ``start_s``, ``end_s`` (seconds of the run that were used, both inside), ``clients``
        (median of what the gateway counts), ``value`` (median of the column), ``seconds``.
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
    """Return the stretches between the stages of a climb, from the end of one to the next."""
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
