"""Broken promises of the contract, which the virtual users' oracles recorded as they came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from loadtests.results import EndOutcome, Event, Series, WrongOutcome
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.measurement import Measure, Measurement, absent, exact
from reports.run_frames import RunFrames

_Checked = Callable[[RunFrames], int]


def _answers(run: RunFrames) -> int:
    came = run["events"]["event"].isin([str(Event.CONNECT), str(Event.RECONNECT)])
    return int(came.sum()) + histogram_of(run, Series.ACK, EVERY_PHASE).n


def _deliveries(run: RunFrames) -> int:
    return int(run["ledger"]["received"].sum())


def _heartbeats(run: RunFrames) -> int:
    return histogram_of(run, Series.HEARTBEAT_GAP, EVERY_PHASE).n


def _snapshots(run: RunFrames) -> int:
    return int((run["events"]["event"] == str(Event.SNAPSHOTS)).sum())


def _ends(run: RunFrames) -> int:
    rows = run["events"]
    ended = (rows["event"] == str(Event.DISCONNECT)) & (rows["outcome"] != str(EndOutcome.DROPPED))
    return int(ended.sum())


def _orders(run: RunFrames) -> int:
    return histogram_of(run, Series.ORDER_ACCEPT, EVERY_PHASE).n


_PROMISES: Final[Mapping[str, tuple[WrongOutcome, _Checked, str]]] = {
    "answers.mismatched": (WrongOutcome.ANSWER, _answers, "no client received an answer"),
    "delivery.altered": (WrongOutcome.ALTERED, _deliveries, "no delivery was received"),
    "orders.illegal": (WrongOutcome.ORDER, _orders, "no order was accepted"),
    "orders.money": (WrongOutcome.MONEY, _orders, "no order was accepted"),
    "orders.forms": (WrongOutcome.FORM, _orders, "no order was accepted"),
    "snapshot.wrong": (WrongOutcome.SNAPSHOT, _snapshots, "no subscription was owed a snapshot"),
    "heartbeat.extra": (WrongOutcome.HEARTBEAT, _heartbeats, "no client heard two heartbeats"),
    "disconnect.left_open": (WrongOutcome.LEFT_OPEN, _ends, "the gateway ended no connection"),
    "disconnect.stranded": (WrongOutcome.STRANDED, _ends, "the gateway ended no connection"),
}
"""By metric: the outcome of its rows, the number of cases checked, the reason for having none."""


def _count(metric: str) -> Measure:
    outcome, count_checked, nothing = _PROMISES[metric]

    def measure(run: RunFrames) -> Measurement:
        rows = run["events"]
        if rows.empty:
            return absent(run.why_absent("events"))
        is_broken = (rows["event"] == str(Event.WRONG)) & (rows["outcome"] == str(outcome))
        broken, checked = int(is_broken.sum()), count_checked(run)
        if not broken and not checked:
            return absent(nothing)
        return exact(broken, max(broken, checked))

    return measure


MEASURES: Final[dict[str, Measure]] = {metric: _count(metric) for metric in _PROMISES}
