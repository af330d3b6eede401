"""Memory: what a client, a subscription, a request, a backlog cost, and what comes back.

Private anonymous memory (PSS) where the gateway's process is ours, resident memory else. Every
figure is a difference of levels (``levels``) divided by what was done between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from loadtests.results import Phase
from reports import intervals, lines, quantities
from reports.measures.levels import Floats, after, before, climb, memory_column
from reports.measures.measurement import Measure, Measurement, absent, estimated
from reports.measures.orders import Order, members, orders_of
from reports.run_frames import RunFrames

_CLIMB: Final = (str(Phase.RAMP), str(Phase.WARM_UP))


def memory_levels(run: RunFrames) -> pd.DataFrame:
    """Return the levels of the staircase of clients, lowest first.

    Returns:
        ``clients``, ``memory_bytes``, ``start_s``, ``end_s``, ``seconds``; no row without stages.
    """
    column, _ = memory_column(run["server"])
    return climb(run, column).rename(columns={"value": "memory_bytes"})


def memory_points(run: RunFrames) -> tuple[pd.DataFrame, str]:
    """Return the climb's ``clients`` and ``memory_bytes``, and which memory it is.

    With a staircase of at least four levels: its levels. Otherwise each second from the first
    to the one in which the gateway first counts all clients, which it may do a second after
    the ramp was declared over.
    """
    stairs = memory_levels(run)
    if run.scenario.stages and stairs["clients"].nunique() >= lines.FEWEST_LEVELS:
        _, words = memory_column(run["server"])
        points = stairs[["clients", "memory_bytes"]]
        return points.astype(float), f"levels of a staircase, {words}"
    rows = run["server"]
    rows = rows[rows["phase"].isin(_CLIMB)].sort_values("t_s")
    if len(rows):
        rows = rows.iloc[: int(rows["clients"].argmax()) + 1]
    column, words = memory_column(rows)
    points = rows[["clients", column]].rename(columns={column: "memory_bytes"}).dropna()
    return points.astype(float).reset_index(drop=True), words


def memory_line(run: RunFrames) -> lines.Line | None:
    """Return the line of memory (B) over clients; None without four different levels."""
    points, _ = memory_points(run)
    return lines.fit_line(points["clients"].to_numpy(), points["memory_bytes"].to_numpy())


def measure_per_client(run: RunFrames) -> Measurement:
    """Measure the slope of memory over clients, on the staircase or on the ramp."""
    line = memory_line(run)
    points, words = memory_points(run)
    if line is None:
        levels = points["clients"].nunique()
        why = run.absences.get("server") or (
            f"the ramp showed memory at {quantities.counted(levels, 'client count')}; "
            f"a slope needs {lines.FEWEST_LEVELS}"
        )
        return absent(why, len(points))
    return _sloped(line, words, is_staircase=bool(run.scenario.stages))


def _sloped(line: lines.Line, words: str, *, is_staircase: bool) -> Measurement:
    robust = f"; Theil–Sen gives {quantities.size(line.robust_slope)}" if is_staircase else ""
    return Measurement(
        value=line.slope, low=line.low, high=line.high, n=line.n, why=f"{words}{robust}"
    )


def measure_kernel_per_client(run: RunFrames) -> Measurement:
    """Measure the slope of the kernel's TCP memory over clients, both ends' sockets together."""
    rows = run["server"]
    if rows["kernel_bytes"].isna().all():
        return absent(run.absences.get("server") or "the kernel's TCP memory is not known here")
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
    """Measure what a kind of command adds to memory, divided by what it did.

    With several such commands their steps are added up and so is what they did. The interval
    is a bootstrap over the seconds of each level.
    """

    def measure(run: RunFrames) -> Measurement:
        given = orders_of(run, deed)
        if not given:
            return absent(run.absences.get("events") or f"no {deed} was carried out")
        column, words = memory_column(run["server"])
        generator = np.random.default_rng(run.scenario.seed)
        step, drawn, divisor, seconds = 0.0, np.zeros(intervals.RESAMPLES), 0, 0
        for order in given:
            old, new = before(run, order, column), after(run, order, column)
            if not len(old) or not len(new):
                continue
            step += float(np.median(new) - np.median(old))
            drawn += intervals.resample_medians(new, generator)
            drawn -= intervals.resample_medians(old, generator)
            divisor += done(run, order)
            seconds += len(old) + len(new)
        if not divisor:
            why = f"no level of memory is known before and after a {deed}, long enough to be one"
            return absent(run.absences.get("server") or why)
        found = _around(step / divisor, drawn / divisor, seconds)
        return estimated(found, f"{words}, over {divisor:,} of them")

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
