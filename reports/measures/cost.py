"""Cost: CPU time of the gateway per message sent."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from loadtests.results import Phase
from reports import intervals, quantities
from reports.measures.measurement import Measure, Measurement, absent, estimated
from reports.run_frames import RunFrames

_FEWEST_STEPS: Final = 3
Floats = npt.NDArray[np.float64]


def measure_per_message(run: RunFrames) -> Measurement:
    """Measure Δcpu ÷ Δmessages over the steady phase, in ns per message.

    Both counters are read at the same moments, so each step between two rows has both. The value
    is a ratio of sums, its interval a moving-block bootstrap over the steps. A step in which a
    counter fell (the gateway restarted) is left out.
    """
    found = _steps(run)
    if isinstance(found, Measurement):
        return found
    estimate = intervals.estimate_ratio(*found, seed=run.scenario.seed)
    if estimate is None:
        return absent("the gateway sent no message in the steady phase", len(found[0]))
    why = "" if estimate.low is not None else f"{estimate.n} seconds are too few for an interval"
    return estimated(estimate, why)


def cost_in_slices(run: RunFrames) -> float | None:
    """Return Δcpu ÷ Δmessages over the steady phase, in ns per message; None without both."""
    found = _steps(run)
    if isinstance(found, Measurement) or not found[1].sum():
        return None
    return float(found[0].sum() / found[1].sum())


def _steps(run: RunFrames) -> tuple[Floats, Floats] | Measurement:
    """Return CPU time (ns) and messages of each step; why there are none as a measurement."""
    rows = run["server"]
    rows = rows[rows["phase"] == str(Phase.STEADY)].sort_values("t_s")
    if rows.empty:
        return absent(run.absences.get("server") or "the gateway was not watched")
    for column, why in (
        ("cpu_ns", "the gateway's CPU time is unknown, because the run did not start it"),
        ("messages_out", "the gateway does not report its sent messages"),
    ):
        if rows[column].isna().all():
            return absent(why)
    told = rows.dropna(subset=["cpu_ns", "messages_out"])
    cpu_ns, sent = (
        np.diff(told[column].to_numpy(dtype=np.float64)) for column in ("cpu_ns", "messages_out")
    )
    kept = (cpu_ns >= 0) & (sent >= 0)
    cpu_ns, sent = cpu_ns[kept], sent[kept]
    if len(cpu_ns) < _FEWEST_STEPS:
        seconds = quantities.counted(len(cpu_ns), "second")
        return absent(f"{seconds} of CPU time and messages, of {_FEWEST_STEPS} needed")
    return cpu_ns, sent


MEASURES: Final[dict[str, Measure]] = {"cost.per_message": measure_per_message}
