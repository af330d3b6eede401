from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.shifts import (
    FEWEST_PAIRS,
    SEEN,
    rank_sum_depth,
    shift_of_pairs,
    shift_of_samples,
    signed_rank_depth,
    walsh_averages,
)

FIGURES = st.floats(-1e3, 1e3)


@pytest.mark.parametrize(
    ("pairs", "depth", "coverage"),
    [(5, 0, 1.0), (6, 1, 0.96875), (8, 4, 0.9609375), (12, 14, 0.9575195)],
)
def test_six_pairs_are_the_fewest_that_give_an_interval(
    pairs: int, depth: int, coverage: float
) -> None:
    found = signed_rank_depth(pairs)
    assert found[0] == depth
    assert found[1] == pytest.approx(coverage)


@pytest.mark.parametrize(
    ("first", "second", "depth"), [(3, 3, 0), (4, 4, 1), (5, 5, 3), (6, 6, 6), (8, 8, 14)]
)
def test_two_samples_use_the_tabled_bounds_of_mann_and_whitney(
    first: int, second: int, depth: int
) -> None:
    assert rank_sum_depth(first, second)[0] == depth
    assert rank_sum_depth(second, first) == rank_sum_depth(first, second)


@pytest.mark.parametrize("sizes", [(4, 7), (6, 6), (3, 9)])
def test_the_rank_sum_distribution_is_that_of_all_arrangements(sizes: tuple[int, int]) -> None:
    first, second = sizes
    places = range(first + second)
    arrangements = list(combinations(places, first))
    inversions = [
        sum(one > other for one in chosen for other in places if other not in chosen)
        for chosen in arrangements
    ]
    depth, coverage = rank_sum_depth(first, second)
    below = sum(count < depth for count in inversions) / len(arrangements)
    assert 1 - coverage == pytest.approx(2 * below)
    assert below <= 0.025 < sum(count <= depth for count in inversions) / len(arrangements)


def test_six_pairs_are_bounded_by_their_extremes() -> None:
    found = shift_of_pairs([0.3, -0.1, 0.2, 0.0, 0.1, 0.5])
    assert (found.low, found.high, found.n) == (-0.1, 0.5, 6)
    assert found.value == pytest.approx(0.15)


def test_five_pairs_have_a_value_and_no_interval() -> None:
    found = shift_of_pairs([0.1] * (FEWEST_PAIRS - 1))
    assert (found.value, found.low, found.half_width) == (0.1, None, None)


def test_no_pair_has_no_shift() -> None:
    with pytest.raises(ValueError, match="no pair"):
        shift_of_pairs([])
    with pytest.raises(ValueError, match="empty sample"):
        shift_of_samples([], [1.0])


@given(st.lists(FIGURES, min_size=6, max_size=20), FIGURES)
def test_moving_every_pair_moves_the_estimate_and_its_interval_as_far(
    values: list[float], shift: float
) -> None:
    still, moved = shift_of_pairs(values), shift_of_pairs([value + shift for value in values])
    assert moved.value == pytest.approx(still.value + shift, abs=1e-6)
    assert moved.low == pytest.approx((still.low or 0.0) + shift, abs=1e-6)
    assert moved.high == pytest.approx((still.high or 0.0) + shift, abs=1e-6)


@given(st.lists(FIGURES, min_size=6, max_size=20))
def test_base_and_head_exchanged_turn_the_answer_round(values: list[float]) -> None:
    there, back = shift_of_pairs(values), shift_of_pairs([-value for value in values])
    assert there.value == pytest.approx(-back.value, abs=1e-9)
    assert there.low == pytest.approx(-(back.high or 0.0), abs=1e-9)


@pytest.mark.parametrize("pairs", [6, 12])
def test_the_interval_holds_the_truth_as_often_as_it_says(pairs: int) -> None:
    depth, coverage = signed_rank_depth(pairs)
    draws = np.random.default_rng(3).standard_t(3, size=(20_000, pairs))
    averages = walsh_averages(draws)
    held = (averages[:, depth - 1] <= 0) & (averages[:, -depth] >= 0)
    assert held.mean() == pytest.approx(coverage, abs=4 * math.sqrt(0.05 / 20_000))


@pytest.mark.parametrize("pairs", [6, 8, 12, 20])
def test_a_shift_of_1_43_half_widths_is_seen_in_four_of_five(pairs: int) -> None:
    depth, _ = signed_rank_depth(pairs)
    averages = walsh_averages(np.random.default_rng(4).standard_normal((20_000, pairs)))
    half = (averages[:, -depth] - averages[:, depth - 1]).mean() / 2
    seen = (averages[:, depth - 1] + SEEN * half > 0).mean()
    assert seen == pytest.approx(0.8, abs=0.03)
