from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.results import MAX_VALUE_NS, bucket_of
from reports.intervals import (
    Estimate,
    StackedHistogram,
    block_length,
    estimate_by_order,
    estimate_maximum,
    estimate_quantiles,
    estimate_ratio,
    percentiles,
    quantile_of,
    quantiles_by_second,
    resample_medians,
    samples_needed,
)


def stack(seconds: list[list[int]]) -> StackedHistogram:
    buckets = sorted({bucket_of(value) for values in seconds for value in values})
    place = {bucket: column for column, bucket in enumerate(buckets)}
    counts = np.zeros((len(seconds), len(buckets)), dtype=np.int64)
    for row, values in enumerate(seconds):
        for value in values:
            counts[row, place[bucket_of(value)]] += 1
    return StackedHistogram(
        seconds=np.arange(len(seconds)), buckets=np.array(buckets), counts=counts
    )


def estimate_quantile(histogram: StackedHistogram, quantile: float, *, seed: int) -> Estimate:
    (found,) = estimate_quantiles(histogram, (quantile,), seed=seed)
    return found


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


def members_of(values: list[int]) -> StackedHistogram:
    return stack([values])


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95])
def test_order_statistics_cover_the_truth_of_any_distribution(quantile: float) -> None:
    from scipy import stats

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


def test_several_quantiles_of_the_same_draws_are_what_each_is_alone() -> None:
    generator = np.random.default_rng(8)
    found = stack([[int(v) for v in generator.lognormal(13, 0.6, 40)] for _ in range(60)])
    asked = (0.5, 0.9, 0.99)
    assert estimate_quantiles(found, asked, seed=4) == [
        estimate_quantile(found, quantile, seed=4) for quantile in asked
    ]


def test_a_second_has_its_own_quantiles_and_an_empty_one_none() -> None:
    found = quantiles_by_second(stack([[10, 20, 30], [], [40]]), (0.5, 1.0))
    np.testing.assert_array_equal(found, [[20, 30], [np.nan, np.nan], [40, 40]])


@pytest.mark.parametrize("members", [1, 7, 60, 299, 2_995])
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99, 0.999])
def test_the_ranks_of_an_interval_are_the_binomials_own_points(
    members: int, quantile: float
) -> None:
    from scipy import stats

    found = estimate_by_order(members_of(list(range(1, members + 1))), quantile)
    assert found is not None
    low, high = (int(stats.binom.ppf(tail, members, quantile)) for tail in (0.025, 0.975))
    if low >= 1:
        assert bucket_of(int(found.low or 0)) == bucket_of(int(low))
    if high + 1 <= members:
        assert bucket_of(int(found.high or 0)) == bucket_of(int(high) + 1)
