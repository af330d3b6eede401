"""Departures: memory that the gateway returns when clients leave, and leaks per cycle.

A cycle is a ``drop`` of a group and its ``return``. Memory after each drop should be the same.
Memory that rises from cycle to cycle is a leak.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from loadtests.results import Event, Phase
from reports import intervals, lines, quantities
from reports.measures.levels import (
    FEWEST_SECONDS,
    Floats,
    after,
    before,
    memory_column,
    stage_changes,
)
from reports.measures.measurement import Measure, Measurement, absent, estimated, exact
from reports.measures.memory import memory_line
from reports.measures.orders import Order, members, orders_of
from reports.run_frames import RunFrames

FEWEST_CYCLES: Final = 10
_FEWEST_AFTER_DROP: Final = 1  # a cycle is short: one settled second after a drop is a level
_S: Final = 1_000_000_000


def measure_returned(run: RunFrames) -> Measurement:
    """Measure the share of the leaving clients' memory that the gateway gives back.

        (before − after) ÷ ((before − empty) · leaving ÷ clients)

    ``before`` and ``after`` are the levels around the first drop, or around a stage with fewer
    users. ``empty`` is the memory without clients: measured before the first client connects,
    else the intercept of the line over clients. The interval is a bootstrap over the seconds of
    both levels.
    """
    order = _first_departure(run)
    if order is None:
        return absent(run.absences.get("events") or "no command and no stage made users leave")
    memory = memory_column(run["server"])
    column = memory.name
    old, new = before(run, order, column), after(run, order, column)
    clients, stayed = before(run, order, "clients"), after(run, order, "clients")
    if not all(len(values) for values in (old, new, clients, stayed)):
        why = "memory was not level before and after the clients left"
        return absent(run.absences.get("server") or why)
    empty = _empty_bytes(run, column)
    leaving = float(np.median(clients) - np.median(stayed))
    if empty is None or leaving <= 0:
        why = "the gateway's memory without clients is unknown"
        return absent(why if empty is None else "the gateway's number of clients did not fall")
    share = leaving / float(np.median(clients))
    generator = np.random.default_rng(run.scenario.seed)
    olds, news = (intervals.resample_medians(values, generator) for values in (old, new))
    taken = (float(np.median(old)) - empty) * share
    if taken <= 0 or bool((olds <= empty).any()):
        return absent("the memory of the clients cannot be told from noise", len(old))
    value = float(np.median(old) - np.median(new)) / taken
    low, high = intervals.percentiles((olds - news) / ((olds - empty) * share))
    found = intervals.Estimate(
        value=value, low=min(low, value), high=max(high, value), n=len(old) + len(new)
    )
    return estimated(found, memory.label)


def _first_departure(run: RunFrames) -> Order | None:
    """Return the first drop, or the first stage with fewer users in the form of a drop."""
    drops = orders_of(run, "drop")
    users, falls = run.scenario.users.total, []
    for stage, change in zip(run.scenario.stages, stage_changes(run), strict=False):
        if stage.users < users:
            falls.append(
                Order(do="drop", who="", start_s=change.start_s, end_s=change.end_s, count=0)
            )
        users = stage.users
    return min([*drops, *falls], key=lambda order: order.start_s, default=None)


def _empty_bytes(run: RunFrames, column: str) -> float | None:
    rows = run["server"].sort_values("t_s")
    rows = rows[(rows["phase"] == str(Phase.RAMP)) & (rows["clients"] == 0)]
    known = rows[column].dropna()
    if len(known):
        return float(np.median(known.to_numpy(dtype=np.float64)))
    line = memory_line(run)
    return None if line is None else line.intercept


def cycle_levels(run: RunFrames) -> pd.DataFrame:
    """Return the level after each drop: ``cycle`` from 1, ``t_s``, ``value``, ``clients``.

    ``value`` is memory in bytes. ``clients`` is the size of the group that dropped.
    """
    column = memory_column(run["server"]).name
    found: list[dict[str, float]] = []
    for cycle, order in enumerate(orders_of(run, "drop"), start=1):
        values = after(run, order, column, fewest=_FEWEST_AFTER_DROP)
        if len(values):
            level = float(np.median(values))
            size = float(members(run, order.who))
            found.append({"cycle": cycle, "t_s": order.end_s, "value": level, "clients": size})
    return pd.DataFrame(found, columns=["cycle", "t_s", "value", "clients"])


def cycle_line(run: RunFrames) -> lines.Line | None:
    """Return the line of memory (B) after each drop over the cycle; None below ten cycles."""
    found = cycle_levels(run)
    if len(found) < FEWEST_CYCLES:
        return None
    return lines.fit_walk(
        found["cycle"].to_numpy(), found["value"].to_numpy(), seed=run.scenario.seed
    )


def measure_per_cycle(run: RunFrames) -> Measurement:
    """Measure the memory that each client leaves behind per cycle.

    The value is the slope of the level after each drop over the cycle's number, divided by the
    clients of one cycle. Without drops, it is the slope over the returns of churners.
    """
    found = cycle_levels(run)
    if not len(found) and run.scenario.users.churner is not None:
        return _measure_churn(run)
    line = cycle_line(run)
    if line is None:
        told = quantities.counted(len(found), "cycle")
        why = f"{told} with a level after the drop; a slope needs"
        return absent(run.absences.get("server") or f"{why} {FEWEST_CYCLES}", len(found))
    clients = float(found["clients"].median())
    if clients <= 0:
        return absent("the group that dropped had no users", len(found))
    return Measurement(
        value=line.slope / clients,
        low=line.low / clients,
        high=line.high / clients,
        n=line.n,
        why=f"{memory_column(run['server']).label}, over {line.n} cycles",
    )


def _measure_churn(run: RunFrames) -> Measurement:
    """Measure memory over the number of churners' returns, in the steady phase."""
    rows, events = run["server"], run["events"]
    rows = rows[rows["phase"] == str(Phase.STEADY)].sort_values("t_s")
    memory = memory_column(rows)
    column = memory.name
    rows = rows.dropna(subset=[column])
    came = (events["event"] == str(Event.RECONNECT)) & (events["group"] == "churner")
    returns_s = np.sort(events.loc[came, "t_ns"].to_numpy() / _S)
    if rows.empty:
        return absent(run.absences.get("server") or "memory was not watched in the steady phase")
    so_far = np.searchsorted(returns_s, rows["t_s"].to_numpy(dtype=np.float64))
    churners, returns = members(run, "churner"), int(so_far[-1] - so_far[0])
    if not churners or returns < FEWEST_CYCLES * churners:
        told = quantities.counted(returns, "return")
        why = f"{told} of {churners:,} churners; a slope needs {FEWEST_CYCLES} each"
        return absent(run.absences.get("events") or why, returns)
    line = lines.fit_walk(
        so_far.astype(np.float64),
        rows[column].to_numpy(dtype=np.float64),
        seed=run.scenario.seed,
    )
    if line is None:
        return absent("the churners returned too unevenly for a slope", returns)
    return Measurement(
        value=line.slope,
        low=line.low,
        high=line.high,
        n=line.n,
        why=f"{memory.label}, over {returns:,} returns",
    )


def _count_left(column: str, noun: str) -> Measure:
    """Return a function that counts what the cycles left behind, in a ``server`` column.

    It compares the median level of two states that should be equal:

    - several drops: after the last drop and after the first;
    - one drop: after its return and before the drop;
    - churners only: the least excess over the clients, in the last and the first third of the
      steady phase.
    """

    def measure(run: RunFrames) -> Measurement:
        server = run["server"]
        if server[column].isna().all():
            return absent(run.absences.get("server") or f"the number of {noun} is unknown")
        found = _two_states(run, column)
        if found is None:
            return absent("no user left and returned")
        first, last, cycles = found
        if not len(first) or not len(last):
            return absent(f"the number of {noun} is unknown before or after", cycles)
        return exact(float(round(np.median(last) - np.median(first))), cycles)

    return measure


def _two_states(run: RunFrames, column: str) -> tuple[Floats, Floats, int] | None:
    drops, returns = orders_of(run, "drop"), orders_of(run, "return")
    if len(drops) > 1:
        first, last = (
            after(run, order, column, fewest=_FEWEST_AFTER_DROP) for order in (drops[0], drops[-1])
        )
        return first, last, len(drops)
    if drops and returns:
        return before(run, drops[0], column), after(run, returns[-1], column), 1
    if run.scenario.users.churner is None:
        return None
    rows = run["server"]
    rows = rows[rows["phase"] == str(Phase.STEADY)].sort_values("t_s")
    beyond = (rows[column] - rows["clients"]).dropna().to_numpy(dtype=np.float64)
    came = int((run["events"]["event"] == str(Event.RECONNECT)).sum())
    third = len(beyond) // 3
    if third < FEWEST_SECONDS:
        return beyond[:0], beyond[:0], came
    # Connections being opened or closed count in the column before or after they count as
    # clients. The least excess of a stretch is free of them.
    return beyond[:third].min(keepdims=True), beyond[-third:].min(keepdims=True), came


MEASURES: Final[dict[str, Measure]] = {
    "memory.returned": measure_returned,
    "memory.per_cycle": measure_per_cycle,
    "memory.left_sessions": _count_left("sessions", "sessions"),
    "memory.left_fds": _count_left("fds", "file descriptors"),
}
