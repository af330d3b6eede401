"""Deliveries from the ledger, and the errors and missed starts of the timeline."""

from __future__ import annotations

from typing import Final

from reports.measures.measurement import Measure, Measurement, absent, exact
from reports.run_frames import RunFrames

_LEDGER: Final = (
    *("owed", "received", "lost", "duplicate", "reordered", "late", "leaked", "conflated"),
)
_TIMELINE: Final = ("errors", "missed")


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


def _sum_timeline(column: str) -> Measure:
    def measure(run: RunFrames) -> Measurement:
        timeline = run["timeline"]
        if timeline.empty:
            return absent(run.why_absent("timeline"))
        return exact(int(timeline[column].sum()), None)

    return measure


MEASURES: Final[dict[str, Measure]] = {
    **{f"delivery.{column}": _count_deliveries(column) for column in _LEDGER},
    **{column: _sum_timeline(column) for column in _TIMELINE},
}
