"""Cost: CPU time and instructions of the gateway per message sent."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from loadtests.results import Phase
from reports import intervals, quantities
from reports.measures.measurement import Measure, Measurement, absent, estimated
from reports.run_frames import RunFrames

_FEWEST_STEPS: Final = 3
_COLUMNS: Final = {"cost.per_message": "cpu_ns", "cost.instructions": "instructions"}
_UNKNOWN: Final = {
    "cpu_ns": "the gateway's CPU time is unknown, because the run did not start it",
    "instructions": "the machine counts no instructions, or the run did not start the gateway",
    "messages_out": "the gateway does not report its sent messages",
}
Floats = npt.NDArray[np.float64]


def measure_per_message(run: RunFrames) -> Measurement:
    """Measure Δcpu ÷ Δmessages over the steady phase, in ns per message.

    Both counters are read at the same moments, so each step between two rows has both. The value
    is a ratio of sums, its interval a moving-block bootstrap over the steps. A step in which a
    counter fell (the gateway restarted) is left out.
    """
    return _measure(run, "cpu_ns")


def measure_instructions(run: RunFrames) -> Measurement:
    """Measure Δinstructions ÷ Δmessages over the steady phase, as ``measure_per_message``."""
    return _measure(run, "instructions")


def cost_in_slices(run: RunFrames, metric: str) -> float | None:
    """Return a cost over the steady phase as one ratio of sums; None when it is unknown.

    Args:
        run: that took turns with another.
        metric: ``cost.per_message`` (ns) or ``cost.instructions``.
    """
    found = _steps(run, _COLUMNS[metric])
    if isinstance(found, Measurement) or not found[1].sum():
        return None
    return float(found[0].sum() / found[1].sum())


def _measure(run: RunFrames, column: str) -> Measurement:
    found = _steps(run, column)
    if isinstance(found, Measurement):
        return found
    estimate = intervals.estimate_ratio(*found, seed=run.scenario.seed)
    if estimate is None:
        return absent("the gateway sent no message in the steady phase", len(found[0]))
    why = "" if estimate.low is not None else f"{estimate.n} seconds are too few for an interval"
    return estimated(estimate, why)


def _steps(run: RunFrames, column: str) -> tuple[Floats, Floats] | Measurement:
    """Return a counter and messages of each step; why there are none as a measurement."""
    rows = run["server"]
    rows = rows[rows["phase"] == str(Phase.STEADY)].sort_values("t_s")
    if rows.empty:
        return absent(run.absences.get("server") or "the gateway was not watched")
    for name in (column, "messages_out"):
        if rows[name].isna().all():
            return absent(_UNKNOWN[name])
    told = rows.dropna(subset=[column, "messages_out"])
    spent, sent = (
        np.diff(told[name].to_numpy(dtype=np.float64)) for name in (column, "messages_out")
    )
    kept = (spent >= 0) & (sent >= 0)
    spent, sent = spent[kept], sent[kept]
    if len(spent) < _FEWEST_STEPS:
        seconds = quantities.counted(len(spent), "second")
        return absent(f"{seconds} of both counters, of {_FEWEST_STEPS} needed")
    return spent, sent


MEASURES: Final[dict[str, Measure]] = {
    "cost.per_message": measure_per_message,
    "cost.instructions": measure_instructions,
}
