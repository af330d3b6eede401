"""Isolation: events that reached a user who must not see them.

Every private event names its owner, so each one received is one check, and ``n`` counts them. A
run without such an event proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loadtests.results import Event, LeakOutcome
from reports.measures.measurement import Measure, Measurement, absent, exact
from reports.run_frames import RunFrames


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A kind of leak.

    Attributes:
        outcome: its outcome.
        streams: the streams that are checked, all when empty.
        group: the group that is checked, every one when empty.
        noun: what is checked, for messages.
    """

    outcome: LeakOutcome
    streams: tuple[str, ...]
    noun: str
    group: str = ""


_KINDS: Final = {
    "isolation.foreign": _Kind(
        outcome=LeakOutcome.FOREIGN, streams=("user",), noun="private event"
    ),
    "isolation.private_fields": _Kind(
        outcome=LeakOutcome.PRIVATE_FIELD, streams=("trading",), noun="public trading event"
    ),
    "isolation.unsubscribed": _Kind(outcome=LeakOutcome.UNSUBSCRIBED, streams=(), noun="event"),
    "isolation.unentitled": _Kind(
        outcome=LeakOutcome.UNENTITLED, streams=(), noun="event of a named symbol", group="entitled"
    ),
}


def _count_leaks(metric: str) -> Measure:
    kind = _KINDS[metric]

    def measure(run: RunFrames) -> Measurement:
        if run["events"].empty:
            return absent(run.why_absent("events"))
        ledger, events = run["ledger"], run["events"]
        looked_at = ledger[ledger["stream"].isin(kind.streams)] if kind.streams else ledger
        if kind.group:
            looked_at = looked_at[looked_at["group"] == kind.group]
        checked = int(looked_at["received"].sum())
        found = (events["event"] == str(Event.LEAK)) & (events["outcome"] == str(kind.outcome))
        leaks = int(found.sum())
        if not checked and not leaks:
            why = f"no client received a {kind.noun}, so nothing was checked"
            return absent(run.absences.get("ledger") or why)
        return exact(leaks, checked)

    return measure


MEASURES: Final[dict[str, Measure]] = {metric: _count_leaks(metric) for metric in _KINDS}
