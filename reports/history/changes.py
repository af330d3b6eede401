"""Change points of a series of runs, with few false alarms and no knob.

1. Figures are compared by their logarithms, so that a change is a ratio.
2. Noise is the median difference of neighbours, which a step does not enlarge, and at least 1 %.
   Values are cut at ``CUT`` of it from the median: one wild run is no change.
3. ``ruptures`` finds the segmentation with the least squared error plus ``PENALTY`` for each
   change (PELT: Killick, Fearnhead and Eckley 2012), with ``SHORTEST`` runs or more in each
   segment. Each segment is searched again on its own scale.
4. Each change is moved to where values, uncut, differ least from the medians of the two sides:
   cut values tell a step from a wild run before it badly.
5. A change counts when the medians of its two sides differ by ``LEAST`` or more.

``PENALTY`` comes from simulated noise: normal, Student's t with three degrees of freedom, and
normal with spikes. ``tests/reports/history/test_changes.py`` states and checks the rates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import ruptures

from reports.shifts import shift_of_samples

SHORTEST: Final = 3
"""The fewest runs on each side of a change."""
FEWEST: Final = 10
"""The fewest runs that are searched for changes."""
CUT: Final = 3.0
PENALTY: Final = 18.0
LEAST: Final = 0.05
_LEAST_NOISE: Final = 0.01
_NORMAL: Final = 0.6745 * math.sqrt(2)
"""The median absolute difference of two normal values over their standard deviation."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A change of a series.

    Attributes:
        place: index of the first value after it.
        before: median of the segment before it.
        after: median of the segment after it.
        low: lower end of the 95 % interval of after ÷ before; None with too few runs.
        high: upper end.
    """

    place: int
    before: float
    after: float
    low: float | None
    high: float | None

    @property
    def ratio(self) -> float:
        """After over before."""
        return self.after / self.before


def find_steps(values: Sequence[float] | Floats) -> list[Step]:
    """Return the changes of a series of positive values, first one first.

    Fewer than ``FEWEST`` values have none.

    Raises:
        ValueError: a value is not positive.
    """
    logs = np.asarray(values, dtype=float)
    if np.any(logs <= 0):
        raise ValueError("only positive values have a ratio")
    logs = np.log(logs)
    if len(logs) < FEWEST:
        return []
    places = _settled(logs, _places(logs))
    while places:
        ends = [0, *places, len(logs)]
        steps = [
            _step(logs[first:middle], logs[middle:last], middle)
            for first, middle, last in zip(ends, ends[1:], ends[2:], strict=False)
        ]
        least = min(steps, key=lambda step: abs(math.log(step.ratio)))
        if abs(math.log(least.ratio)) >= math.log1p(LEAST):
            return steps
        places.remove(least.place)
    return []


def _places(logs: Floats) -> list[int]:
    found = _search(logs)
    if not found:
        return []
    ends = [0, *found, len(logs)]
    inner = [
        first + place
        for first, last in pairwise(ends)
        if last - first >= FEWEST
        for place in _places(logs[first:last])
    ]
    return sorted([*found, *inner])


def _search(logs: Floats) -> list[int]:
    noise = max(float(np.median(np.abs(np.diff(logs)))) / _NORMAL, _LEAST_NOISE)
    scaled = np.clip((logs - np.median(logs)) / noise, -CUT, CUT)
    search = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(scaled.reshape(-1, 1))
    return [int(place) for place in search.predict(pen=PENALTY)[:-1]]


def _settled(logs: Floats, places: Sequence[int]) -> list[int]:
    """Return each change at the place with the least absolute differences from both medians."""
    ends = [0, *places, len(logs)]
    for number in range(1, len(ends) - 1):
        first, middle, last = ends[number - 1 : number + 2]
        from_before = np.abs(logs[first:last] - np.median(logs[first:middle]))
        from_after = np.abs(logs[first:last] - np.median(logs[middle:last]))
        costs = np.cumsum(from_before - from_after)[SHORTEST - 1 : last - first - SHORTEST]
        ends[number] = first + SHORTEST + int(np.argmin(costs))
    return ends[1:-1]


def _step(before: Floats, after: Floats, place: int) -> Step:
    shift = shift_of_samples(before, after)
    return Step(
        place=place,
        before=math.exp(float(np.median(before))),
        after=math.exp(float(np.median(after))),
        low=None if shift.low is None else math.exp(shift.low),
        high=None if shift.high is None else math.exp(shift.high),
    )
