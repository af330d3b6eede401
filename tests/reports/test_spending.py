from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from reports.shifts import look_at, shift_of_pairs, signed_rank_depth, walsh_averages
from reports.spending import levels, spent


def test_the_bounds_of_five_looks_are_the_published_ones() -> None:
    """Jennison and Turnbull (2000), and every program for group-sequential designs."""
    from scipy import stats

    found = [stats.norm.isf(level / 2) for level in levels((1, 2, 3, 4, 5), 0.05)]
    assert found == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=0.001)


def test_one_look_has_the_whole_error() -> None:
    assert levels((6,), 0.05) == pytest.approx((0.05,))
    assert spent(1.0, 0.05) == pytest.approx(0.05)


@pytest.mark.parametrize("looks", [(), (0, 4), (8, 8), (10, 8)])
def test_looks_must_rise(looks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not rise"):
        levels(looks, 0.05)


@pytest.mark.parametrize("planned", [(8, 10), (8, 10, 12), (14, 16, 18, 20)])
@pytest.mark.parametrize("tails", ["normal", "heavy"])
def test_all_looks_together_are_wrong_in_one_of_twenty(
    planned: tuple[int, ...], tails: str
) -> None:
    generator = np.random.default_rng(7)
    size = (20_000, planned[-1])
    draws = generator.normal(size=size) if tails == "normal" else generator.standard_t(2, size=size)
    crossed = np.zeros(len(draws), dtype=bool)
    for pairs in planned:
        depth, _ = signed_rank_depth(pairs, look_at(planned, pairs).level)
        assert depth
        averages = walsh_averages(draws[:, :pairs])
        crossed |= (averages[:, depth - 1] > 0) | (averages[:, -depth] < 0)
    assert crossed.mean() <= 0.053


@pytest.mark.parametrize("planned", [(6,), (8, 10), (8, 10, 12)])
def test_the_visible_shift_is_excluded_in_four_of_five_comparisons(
    planned: tuple[int, ...],
) -> None:
    draws = np.random.default_rng(9).normal(scale=0.03, size=(2_000, planned[-1]))
    first = planned[0]
    printed = [shift_of_pairs(row[:first], look_at(planned, first)).seen for row in draws]
    shifted = draws + np.median([one for one in printed if one is not None])

    def is_seen(row: npt.NDArray[np.float64]) -> bool:
        found = (shift_of_pairs(row[:pairs], look_at(planned, pairs)) for pairs in planned)
        return any(one.low is not None and one.low > 0 for one in found)

    assert np.mean([is_seen(row) for row in shifted]) == pytest.approx(0.8, abs=0.04)
