"""The rate limit: what the gateway let through and refused, held against the rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from loadtests.results import Event, LimitOutcome, Series
from reports.measures.latency import measure_members
from reports.measures.measurement import Measure, Measurement, MeasureQuantile, absent, exact
from reports.run_frames import RunFrames

_MS: Final = 1_000_000
_NO_ABUSER: Final = "the scenario has no abuser, so the limit was not tried"
_OUTCOMES: Final = {
    "rate_limit.accepted": (LimitOutcome.ACCEPTED, LimitOutcome.FALSE_ACCEPT),
    "rate_limit.refused": (LimitOutcome.REFUSED, LimitOutcome.FALSE_REFUSAL),
    "rate_limit.false_accepts": (LimitOutcome.FALSE_ACCEPT,),
    "rate_limit.false_refusals": (LimitOutcome.FALSE_REFUSAL,),
    "rate_limit.neighbours_refused": (LimitOutcome.NEIGHBOUR_REFUSED,),
}
_RETRIES: Final = {"rate_limit.dishonest_retries": "refused", "rate_limit.readmitted": "accepted"}
_PINGS: Final = ", pings"
"""In a decision's detail: it was about a ping, which has a limit and a window of its own."""
_ACCEPTED: Final = (str(LimitOutcome.ACCEPTED), str(LimitOutcome.FALSE_ACCEPT))


def _limit_rows(run: RunFrames) -> pd.DataFrame:
    rows = run["events"]
    return rows[rows["event"] == str(Event.LIMIT)]


def _count_decisions(metric: str) -> Measure:
    def measure(run: RunFrames) -> Measurement:
        if run.scenario.users.abuser is None:
            return absent(_NO_ABUSER)
        outcomes = _limit_rows(run)["outcome"]
        tried = int((outcomes != str(LimitOutcome.NEIGHBOUR_REFUSED)).sum())
        found = int(outcomes.isin([str(outcome) for outcome in _OUTCOMES[metric]]).sum())
        if not tried and not found:
            why = "the abuser sent nothing, so the limit was not tried"
            return absent(run.absences.get("events") or why)
        undecided = int((outcomes == str(LimitOutcome.UNDECIDABLE)).sum())
        if undecided and undecided == tried and not found:
            return absent(f"none of {tried:,} decisions could be judged", tried)
        why = f"{undecided:,} of {tried:,} decisions could not be judged" if undecided else ""
        return exact(found, tried, why)

    return measure


def window_ns(run: RunFrames) -> int | None:
    """Return the window of a connection's limit as the gateway announced it; None if it did not."""
    events = run.manifest.part("limits").get("events")
    found = events.get("connection") if isinstance(events, Mapping) else None
    window_ms = found.get("windowMs") if isinstance(found, Mapping) else None
    return int(window_ms) * _MS if window_ms else None


def surely_in_one_window(
    sent_ns: npt.NDArray[np.int64], done_ns: npt.NDArray[np.int64], window: int
) -> int:
    """Return how many of these events must have arrived within one window of a length (ns).

    An event arrived somewhere in [sent, done]. Those sent at or after a moment s and done
    before s + window lie in the window [s, s + window) wherever in their spans they arrived,
    so their number is certain. The largest such number over all s (an s that matters is the
    sending of an event) never exceeds what the gateway saw in its fullest window: it is a
    lower bound, and one over the limit is proof. It falls short by no more than the events
    under way at the window's two ends.
    """
    if not len(sent_ns):
        return 0
    order = np.argsort(sent_ns, kind="stable")
    sent, done = sent_ns[order], done_ns[order]
    finished = np.sort(done)
    most = 0
    for index, start in enumerate(sent):
        if index and start == sent[index - 1]:
            continue  # the same moment: the first of it counted them all
        inside = int(np.searchsorted(finished, start + window))
        earlier = int(np.count_nonzero(done[:index] < start + window))
        most = max(most, inside - earlier)
    return most


def find_largest_window(run: RunFrames) -> Measurement:
    """Find the most events surely accepted in any one window, over each abuser's connections."""
    if run.scenario.users.abuser is None:
        return absent(_NO_ABUSER)
    window = window_ns(run)
    if window is None:
        return absent("the gateway announced no limit for a connection, so no window is known")
    rows = _limit_rows(run)
    rows = rows[rows["outcome"].isin(_ACCEPTED) & rows["sent_ns"].notna()]
    rows = rows[~rows["detail"].str.contains(_PINGS, regex=False)]
    if rows.empty:
        return absent(run.absences.get("events") or "no event of an abuser was accepted")
    most = max(
        surely_in_one_window(
            mine["sent_ns"].to_numpy(dtype=np.int64), mine["t_ns"].to_numpy(dtype=np.int64), window
        )
        for _, mine in rows.groupby(_connection_of(rows))
    )
    return exact(most, len(rows))


def _connection_of(rows: pd.DataFrame) -> pd.Series:
    """Return which connection's window each row fills: ``detail`` names it, up to a colon.

    Pings have a window of their own there: ``connection 0, pings``.
    """
    return rows["user"] + " " + rows["detail"].str.partition(":")[0]


def _count_retries(metric: str) -> Measure:
    outcome = _RETRIES[metric]

    def measure(run: RunFrames) -> Measurement:
        if run.scenario.users.abuser is None:
            return absent(_NO_ABUSER)
        rows = run["events"]
        tried = rows.loc[rows["event"] == str(Event.RETRY), "outcome"]
        if tried.empty:
            why = "nobody asked again after a retryAfter"
            return absent(run.absences.get("events") or why)
        return exact(int((tried == outcome).sum()), len(tried))

    return measure


def _measure_retry_error(run: RunFrames, statistic: str) -> Measurement:
    nobody = "no refusal named a retryAfter that could be held against the rule"
    return measure_members(run, Series.RETRY_ERROR, statistic, nobody=nobody)


QUANTILES: Final[dict[str, MeasureQuantile]] = {"rate_limit.retry_error": _measure_retry_error}
MEASURES: Final[dict[str, Measure]] = {
    **{metric: _count_decisions(metric) for metric in _OUTCOMES},
    **{metric: _count_retries(metric) for metric in _RETRIES},
    "rate_limit.largest_window": find_largest_window,
}
