"""Models: answers that are not what was asked for."""

from __future__ import annotations

from typing import Final

from loadtests.results import Event, ModelOutcome
from reports.measures.measurement import Measure, Measurement, absent, exact
from reports.run_frames import RunFrames

_WRONG: Final = (str(ModelOutcome.BROKEN), str(ModelOutcome.UNENDED))


def count_broken(run: RunFrames) -> Measurement:
    """Count the answers that were not whole, in order and alone, among all that ended."""
    if run.scenario.users.model_user is None:
        return absent("the scenario has no model_user users")
    rows = run["events"]
    outcomes = rows.loc[rows["event"] == str(Event.MODEL_STREAM), "outcome"]
    if outcomes.empty:
        return absent(run.absences.get("events") or "no answer of a model ended")
    return exact(int(outcomes.isin(_WRONG).sum()), len(outcomes))


MEASURES: Final[dict[str, Measure]] = {"llm.integrity": count_broken}
