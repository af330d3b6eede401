"""Drain: when clients are notified and disconnected, and when the gateway exits."""

from __future__ import annotations

from typing import Final

import pandas as pd

from loadtests.results import EndOutcome, Event, Series
from reports.measures.latency import measure_members
from reports.measures.measurement import Measure, Measurement, MeasureQuantile, absent, exact
from reports.measures.orders import around, gateway_orders
from reports.run_frames import RunFrames

_S: Final = 1_000_000_000
_NO_DRAIN: Final = "the gateway was not told to terminate or restart"
_BY_DESIGN: Final = frozenset({"dead_peer", "never_reader", "slow_reader", "bad_token", "abuser"})
"""Groups that may not read the announcement, or may be disconnected for another reason."""


def measure_exit(run: RunFrames) -> Measurement:
    """Measure the slowest exit, in ns, from the command to the end of the process.

    A missing exit time leaves the slowest unknown.
    """
    exits = run.manifest.part("gateway").get("exits") or ()
    given = max(len(gateway_orders(run)), len(exits))
    if not given:
        return absent(run.absences.get("events") or _NO_DRAIN)
    spans = [
        (float(each["exited_s"]) - float(each["asked_s"])) * _S
        for each in exits
        if each.get("exited_s") is not None and each.get("asked_s") is not None
    ]
    if len(spans) < given:
        unseen = given - len(spans)
        return absent(f"the exit time is missing for {unseen} of {given} exits", len(spans))
    codes = sorted({str(each.get("exit_code")) for each in exits if each.get("exit_code")})
    return exact(max(spans), len(spans), f"exit code {', '.join(codes)}" if codes else "")


def count_unannounced(run: RunFrames) -> Measurement:
    """Count connections that ended in a drain before their client read ``server:draining``.

    Only groups that read normally count.
    """
    given = gateway_orders(run)
    if not given:
        return absent(run.absences.get("events") or _NO_DRAIN)
    rows = run["events"]
    rows = rows[~rows["group"].isin(_BY_DESIGN)]
    ended, unannounced = 0, 0
    for order in given:
        mine = rows[around(rows, order)]
        gone = _first(mine[mine["outcome"] == str(EndOutcome.DRAINED)], Event.DISCONNECT)
        told = _first(mine, Event.DRAINING)
        ended += len(gone)
        unannounced += sum(told.get(user, at_ns + 1) > at_ns for user, at_ns in gone.items())
    if not ended:
        return absent("no connection ended in the drain")
    return exact(unannounced, ended)


def _first(rows: pd.DataFrame, event: Event) -> dict[str, int]:
    """Return the time (ns) of each user's first event of a kind."""
    found = rows[rows["event"] == str(event)].groupby("user")["t_ns"].min()
    return {str(user): int(at_ns) for user, at_ns in found.items()}


def _measure_members(series: Series, nobody: str) -> MeasureQuantile:
    def measure(run: RunFrames, statistic: str) -> Measurement:
        if not gateway_orders(run):
            return absent(run.absences.get("events") or _NO_DRAIN)
        return measure_members(run, series, statistic, nobody=nobody)

    return measure


QUANTILES: Final[dict[str, MeasureQuantile]] = {
    "drain.notice": _measure_members(Series.DRAIN_NOTICE, "no client read server:draining"),
    "drain.close": _measure_members(Series.DRAIN_CLOSE, "no connection ended in the drain"),
}
MEASURES: Final[dict[str, Measure]] = {
    "drain.exit": measure_exit,
    "drain.unannounced": count_unannounced,
}
