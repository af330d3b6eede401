"""Deliveries from the ledger, and the errors and missed starts of the timeline."""

from __future__ import annotations

from typing import Final

from loadtests.results import Phase
from reports.measures.measurement import Measure, Measurement, absent, exact
from reports.measures.orders import orders_of
from reports.run_frames import RunFrames

_LEDGER: Final = (
    *("owed", "received", "lost", "duplicate", "reordered", "late", "leaked", "conflated"),
)
_TIMELINE: Final = ("errors", "missed")
_SLOW: Final = ("slow_reader", "never_reader", "dead_peer")
"""Groups whose users stop reading by design."""


def _count_deliveries(column: str) -> Measure:
    def measure(run: RunFrames) -> Measurement:
        ledger = run["ledger"]
        if ledger.empty:
            return absent(run.why_absent("ledger"))
        owed, value = int(ledger["owed"].sum()), int(ledger[column].sum())
        if not owed and not value:
            return absent("no delivery was owed")
        return exact(value, owed)

    return measure


def count_false_conflations(run: RunFrames) -> Measurement:
    """Count the conflated deliveries that neither a slow reader nor a rate explains.

    The gateway may conflate market data, for a client that does not read what it was sent, or
    that asked for so many a second.
    """
    ledger = run["ledger"]
    if ledger.empty:
        return absent(run.why_absent("ledger"))
    limited = run.scenario.users.max_rates()
    slow = {*_SLOW, *limited, *(order.who for order in orders_of(run, "pause"))}
    is_market = ledger["stream"].str.partition(":")[2] != ""
    rows = ledger[~(ledger["group"].isin(slow) & is_market)]
    owed, conflated = int(rows["owed"].sum()), int(rows["conflated"].sum())
    if not owed and not conflated:
        return absent("no delivery was owed to a user that read all the time, without a rate")
    return exact(conflated, owed)


def count_over_rate(run: RunFrames) -> Measurement:
    """Count the deliveries beyond what each group's ``max_rate`` allows over the whole run.

    In s seconds of publication, a stream has at most s · rate + 1 slots that end.
    """
    rates = run.scenario.users.max_rates()
    ledger, timeline = run["ledger"], run["timeline"]
    if not rates:
        return absent("the scenario has no users with a rate")
    if ledger.empty or timeline.empty:
        return absent(run.why_absent("ledger" if ledger.empty else "timeline"))
    is_market = ledger["stream"].str.partition(":")[2] != ""
    rows = ledger[ledger["group"].isin(rates) & is_market]
    received = int(rows["received"].sum())
    if not received:
        return absent("no user with a rate received a delivery")
    is_published = timeline["phase"] != str(Phase.RAMP)
    if run.scenario.has_market_source:
        is_published |= True  # it begins with the first subscription
    seconds = timeline.loc[is_published, "t_s"].nunique()
    allowed = rows["clients"] * (rows["group"].map(rates) * (seconds + 1) + 1)
    return exact(int((rows["received"] - allowed).clip(lower=0).sum()), received)


def _sum_timeline(column: str) -> Measure:
    def measure(run: RunFrames) -> Measurement:
        timeline = run["timeline"]
        if timeline.empty:
            return absent(run.why_absent("timeline"))
        return exact(int(timeline[column].sum()), None)

    return measure


MEASURES: Final[dict[str, Measure]] = {
    **{f"delivery.{column}": _count_deliveries(column) for column in _LEDGER},
    "delivery.false_conflations": count_false_conflations,
    "delivery.over_rate": count_over_rate,
    **{column: _sum_timeline(column) for column in _TIMELINE},
}
