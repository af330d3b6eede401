"""How often a step is found, and how often noise is taken for one.

Each rate is counted in a few hundred series of a fixed seed, so a test is the same every time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reports.history.changes import FEWEST, find_steps

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Noise = Callable[[np.random.Generator, int], Floats]
SERIES = 300
SIGMA = 0.05
NOISES: dict[str, Noise] = {
    "normal": lambda drawn, n: drawn.standard_normal(n),
    "heavy tails": lambda drawn, n: drawn.standard_t(3, n),
    "spikes": lambda drawn, n: (
        drawn.standard_normal(n) + (drawn.random(n) < 0.1) * drawn.exponential(5, n)
    ),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("n", [FEWEST, 20, 60])
def test_at_most_two_in_a_hundred_series_of_noise_are_taken_for_a_change(
    noise: str, n: int
) -> None:
    drawn = np.random.default_rng(n)
    found = [bool(find_steps(np.exp(SIGMA * NOISES[noise](drawn, n)))) for _ in range(SERIES)]
    assert np.mean(found) <= 0.02


@pytest.mark.parametrize(
    ("noise", "n", "after", "size", "power"),
    [
        ("normal", 20, 3, 1.30, 0.90),
        ("normal", 20, 5, 1.20, 0.85),
        ("normal", 40, 10, 1.15, 0.90),
        ("heavy tails", 40, 5, 1.30, 0.85),
        ("spikes", 40, 10, 1.20, 0.80),
    ],
)
def test_a_known_step_is_found_at_its_place(
    noise: str, n: int, after: int, size: float, power: float
) -> None:
    drawn, found = np.random.default_rng(7), 0
    for _ in range(SERIES):
        logs = SIGMA * NOISES[noise](drawn, n)
        logs[n - after :] += np.log(size)
        found += any(abs(step.place - (n - after)) <= 1 for step in find_steps(np.exp(logs)))
    assert found / SERIES >= power


@pytest.mark.parametrize(("noise", "power"), [("normal", 0.99), ("heavy tails", 0.95)])
def test_a_large_step_among_the_last_runs_is_found_at_its_very_place(
    noise: str, power: float
) -> None:
    drawn, found = np.random.default_rng(5), 0
    for _ in range(SERIES):
        logs = SIGMA * NOISES[noise](drawn, 24)
        logs[-5:] += np.log(1.6)
        found += any(step.place == 19 for step in find_steps(np.exp(logs)))
    assert found / SERIES >= power


def test_a_wild_run_before_a_step_is_not_taken_for_its_first() -> None:
    values = [25.0, 24.5, 25.2, 24.8] * 3 + [31.0, 26.0] + [34.0, 33.5, 35.0]
    assert [step.place for step in find_steps(values)] == [14]


def test_each_step_of_a_series_is_found_with_its_size_and_interval() -> None:
    sizes = [100.0] * 20 + [130.0] * 15 + [200.0] * 15 + [110.0] * 10
    noise = np.exp(0.03 * np.random.default_rng(3).standard_normal(60))
    steps = find_steps(np.asarray(sizes) * noise)
    assert [step.place for step in steps] == [20, 35, 50]
    for step, ratio in zip(steps, [1.3, 200 / 130, 110 / 200], strict=True):
        assert step.low is not None
        assert step.high is not None
        assert step.low <= ratio <= step.high
        assert step.ratio == pytest.approx(ratio, rel=0.05)


def test_a_single_wild_run_is_no_change() -> None:
    values = np.exp(0.03 * np.random.default_rng(3).standard_normal(30))
    values[20] *= 50
    assert find_steps(values) == []


def test_a_change_of_less_than_five_percent_is_none_however_even_the_runs() -> None:
    assert find_steps([100.0] * 10 + [104.0] * 10) == []
    assert [step.place for step in find_steps([100.0] * 10 + [106.0] * 10)] == [10]


def test_too_few_runs_have_no_change_and_a_value_of_zero_is_refused() -> None:
    assert find_steps([1.0] * 5 + [9.0] * 4) == []
    with pytest.raises(ValueError, match="positive"):
        find_steps([0.0] * 20)
