"""Returns: what users that come back with ``lastUserSeq`` get of the private events they missed."""

from __future__ import annotations

from typing import Final

from loadtests.results import Event, ReturnOutcome
from reports.measures.measurement import Measure, Measurement, absent, exact
from reports.run_frames import RunFrames

_OUTCOMES: Final = {
    "return.replayed": ReturnOutcome.REPLAYED,
    "return.lost": ReturnOutcome.LOST,
    "return.doubled": ReturnOutcome.DOUBLED,
    "return.resync": ReturnOutcome.RESYNC,
}
_ENDS: Final = (str(ReturnOutcome.CURRENT), str(ReturnOutcome.RESYNC))
_MISSED: Final = (str(ReturnOutcome.REPLAYED), str(ReturnOutcome.LOST))


def _count_outcome(metric: str) -> Measure:
    """Return a function that counts an outcome of the returns, or of the missed events."""
    wanted = str(_OUTCOMES[metric])
    is_about_returns = wanted in _ENDS

    def measure(run: RunFrames) -> Measurement:
        rows = run["events"]
        outcomes = rows.loc[rows["event"] == str(Event.RETURN), "outcome"]
        if outcomes.empty:
            return absent(run.absences.get("events") or "no user returned with a number")
        counted = int((outcomes == wanted).sum())
        checked = int(outcomes.isin(_ENDS if is_about_returns else _MISSED).sum())
        if not counted and not checked:
            return absent("no user that returned had missed a private event")
        return exact(counted, max(counted, checked))

    return measure


MEASURES: Final[dict[str, Measure]] = {metric: _count_outcome(metric) for metric in _OUTCOMES}
