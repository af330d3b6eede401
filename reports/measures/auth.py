"""Authentication: the gateway's answer to each token, compared with the contract."""

from __future__ import annotations

from typing import Final

from loadtests.results import AuthOutcome, Event, Series
from reports.measures.histograms import EVERY_PHASE, histogram_of
from reports.measures.latency import measure_members
from reports.measures.measurement import Measure, Measurement, MeasureQuantile, absent, exact
from reports.run_frames import RunFrames

_OUTCOMES: Final = {
    "auth.false_accepts": AuthOutcome.FALSE_ACCEPT,
    "auth.false_refusals": AuthOutcome.FALSE_REFUSAL,
    "auth.wrong_codes": AuthOutcome.WRONG_CODE,
    "auth.early_events": AuthOutcome.EARLY_EVENT,
    "auth.overstayed": AuthOutcome.OVERSTAYED,
}
_EXPIRING: Final = (str(AuthOutcome.EXPIRED), str(AuthOutcome.OVERSTAYED))


def _count_outcome(metric: str) -> Measure:
    wanted = str(_OUTCOMES[metric])

    def measure(run: RunFrames) -> Measurement:
        users = run.scenario.users
        is_about_expiry = metric == "auth.overstayed"
        if is_about_expiry and users.expiring is None:
            return absent("the scenario has no expiring users, so no token expired")
        if users.bad_token is None and users.expiring is None:
            return absent("the scenario has no bad_token and no expiring users")
        rows = run["events"]
        outcomes = rows.loc[rows["event"] == str(Event.AUTH), "outcome"]
        if is_about_expiry:
            outcomes = outcomes[outcomes.isin(_EXPIRING)]
        if outcomes.empty:
            why = "no token expired" if is_about_expiry else "no authentication case was tried"
            return absent(run.absences.get("events") or why)
        return exact(int((outcomes == wanted).sum()), len(outcomes))

    return measure


def _measure_expiry(run: RunFrames, statistic: str) -> Measurement:
    """Measure the time from a token's expiry to the end of its connection.

    An expired token without such a time is a connection that never ended.
    """
    if run.scenario.users.expiring is None:
        return absent("the scenario has no expiring users, so no token expired")
    rows = run["events"]
    cases = (rows["event"] == str(Event.AUTH)) & rows["outcome"].isin(_EXPIRING)
    never = max(0, int(cases.sum()) - histogram_of(run, Series.EXPIRY, EVERY_PHASE).n)
    nobody = "no connection was closed for an expired token"
    return measure_members(run, Series.EXPIRY, statistic, never=never, nobody=nobody)


QUANTILES: Final[dict[str, MeasureQuantile]] = {"auth.expiry": _measure_expiry}
MEASURES: Final[dict[str, Measure]] = {metric: _count_outcome(metric) for metric in _OUTCOMES}
