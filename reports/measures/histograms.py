"""One-second histograms from a run's ``hist`` table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from loadtests.results import Phase, Series
from reports import intervals
from reports.remembering import once_a_run
from reports.run_frames import RunFrames

STEADY: Final = (Phase.STEADY,)
EVERY_PHASE: Final = tuple(Phase)
_MOST_CELLS: Final = 1_000_000  # 8 MB: a larger histogram is not cached


def histogram_of(
    run: RunFrames,
    series: Series,
    phases: Sequence[Phase],
    *,
    without: Collection[int] = (),
    family: str | None = None,
) -> intervals.StackedHistogram:
    """Return a series' one-second histograms over phases, summed over workers.

    A second without values is a row of zeros.

    Args:
        run: the run.
        series: what was measured.
        phases: the phases whose seconds are included.
        without: seconds of the run to leave out, such as dirty ones.
        family: one kind of stream; None for all together.
    """
    key = ("histogram", series, tuple(phases), frozenset(without), family)
    found: intervals.StackedHistogram | None = run.memory.get(key)
    if found is None:
        found = _stack(run, series, phases, without, family)
        if found.counts.size <= _MOST_CELLS:
            run.memory[key] = found
    return found


def _stack(
    run: RunFrames,
    series: Series,
    phases: Sequence[Phase],
    without: Collection[int],
    family: str | None,
) -> intervals.StackedHistogram:
    rows = run["hist"]
    # One-byte masks and narrow columns: a run of hours has millions of rows.
    wanted = rows["phase"].isin([str(phase) for phase in phases]).to_numpy()
    wanted = wanted & (rows["series"] == str(series)).to_numpy()
    if family is not None:
        wanted = wanted & (rows["family"] == family).to_numpy()
    if without:
        wanted = wanted & ~rows["t_s"].isin(list(without)).to_numpy()
    seconds = seconds_of(run, tuple(phases))
    seconds = seconds[~np.isin(seconds, list(without))]
    places = np.searchsorted(seconds, rows["t_s"].to_numpy()[wanted]).astype(np.int32)
    found = rows["bucket"].to_numpy()[wanted]
    buckets = np.flatnonzero(np.bincount(found)) if len(found) else np.zeros(0, dtype=np.int64)
    columns = np.searchsorted(buckets, found).astype(np.int32)
    counts = np.zeros((len(seconds), len(buckets)), dtype=np.int64)
    np.add.at(counts, (places, columns), rows["count"].to_numpy()[wanted])
    counts.flags.writeable = False  # it is shared
    return intervals.StackedHistogram(
        seconds=seconds, buckets=buckets.astype(np.int64), counts=counts
    )


@once_a_run
def seconds_of(run: RunFrames, phases: tuple[Phase, ...]) -> npt.NDArray[np.int64]:
    """Return the seconds of phases that any table of the run has, in order."""
    names = [str(phase) for phase in phases]
    seconds: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    for table in ("hist", "timeline"):
        known = run[table].loc[run[table]["phase"].isin(names), "t_s"]
        seconds = np.union1d(seconds, known.unique()).astype(np.int64)
    return seconds


def quantile_fraction(statistic: str) -> float:
    """Return 0.999 for ``p99.9``."""
    return float(statistic.removeprefix("p")) / 100
