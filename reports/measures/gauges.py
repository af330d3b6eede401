"""How old the gateway's figures about itself are."""

from __future__ import annotations

import math
from typing import Final

import pandas as pd

from loadtests.results import Phase
from reports.measures.measurement import Measure, Measurement, absent, exact
from reports.run_frames import RunFrames

_S: Final = 1_000_000_000
_LEAD_S: Final = 5
"""The gateway counts a client before the client reads its welcome, by this at most."""
_TOLERANCE: Final = 0.02
"""Share of the largest count by which two right counts of one second may differ."""
_LEAST_TOLERANCE: Final = 2.0
_LEAST_CHANGE: Final = 10
"""A count that changed by fewer tolerances than this does not tell its age."""


def measure_gauge_age(run: RunFrames) -> Measurement:
    """Measure how old the gateway's count of clients is, ns: the largest age of any second.

    The age of a count is the least a so that the virtual users' own count had that value
    between a seconds before it and now. A constant difference is other clients'.
    """
    told = run["server"].dropna(subset=["clients"]).sort_values("t_s")
    held = run["timeline"].groupby("t_s")["clients"].sum()
    if told.empty or held.empty:
        table = "server" if told.empty else "timeline"
        return absent(run.absences.get(table) or "the gateway does not report its clients")
    tolerance = max(_LEAST_TOLERANCE, _TOLERANCE * float(held.max()))
    if held.max() - held.min() < _LEAST_CHANGE * tolerance:
        return absent("the number of clients changed too little to tell the age of its count")
    steady = told[told["phase"] == str(Phase.STEADY)].set_index("t_s")["clients"].astype(float)
    others = (steady - held.reindex(steady.index)).median()
    counts = told[told["phase"] != str(Phase.DRAIN)].set_index("t_s")["clients"].astype(float)
    shifted = counts - (0.0 if math.isnan(others) else others)
    ages = [
        _age_s(int(second), float(value), held, tolerance)
        for second, value in zip(shifted.index, shifted, strict=True)
    ]
    return exact(max(ages, default=0) * _S, len(ages))


def _age_s(second: int, value: float, held: pd.Series[int], tolerance: float) -> int:
    """Return the age of a count, s; that of the whole run so far when it never had the value."""
    longest = max(0, second - int(held.index[0]))
    for age in range(longest + 1):
        # A row of the timeline is the count at the end of its second.
        seen = held.loc[second - 1 - age : second + _LEAD_S]
        if seen.empty or seen.min() - tolerance <= value <= seen.max() + tolerance:
            return age
    return longest


MEASURES: Final[dict[str, Measure]] = {"gauges.age": measure_gauge_age}
