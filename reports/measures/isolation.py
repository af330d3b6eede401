"""Isolation: events that reached somebody they are none of the business of.

Every private event names its owner, so each one received is one check; ``n`` is their number.
A run in which no such event was received has proved nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loadtests.results import Event, LeakOutcome
from reports.measures.measurement import Measure, Measurement, absent, exact
from reports.run_frames import RunFrames


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A kind of leak: its outcome, the streams whose events were looked at for it, in words."""

    outcome: LeakOutcome
    streams: tuple[str, ...]
    words: str


_KINDS: Final = {
    "isolation.foreign": _Kind(
        outcome=LeakOutcome.FOREIGN, streams=("user",), words="no private event"
    ),
    "isolation.private_fields": _Kind(
        outcome=LeakOutcome.PRIVATE_FIELD, streams=("trading",), words="no public form"
    ),
    "isolation.unsubscribed": _Kind(outcome=LeakOutcome.UNSUBSCRIBED, streams=(), words="no event"),
}


def _count_leaks(metric: str) -> Measure:
    kind = _KINDS[metric]

    def measure(run: RunFrames) -> Measurement:
        if run["events"].empty:
            return absent(run.why_absent("events"))
        ledger, events = run["ledger"], run["events"]
        looked_at = ledger[ledger["stream"].isin(kind.streams)] if kind.streams else ledger
        checked = int(looked_at["received"].sum())
        found = (events["event"] == str(Event.LEAK)) & (events["outcome"] == str(kind.outcome))
        leaks = int(found.sum())
        if not checked and not leaks:
            why = f"{kind.words} was received by anybody, so nothing was checked"
            return absent(run.absences.get("ledger") or why)
        return exact(leaks, checked)

    return measure


MEASURES: Final[dict[str, Measure]] = {metric: _count_leaks(metric) for metric in _KINDS}
