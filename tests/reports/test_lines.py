from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.lines import STRETCHES, fit_line, fit_walk


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
    from scipy import stats

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


SHARE_HELD = 0.85


def test_a_course_of_rare_steps_is_held_by_its_interval_and_not_by_that_of_independent_points() -> (
    None
):
    walks, lines, courses, per_x = 0, 0, 200, 40.0
    for seed in range(courses):
        draw = np.random.default_rng(seed)
        x = np.arange(600.0)
        steps = draw.poisson(12 / len(x), len(x))  # twelve pieces of 2 KB in the whole course
        y = 48e6 + np.cumsum(steps) * per_x * len(x) / 12
        walk, line = fit_walk(x, y, seed=seed), fit_line(x, y)
        assert walk is not None
        assert line is not None
        assert walk.slope == line.slope
        walks += walk.low <= per_x <= walk.high
        lines += line.low <= per_x <= line.high
    assert walks >= SHARE_HELD * courses
    assert lines < courses / 2


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), count=st.integers(4, 200))
def test_a_course_is_never_surer_than_independent_points(seed: int, count: int) -> None:
    x = np.arange(float(count))
    y = 3 * x + np.random.default_rng(seed).normal(0, 4, count)
    walk, line = fit_walk(x, y, seed=seed), fit_line(x, y)
    assert walk is not None
    assert line is not None
    assert walk.low <= line.low
    assert walk.high >= line.high
    assert fit_walk(x, y, seed=seed) == walk


@pytest.mark.parametrize("count", [STRETCHES // 2, STRETCHES * 30])
def test_a_course_that_rises_evenly_leaves_no_doubt(count: int) -> None:
    x = np.arange(float(count))
    walk = fit_walk(x, 5e6 + 400 * x, seed=1)
    assert walk is not None
    assert walk.low == pytest.approx(400)
    assert walk.high == pytest.approx(400)


def test_three_levels_make_no_course() -> None:
    assert fit_walk([1.0, 2.0, 3.0, 3.0], [1.0, 2.0, 3.0, 4.0], seed=1) is None


def test_a_course_whose_x_seldom_moves_still_has_an_interval() -> None:
    x = np.repeat(np.arange(4.0), 9)  # of the draws of its steps some stand still
    walk = fit_walk(x, 400 * x, seed=1)
    assert walk is not None
    assert walk.low == pytest.approx(400)
    assert walk.high == pytest.approx(400)


def test_a_course_whose_x_moves_in_one_stretch_alone_is_none() -> None:
    x = np.concatenate([np.arange(8.0), np.full(392, 8.0)])
    y = np.random.default_rng(1).normal(0, 4, len(x))
    assert fit_line(x, y) is not None
    assert fit_walk(x, y, seed=1) is None


def test_what_does_not_move_at_all_has_a_slope_of_nothing() -> None:
    x = np.concatenate([np.arange(599.0), [598.0]])
    line = fit_line(x, np.full(len(x), 48e6))
    assert line is not None
    assert (line.low, line.slope, line.high) == (0.0, 0.0, 0.0)
