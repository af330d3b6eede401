"""Fairness: whether some clients receive their pushes later than others.

Each client counts once, with its mean push time in the steady phase. Intervals are a bootstrap
over clients (Efron 1979).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from reports import intervals
from reports.measures.measurement import Measure, Measurement, absent, estimated
from reports.run_frames import RunFrames

_RESAMPLES_AT_ONCE: Final = 50
_FEWEST_ORDERED: Final = 10


def client_means(run: RunFrames) -> pd.DataFrame:
    """Return ``place``, ``group`` and ``mean_ns`` of each client that had a push timed."""
    rows = run["clients"]
    rows = rows[rows["pushes"] > 0]
    means = rows["push_sum_ns"].astype(float) / rows["pushes"].astype(float)
    found = rows[["place", "group"]].assign(mean_ns=means)
    return found.sort_values("place").reset_index(drop=True)


def measure_spread(run: RunFrames) -> Measurement:
    """Measure the mean push of the 99th-percentile client over that of the median client."""
    means = client_means(run)["mean_ns"].to_numpy(dtype=float)
    if not len(means):
        return absent(_why_no_client(run))
    middle = float(np.median(means))
    if middle <= 0:
        return absent("the median client's mean push is zero", len(means))
    value = float(np.quantile(means, 0.99) / middle)
    generator = np.random.default_rng(run.scenario.seed)
    drawn: list[np.ndarray] = []
    for _ in range(intervals.RESAMPLES // _RESAMPLES_AT_ONCE):
        places = generator.integers(0, len(means), size=(_RESAMPLES_AT_ONCE, len(means)))
        high, half = np.quantile(means[places], [0.99, 0.5], axis=1)
        drawn.append(high / half)
    return _with_interval(value, np.concatenate(drawn), len(means), intervals.samples_needed(0.99))


def measure_join_order(run: RunFrames) -> Measurement:
    """Measure Spearman's rank correlation of arrival order and mean push.

    Near 1, the client that arrived last is served last. Pairs of ranks are resampled.
    """
    found = client_means(run)
    if len(found) < 2 or found["place"].nunique() < 2 or found["mean_ns"].nunique() < 2:
        why = _why_no_client(run) if found.empty else "all clients are equal, so there is no order"
        return absent(why, len(found))
    place, mean = (found[name].rank().to_numpy(dtype=float) for name in ("place", "mean_ns"))
    value = float(np.corrcoef(place, mean)[0, 1])
    generator = np.random.default_rng(run.scenario.seed)
    drawn: list[np.ndarray] = []
    for _ in range(intervals.RESAMPLES // _RESAMPLES_AT_ONCE):
        places = generator.integers(0, len(found), size=(_RESAMPLES_AT_ONCE, len(found)))
        drawn.append(_correlations(place[places], mean[places]))
    known = np.concatenate(drawn)
    return _with_interval(value, known[np.isfinite(known)], len(found), _FEWEST_ORDERED)


def _correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each row; NaN where a row does not vary."""
    x = x - x.mean(axis=1, keepdims=True)
    y = y - y.mean(axis=1, keepdims=True)
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    varies = scale > 0
    found = np.full(len(x), np.nan)
    found[varies] = (x * y).sum(axis=1)[varies] / scale[varies]
    return found


def _with_interval(value: float, drawn: np.ndarray, n: int, needed: int) -> Measurement:
    low, high = intervals.percentiles(drawn)
    found = intervals.Estimate(value=value, low=min(low, value), high=max(high, value), n=n)
    return estimated(found, needed=needed)


def _why_no_client(run: RunFrames) -> str:
    return run.absences.get("clients") or "no client had a push timed in the steady phase"


MEASURES: Final[dict[str, Measure]] = {
    "fairness.spread": measure_spread,
    "fairness.join_order": measure_join_order,
}
