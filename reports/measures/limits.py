"""The rate limit: accepted and refused events, compared with the rule."""

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
_NO_ABUSER: Final = "the scenario has no abuser users"
_OUTCOMES: Final = {
    "rate_limit.accepted": (LimitOutcome.ACCEPTED, LimitOutcome.FALSE_ACCEPT),
    "rate_limit.refused": (LimitOutcome.REFUSED, LimitOutcome.FALSE_REFUSAL),
    "rate_limit.false_accepts": (LimitOutcome.FALSE_ACCEPT,),
    "rate_limit.false_refusals": (LimitOutcome.FALSE_REFUSAL,),
    "rate_limit.neighbours_refused": (LimitOutcome.NEIGHBOUR_REFUSED,),
}
_RETRIES: Final = {"rate_limit.dishonest_retries": "refused", "rate_limit.readmitted": "accepted"}
_DETAIL: Final = r"^(connection \d+)(, pings)?(?:: .*)?$"
"""The ``detail`` of a ``limit`` row: connection, whether it is a ping, the limit that refused."""
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
            why = "the abuser sent nothing"
            return absent(run.absences.get("events") or why)
        undecided = int((outcomes == str(LimitOutcome.UNDECIDABLE)).sum())
        if undecided and undecided == tried and not found:
            return absent(f"none of {tried:,} decisions can be judged", tried)
        why = f"{undecided:,} of {tried:,} decisions cannot be judged" if undecided else ""
        return exact(found, tried, why)

    return measure


def window_ns(run: RunFrames) -> int | None:
    """Return the window (ns) of a connection's limit; None when the welcome announced none."""
    events = run.manifest.part("limits").get("events")
    found = events.get("connection") if isinstance(events, Mapping) else None
    window_ms = found.get("windowMs") if isinstance(found, Mapping) else None
    return int(window_ms) * _MS if window_ms else None


def surely_in_one_window(
    sent_ns: npt.NDArray[np.int64], done_ns: npt.NDArray[np.int64], window: int
) -> int:
    """Return how many events certainly arrived within one window.

    An event arrived somewhere in [sent, done]. Events sent at or after a moment s and done before
    s + window lie in [s, s + window), wherever in their spans they arrived. The largest such
    number over all s is a lower bound of the gateway's fullest window, so a number over the limit
    is proof. Only moments of sending matter for s.

    Args:
        sent_ns: when each event was sent.
        done_ns: when each was answered.
        window: length in ns.
    """
    if not len(sent_ns):
        return 0
    order = np.argsort(sent_ns, kind="stable")
    sent, done = sent_ns[order], done_ns[order]
    finished = np.sort(done)
    most = 0
    for index, start in enumerate(sent):
        if index and start == sent[index - 1]:
            continue  # the first event of this moment counted them all
        inside = int(np.searchsorted(finished, start + window))
        earlier = int(np.count_nonzero(done[:index] < start + window))
        most = max(most, inside - earlier)
    return most


def find_largest_window(run: RunFrames) -> Measurement:
    """Measure the most events certainly accepted in one window of any connection of an abuser."""
    if run.scenario.users.abuser is None:
        return absent(_NO_ABUSER)
    window = window_ns(run)
    if window is None:
        return absent("the gateway announced no limit for a connection")
    rows = _limit_rows(run)
    rows = rows[rows["outcome"].isin(_ACCEPTED) & rows["sent_ns"].notna()]
    windows = decided_windows(rows)
    rows, windows = rows[~windows["is_ping"]], windows[~windows["is_ping"]]
    if rows.empty:
        return absent(run.absences.get("events") or "the gateway accepted no event of an abuser")
    most = max(
        surely_in_one_window(
            mine["sent_ns"].to_numpy(dtype=np.int64), mine["t_ns"].to_numpy(dtype=np.int64), window
        )
        for _, mine in rows.groupby(windows["sender"])
    )
    return exact(most, len(rows))


def decided_windows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the window that each ``limit`` row is about, from its ``detail``.

    Returns:
        ``sender`` (``User 3, connection 0``) and ``is_ping``: pings have their own limit.
    """
    parts = rows["detail"].astype(str).str.extract(_DETAIL)
    user = "User " + rows["user"].astype(str)
    return pd.DataFrame(
        {"sender": user + (", " + parts[0]).fillna(""), "is_ping": parts[1].notna()}
    )


def _count_retries(metric: str) -> Measure:
    outcome = _RETRIES[metric]

    def measure(run: RunFrames) -> Measurement:
        if run.scenario.users.abuser is None:
            return absent(_NO_ABUSER)
        rows = run["events"]
        tried = rows.loc[rows["event"] == str(Event.RETRY), "outcome"]
        if tried.empty:
            why = "no abuser retried after a retryAfter"
            return absent(run.absences.get("events") or why)
        return exact(int((tried == outcome).sum()), len(tried))

    return measure


def _measure_retry_error(run: RunFrames, statistic: str) -> Measurement:
    nobody = "no refusal carried a retryAfter"
    return measure_members(run, Series.RETRY_ERROR, statistic, nobody=nobody)


QUANTILES: Final[dict[str, MeasureQuantile]] = {"rate_limit.retry_error": _measure_retry_error}
MEASURES: Final[dict[str, Measure]] = {
    **{metric: _count_decisions(metric) for metric in _OUTCOMES},
    **{metric: _count_retries(metric) for metric in _RETRIES},
    "rate_limit.largest_window": find_largest_window,
}
