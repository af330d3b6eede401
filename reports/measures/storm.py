"""Reconnect storms: when the dropped clients are back, and when their prices are fresh.

A member is a well-behaved user whose connection ended by a ``drop`` of its group with a later
``return``, or by a restart of the gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from loadtests.results import AttemptOutcome, EndOutcome, Event, Series
from reports.measures.heartbeat import WELL_BEHAVED
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.latency import measure_members
from reports.measures.measurement import Measure, Measurement, MeasureQuantile, absent, exact
from reports.measures.orders import Order, around, gateway_orders, orders_of
from reports.run_frames import RunFrames

_S: Final = 1_000_000_000
_NO_STORM: Final = "no group dropped and returned, and the gateway did not restart"


@dataclass(frozen=True, kw_only=True)
class _Members:
    """The users of all storms, and those that returned after their last disconnection."""

    dropped: frozenset[str]
    back: frozenset[str]


def storms(run: RunFrames) -> tuple[Order, ...]:
    """Return the commands that caused a storm: drops with a later return, and restarts."""
    returns = orders_of(run, "return")
    drops = [
        order
        for order in orders_of(run, "drop")
        if any(back.who == order.who and back.start_s >= order.start_s for back in returns)
    ]
    restarts = [order for order in gateway_orders(run) if order.do == "restart"]
    return tuple(sorted([*drops, *restarts], key=lambda order: order.start_s))


def _members(run: RunFrames) -> _Members:
    events = run["events"]
    events = events[events["group"].isin(WELL_BEHAVED)]
    came = events["event"].isin([str(Event.CONNECT), str(Event.RECONNECT)])
    ends = events["event"] == str(Event.DISCONNECT)
    dropped: set[str] = set()
    back: set[str] = set()
    for order in storms(run):
        why = EndOutcome.DROPPED if order.who else EndOutcome.DRAINED
        gone = ends & (events["outcome"] == str(why)) & around(events, order)
        if order.who:
            gone &= events["group"] == order.who
        left = events.loc[gone].groupby("user")["t_ns"].max()
        last = events.loc[came].groupby("user")["t_ns"].max().reindex(left.index)
        returned = (last > left).fillna(value=False)
        dropped |= {str(user) for user in left.index}
        back -= {str(user) for user in left.index[~returned]}
        back |= {str(user) for user in left.index[returned]}
    return _Members(dropped=frozenset(dropped), back=frozenset(back))


def _never(run: RunFrames) -> int:
    found = _members(run)
    return len(found.dropped - found.back)


def count_not_back(run: RunFrames) -> Measurement:
    """Count storm members without a new welcome before the run ended."""
    if not storms(run):
        return absent(run.absences.get("events") or _NO_STORM)
    found = _members(run)
    if not found.dropped:
        return absent("no connection ended in the storm")
    return exact(len(found.dropped - found.back), len(found.dropped))


def _attempts(run: RunFrames) -> pd.Series:
    """Return the outcome of each attempt, up to a command that terminates the gateway."""
    rows = run["events"]
    ends = orders_of(run, "terminate")
    until_ns = ends[0].start_s * _S if ends else np.inf
    tried = (rows["event"] == str(Event.ATTEMPT)) & (rows["t_ns"] < until_ns)
    return rows.loc[tried, "outcome"]


def _count_attempts(*wanted: AttemptOutcome) -> Measure:
    """Return a function that counts the connection attempts of storm members.

    An attempt that found no listening gateway is not ``REFUSED``.

    Args:
        wanted: the outcomes to count; none for all.
    """

    def measure(run: RunFrames) -> Measurement:
        outcomes = _attempts(run)
        if not storms(run) or outcomes.empty:
            why = "no storm member tried to connect" if storms(run) else _NO_STORM
            return absent(run.absences.get("events") or why)
        found = outcomes.isin([str(each) for each in wanted]).sum() if wanted else len(outcomes)
        return exact(int(found), len(outcomes))

    return measure


def _measure_back(run: RunFrames, statistic: str) -> Measurement:
    if not storms(run):
        return absent(run.absences.get("events") or _NO_STORM)
    nobody = "no storm member came back"
    return measure_members(run, Series.STORM_BACK, statistic, never=_never(run), nobody=nobody)


def _measure_fresh(run: RunFrames, statistic: str) -> Measurement:
    if not storms(run):
        return absent(run.absences.get("events") or _NO_STORM)
    back = histogram_of(run, Series.STORM_BACK, EVERY_PHASE).n
    fresh = histogram_of(run, Series.STORM_FRESH, EVERY_PHASE).n
    nobody = "no storm member received a market event after its return"
    never = max(0, back + _never(run) - fresh)
    return measure_members(run, Series.STORM_FRESH, statistic, never=never, nobody=nobody)


QUANTILES: Final[dict[str, MeasureQuantile]] = {
    "storm.back": _measure_back,
    "storm.fresh": _measure_fresh,
}
MEASURES: Final[dict[str, Measure]] = {
    "storm.not_back": count_not_back,
    "storm.attempts": _count_attempts(),
    "storm.refused": _count_attempts(AttemptOutcome.REFUSED),
}
