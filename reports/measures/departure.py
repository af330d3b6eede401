"""What clients leave behind when they go: memory given back, and what a cycle leaks.

A cycle is a ``drop`` of a group and its ``return``. The level after each drop is compared with
the levels after the others: what rises from cycle to cycle is not given back.
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

    ``before`` and ``after`` are the levels around the first drop, or around a stage of fewer
    users; ``empty`` is the gateway without clients: as seen before the first one came, else
    what the line over clients shows at none. The interval is a bootstrap over the seconds of
    both levels.
    """
    order = _first_departure(run)
    if order is None:
        return absent(run.absences.get("events") or "nobody left on command and no stage fell")
    column, words = memory_column(run["server"])
    old, new = before(run, order, column), after(run, order, column)
    clients, stayed = before(run, order, "clients"), after(run, order, "clients")
    if not all(len(values) for values in (old, new, clients, stayed)):
        why = "no level of memory is known before and after the clients left"
        return absent(run.absences.get("server") or why)
    empty = _empty_bytes(run, column)
    leaving = float(np.median(clients) - np.median(stayed))
    if empty is None or leaving <= 0:
        why = "the gateway's memory without clients is not known"
        return absent(why if empty is None else "the gateway counted no client less than before")
    share = leaving / float(np.median(clients))
    generator = np.random.default_rng(run.scenario.seed)
    olds, news = (intervals.resample_medians(values, generator) for values in (old, new))
    taken = (float(np.median(old)) - empty) * share
    if taken <= 0 or bool((olds <= empty).any()):
        return absent("the clients took no memory that could be told from noise", len(old))
    value = float(np.median(old) - np.median(new)) / taken
    low, high = intervals.percentiles((olds - news) / ((olds - empty) * share))
    found = intervals.Estimate(
        value=value, low=min(low, value), high=max(high, value), n=len(old) + len(new)
    )
    return estimated(found, words)


def _first_departure(run: RunFrames) -> Order | None:
    """Return the first drop, or the first stage of fewer users as if it were one."""
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


def cycle_levels(run: RunFrames, column: str | None = None) -> pd.DataFrame:
    """Return the level after each drop: ``cycle`` from 1, ``t_s``, ``value``, ``clients``.

    Args:
        run: the run.
        column: of the ``server`` table; None: memory. ``clients`` is how many the cycle's
            group has.
    """
    name = memory_column(run["server"])[0] if column is None else column
    found: list[dict[str, float]] = []
    for cycle, order in enumerate(orders_of(run, "drop"), start=1):
        values = after(run, order, name, fewest=_FEWEST_AFTER_DROP)
        if len(values):
            level = float(np.median(values))
            size = float(members(run, order.who))
            found.append({"cycle": cycle, "t_s": order.end_s, "value": level, "clients": size})
    return pd.DataFrame(found, columns=["cycle", "t_s", "value", "clients"])


def cycle_line(run: RunFrames) -> lines.Line | None:
    """Return the line of memory (B) after each drop over the cycle; None with fewer than ten."""
    found = cycle_levels(run)
    if len(found) < FEWEST_CYCLES:
        return None
    return lines.fit_walk(
        found["cycle"].to_numpy(), found["value"].to_numpy(), seed=run.scenario.seed
    )


def measure_per_cycle(run: RunFrames) -> Measurement:
    """Measure how much memory stays for each client of a cycle, from cycle to cycle.

    The slope of the level after each drop over the cycle's number, divided by the clients of
    one. Where nobody is dropped and churners come and go, the slope over their returns.
    """
    found = cycle_levels(run)
    if not len(found) and run.scenario.users.churner is not None:
        return _measure_churn(run)
    line = cycle_line(run)
    if line is None:
        told = quantities.counted(len(found), "cycle")
        why = f"{told} of dropping and returning with a level after it; a slope needs"
        return absent(run.absences.get("server") or f"{why} {FEWEST_CYCLES}", len(found))
    clients = float(found["clients"].median())
    if clients <= 0:
        return absent("nobody was in the group that dropped", len(found))
    _, words = memory_column(run["server"])
    return Measurement(
        value=line.slope / clients,
        low=line.low / clients,
        high=line.high / clients,
        n=line.n,
        why=f"{words}, over {line.n} cycles",
    )


def _measure_churn(run: RunFrames) -> Measurement:
    """Measure memory over the returns of churners so far, each second of the steady phase."""
    rows, events = run["server"], run["events"]
    rows = rows[rows["phase"] == str(Phase.STEADY)].sort_values("t_s")
    column, words = memory_column(rows)
    rows = rows.dropna(subset=[column])
    came = (events["event"] == str(Event.RECONNECT)) & (events["group"] == "churner")
    returns_s = np.sort(events.loc[came, "t_ns"].to_numpy() / _S)
    if rows.empty:
        return absent(run.absences.get("server") or "memory was not watched while they came")
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
        return absent("the churners did not return evenly enough for a slope", returns)
    return Measurement(
        value=line.slope,
        low=line.low,
        high=line.high,
        n=line.n,
        why=f"{words}, over {returns:,} returns",
    )


def _count_left(column: str, words: str) -> Measure:
    """Count what is more after the last cycle than before, in two states that ought to be equal.

    After the last drop against after the first; with one drop only, after its return against
    before it; with churners alone, the least that is held beyond the clients counted, in the
    last third of the steady phase against the first. Levels are medians, which of whole numbers
    that do not change is that number.
    """

    def measure(run: RunFrames) -> Measurement:
        server = run["server"]
        if server[column].isna().all():
            return absent(run.absences.get("server") or f"the number of {words} is not known")
        found = _two_states(run, column)
        if found is None:
            return absent("nobody left and returned, so nothing could be left behind")
        first, last, cycles = found
        if not len(first) or not len(last):
            return absent(f"the number of {words} was not watched before and after", cycles)
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
    # Connections on their way in or out are counted by one and not yet, or no more, by the
    # other: only more, where the gateway tells both of one moment. The least of a stretch is
    # free of them.
    return beyond[:third].min(keepdims=True), beyond[-third:].min(keepdims=True), came


MEASURES: Final[dict[str, Measure]] = {
    "memory.returned": measure_returned,
    "memory.per_cycle": measure_per_cycle,
    "memory.left_sessions": _count_left("sessions", "sessions"),
    "memory.left_fds": _count_left("fds", "file descriptors"),
}
