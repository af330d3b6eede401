"""Memory per client, subscription, request and backlog.

It is private anonymous memory (PSS) where the run started the gateway, else resident memory.
Each value is a difference of two levels (``levels``), divided by what was done between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from loadtests.results import Phase
from reports import intervals, lines, quantities
from reports.measures.levels import Floats, MemoryColumn, after, before, climb, memory_column
from reports.measures.measurement import Measure, Measurement, absent, estimated
from reports.measures.orders import Order, members, orders_of
from reports.run_frames import RunFrames

_CLIMB: Final = (str(Phase.RAMP), str(Phase.WARM_UP))


def memory_levels(run: RunFrames) -> pd.DataFrame:
    """Return the levels of the staircase of clients, lowest first.

    Returns:
        ``clients``, ``memory_bytes``, ``start_s``, ``end_s``, ``seconds``; no row without stages.
    """
    levels = climb(run, memory_column(run["server"]).name)
    return levels.rename(columns={"value": "memory_bytes"})


class MemoryPoints(NamedTuple):
    """Points of memory over clients.

    Attributes:
        frame: ``clients`` and ``memory_bytes``.
        memory: the column they come from.
        is_staircase: whether each point is a level of a staircase, not a second of the ramp.
    """

    frame: pd.DataFrame
    memory: MemoryColumn
    is_staircase: bool

    @property
    def label(self) -> str:
        """What the points are."""
        return (
            f"levels of a staircase, {self.memory.label}"
            if self.is_staircase
            else self.memory.label
        )


def memory_points(run: RunFrames) -> MemoryPoints:
    """Return memory over clients while users connect.

    A staircase of at least four levels gives its levels. Otherwise each second gives a point, up
    to the second in which the gateway first counts all clients, which may be after the ramp.
    """
    stairs = memory_levels(run)
    if run.scenario.stages and stairs["clients"].nunique() >= lines.FEWEST_LEVELS:
        points = stairs[["clients", "memory_bytes"]].astype(float)
        return MemoryPoints(points, memory_column(run["server"]), is_staircase=True)
    rows = run["server"]
    rows = rows[rows["phase"].isin(_CLIMB)].dropna(subset=["clients"]).sort_values("t_s")
    if len(rows):
        rows = rows.iloc[: int(rows["clients"].argmax()) + 1]
    memory = memory_column(rows)
    points = rows[["clients", memory.name]].rename(columns={memory.name: "memory_bytes"}).dropna()
    return MemoryPoints(points.astype(float).reset_index(drop=True), memory, is_staircase=False)


def memory_line(run: RunFrames) -> lines.Line | None:
    """Return the line of memory (B) over clients; None without four different levels."""
    points = memory_points(run).frame
    return lines.fit_line(points["clients"].to_numpy(), points["memory_bytes"].to_numpy())


def measure_per_client(run: RunFrames) -> Measurement:
    """Measure the slope of memory over clients, on the staircase or on the ramp."""
    line = memory_line(run)
    points = memory_points(run)
    if line is None:
        levels = points.frame["clients"].nunique()
        why = run.absences.get("server") or (
            f"memory is known at {quantities.counted(levels, 'client count')}; "
            f"a slope needs {lines.FEWEST_LEVELS}"
        )
        return absent(why, len(points.frame))
    return _sloped(line, points.label, is_staircase=bool(run.scenario.stages))


def _sloped(line: lines.Line, label: str, *, is_staircase: bool) -> Measurement:
    robust = f"; Theil–Sen gives {quantities.size(line.robust_slope)}" if is_staircase else ""
    return Measurement(
        value=line.slope, low=line.low, high=line.high, n=line.n, why=f"{label}{robust}"
    )


def measure_kernel_per_client(run: RunFrames) -> Measurement:
    """Measure the slope of the kernel's TCP memory over clients, both ends' sockets together."""
    rows = run["server"]
    if rows["kernel_bytes"].isna().all():
        return absent(run.absences.get("server") or "the kernel does not tell its TCP memory")
    stairs = climb(run, "kernel_bytes")
    is_staircase = stairs["clients"].nunique() >= lines.FEWEST_LEVELS
    if is_staircase:
        points = stairs[["clients", "value"]]
    else:
        rows = rows[rows["phase"].isin(_CLIMB)].dropna(subset=["clients", "kernel_bytes"])
        points = rows.sort_values("t_s")[["clients", "kernel_bytes"]].astype(float)
        points = points.iloc[: int(points["clients"].argmax()) + 1] if len(points) else points
    line = lines.fit_line(points.iloc[:, 0].to_numpy(), points.iloc[:, 1].to_numpy())
    if line is None:
        told = quantities.counted(points["clients"].nunique(), "client count")
        why = f"kernel memory is known at {told}; a slope needs {lines.FEWEST_LEVELS}"
        return absent(why, len(points))
    return _sloped(line, "TCP memory of the network namespace", is_staircase=is_staircase)


def _measure_step(deed: str, done: Callable[[RunFrames, Order], int]) -> Measure:
    """Return a function that measures the memory a kind of command adds, per unit done.

    Several such commands add up. The interval is a bootstrap over the seconds of each level.

    Args:
        deed: the command, such as ``subscribe``.
        done: counts the units of one command, such as symbols over all users.
    """

    def measure(run: RunFrames) -> Measurement:
        given = orders_of(run, deed)
        if not given:
            return absent(run.absences.get("events") or f"no {deed} was carried out")
        memory = memory_column(run["server"])
        generator = np.random.default_rng(run.scenario.seed)
        step, drawn, divisor, seconds = 0.0, np.zeros(intervals.RESAMPLES), 0, 0
        for order in given:
            old, new = before(run, order, memory.name), after(run, order, memory.name)
            if not len(old) or not len(new):
                continue
            step += float(np.median(new) - np.median(old))
            drawn += intervals.resample_medians(new, generator)
            drawn -= intervals.resample_medians(old, generator)
            divisor += done(run, order)
            seconds += len(old) + len(new)
        if not divisor:
            why = f"memory was not level for long enough before and after a {deed}"
            return absent(run.absences.get("server") or why)
        found = _around(step / divisor, drawn / divisor, seconds)
        return estimated(found, f"{memory.label}, over {divisor:,} of them")

    return measure


def _around(value: float, drawn: Floats, n: int) -> intervals.Estimate:
    low, high = intervals.percentiles(drawn)
    return intervals.Estimate(value=value, low=min(low, value), high=max(high, value), n=n)


def _users(run: RunFrames, order: Order) -> int:
    return members(run, order.who)


def _users_times_count(run: RunFrames, order: Order) -> int:
    return members(run, order.who) * order.count


MEASURES: Final[dict[str, Measure]] = {
    "memory.per_client": measure_per_client,
    "memory.kernel_per_client": measure_kernel_per_client,
    "memory.per_subscription": _measure_step("subscribe", _users_times_count),
    "memory.per_message": _measure_step("send", _users_times_count),
    "memory.per_backlog": _measure_step("pause", _users),
}
