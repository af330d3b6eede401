from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from loadtests.results import MAX_VALUE_NS, bucket_of
from reports.intervals import (
    Histogram,
    block_length,
    estimate_by_order,
    estimate_maximum,
    estimate_quantile,
    estimate_ratio,
    fit_line,
    percentiles,
    quantile_of,
    resample_medians,
    samples_needed,
)


def stack(seconds: list[list[int]]) -> Histogram:
    buckets = sorted({bucket_of(value) for values in seconds for value in values})
    counts = np.zeros((len(seconds), len(buckets)), dtype=np.int64)
    for row, values in enumerate(seconds):
        for value in values:
            counts[row, buckets.index(bucket_of(value))] += 1
    return Histogram(seconds=np.arange(len(seconds)), buckets=np.array(buckets), counts=counts)


@given(
    values=st.lists(st.integers(0, MAX_VALUE_NS), min_size=1, max_size=200),
    quantile=st.sampled_from([0.5, 0.9, 0.99, 0.999]),
)
def test_a_quantile_is_never_below_the_exact_one_and_within_a_part_in_1024(
    values: list[int], quantile: float
) -> None:
    exact = sorted(values)[max(math.ceil(len(values) * quantile - 1e-9), 1) - 1]
    found = quantile_of(stack([values]), quantile)
    assert exact <= found <= exact * (1 + 1 / 1024)


@pytest.mark.parametrize(
    ("quantile", "needed"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995)]
)
def test_a_bound_on_a_quantile_needs_enough_values(quantile: float, needed: int) -> None:
    assert samples_needed(quantile) == needed
    assert quantile**needed <= 0.05 < quantile ** (needed - 1)


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.1, 99.0])
def test_a_quantile_outside_0_to_1_is_refused(quantile: float) -> None:
    with pytest.raises(ValueError, match="not between 0 and 1"):
        samples_needed(quantile)


def test_an_empty_histogram_has_neither_quantile_nor_maximum() -> None:
    empty = stack([[], []])
    with pytest.raises(ValueError, match="empty"):
        quantile_of(empty, 0.99)
    with pytest.raises(ValueError, match="empty"):
        estimate_maximum(empty)


def test_the_interval_of_independent_values_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    truth = math.exp(math.log(2e6) + 0.5 * 1.2815515655)  # p90 of a lognormal
    covered = 0
    for attempt in range(100):
        draws = generator.lognormal(math.log(2e6), 0.5, (60, 40)).astype(int).tolist()
        found = estimate_quantile(stack(draws), 0.9, seed=attempt)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high
        covered += found.low <= truth <= found.high
    assert covered >= 85


def test_seconds_that_depend_on_each_other_widen_the_interval() -> None:
    generator = np.random.default_rng(2)
    levels_ns = np.repeat(generator.lognormal(math.log(2e6), 0.6, 12), 5)  # 5 s stretches
    stretches = [[int(level)] * 30 for level in levels_ns]
    shuffled = [stretches[index] for index in generator.permutation(60)]
    assert block_length(stack(stretches)) == 4

    def width(seconds: list[list[int]]) -> float:
        found = estimate_quantile(stack(seconds), 0.5, seed=1)
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(stretches) > 1.2 * width(shuffled)


def test_the_same_seed_gives_the_same_interval() -> None:
    draws = np.random.default_rng(3).lognormal(14, 0.8, (30, 20)).astype(int).tolist()
    assert estimate_quantile(stack(draws), 0.99, seed=5) == estimate_quantile(
        stack(draws), 0.99, seed=5
    )


def test_values_each_5_s_are_drawn_in_blocks_that_hold_one() -> None:
    seconds = [[5_000_000] * 10 if second % 5 == 0 else [] for second in range(30)]
    assert block_length(stack(seconds)) == 5


def test_a_run_of_less_than_three_blocks_has_no_interval() -> None:
    found = estimate_quantile(stack([[1, 2, 3]]), 0.5, seed=1)
    assert (found.value, found.low, found.high) == (2.0, None, None)


def test_the_maximum_is_known_to_its_bucket() -> None:
    found = estimate_maximum(stack([[10_000_000, 3], [12_345_678]]))
    assert found.low is not None
    assert found.low <= 12_345_678 <= found.value
    assert found.high == found.value
    assert found.n == 3


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


def members_of(values: list[int]) -> Histogram:
    return stack([values])


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95])
def test_order_statistics_cover_the_truth_of_any_distribution(quantile: float) -> None:
    generator = np.random.default_rng(4)
    truth = np.exp(14 + 1.5 * stats.norm.ppf(quantile))
    covered = 0
    for _ in range(300):
        found = estimate_by_order(
            members_of(generator.lognormal(14, 1.5, 120).astype(int).tolist()), quantile
        )
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert covered >= 300 * 0.93


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=80), st.integers(0, 20))
def test_members_that_never_came_rank_above_all_others(values: list[int], never: int) -> None:
    found = estimate_by_order(members_of(values), 0.5, never=never)
    rank = math.ceil((len(values) + never) * 0.5)
    if rank > len(values):
        assert found is None
        return
    assert found is not None
    exact = sorted(values)[rank - 1]
    assert exact <= found.value <= exact * (1 + 1 / 1024)
    assert found.low is not None
    assert found.low <= found.value
    assert found.high is None or found.value <= found.high


def test_an_upper_bound_beyond_what_came_is_no_bound() -> None:
    found = estimate_by_order(members_of(list(range(1, 101))), 0.9, never=8)
    assert found is not None
    assert found.high is None


def test_299_members_bound_their_p99_by_the_largest_and_298_do_not() -> None:
    enough = estimate_by_order(members_of(list(range(1, 300))), 0.99)
    too_few = estimate_by_order(members_of(list(range(1, 299))), 0.99)
    assert enough is not None
    assert too_few is not None
    assert (enough.high, too_few.high) == (299, None)


def test_a_ratio_of_sums_has_the_interval_of_its_blocks() -> None:
    generator = np.random.default_rng(5)
    below = generator.uniform(50, 150, 120)
    above = 3 * below + generator.normal(0, 20, 120)
    found = estimate_ratio(above, below, seed=1)
    assert found is not None
    assert found.value == pytest.approx(above.sum() / below.sum())
    assert found.low is not None
    assert found.high is not None
    assert found.low < 3 < found.high
    assert found.high - found.low < 0.2
    assert estimate_ratio(above, np.zeros(120), seed=1) is None


def test_a_ratio_of_too_few_seconds_has_no_interval() -> None:
    found = estimate_ratio(np.array([2.0, 2.0]), np.array([1.0, 1.0]), seed=1)
    assert found is not None
    assert (found.value, found.low, found.high) == (2, None, None)


def test_the_median_of_a_level_that_does_not_tremble_has_no_doubt() -> None:
    drawn = resample_medians(np.array([7.0, 7.0, 7.0]), np.random.default_rng(1))
    assert percentiles(drawn) == (7, 7)
