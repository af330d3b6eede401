from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.lines import fit_line


@settings(max_examples=30)
@given(slope=st.floats(10, 100_000), seed=st.integers(0, 1_000))
def test_a_line_through_exact_points_gives_their_slope(slope: float, seed: int) -> None:
    x = np.sort(np.random.default_rng(seed).choice(1_000, 8, replace=False)).astype(float)
    line = fit_line(x, 5e6 + slope * x)
    assert line is not None
    assert line.slope == pytest.approx(slope, rel=1e-6)
    assert line.robust_slope == pytest.approx(slope, rel=1e-6)


def test_one_wild_point_moves_least_squares_and_not_theil_sen() -> None:
    x = np.arange(12.0)
    y = 100 * x
    y[-1] += 5_000
    line = fit_line(x, y)
    assert line is not None
    assert line.robust_slope == pytest.approx(100)
    assert line.slope > 200
    assert line.low <= 100 <= line.high


def test_three_levels_make_no_line() -> None:
    assert fit_line([1.0, 2.0, 3.0, 3.0], [1.0, 2.0, 3.0, 4.0]) is None


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(5, 40),
    levels=st.integers(4, 12),
    coarse=st.booleans(),
)
def test_a_line_and_its_interval_are_those_of_scipy(
    seed: int, count: int, levels: int, coarse: bool
) -> None:
    noise = np.random.default_rng(seed)
    x = np.concatenate([np.arange(levels), noise.integers(0, levels, count)]).astype(float)
    y = 3 * x + noise.normal(0, 4, len(x))
    y = np.round(y) if coarse else y
    line = fit_line(x, y)
    least, robust = stats.linregress(x, y), stats.theilslopes(y, x, alpha=0.95)
    margin = stats.t.ppf(0.975, len(x) - 2) * least.stderr
    assert line is not None
    assert line.slope == pytest.approx(least.slope)
    assert line.intercept == pytest.approx(least.intercept, abs=1e-9)
    assert line.robust_slope == pytest.approx(robust.slope)
    assert line.low == pytest.approx(min(least.slope - margin, robust.low_slope))
    assert line.high == pytest.approx(max(least.slope + margin, robust.high_slope))
