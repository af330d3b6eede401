from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.capacity.search import GROWTH, MOST_TRIALS, Bound, Search
from loadtests.results import Verdict


def searched(
    limit: float,
    *,
    start: float = 1.0,
    highest: float = 1e4,
    resolution: float = 0.1,
    beyond: Verdict = Verdict.FAIL,
    long_share: float = 1.0,
) -> Search:
    """Return a search that is over, of a gateway that keeps its budgets up to a limit."""
    search = Search(start, highest, resolution)
    while (trial := search.next_trial()) is not None:
        held = limit * (long_share if trial.is_long else 1.0)
        search.tell(Verdict.PASS if trial.load <= held else beyond, f"at {trial.load:g}")
    return search


@given(st.floats(1.0, 9_000.0), st.floats(0.01, 0.5))
def test_the_interval_holds_the_limit_and_is_as_narrow_as_asked(limit: float, share: float) -> None:
    found = searched(limit, resolution=share).found()
    assert found.low is not None
    assert found.high is not None
    assert found.low <= limit < found.high
    assert found.high <= found.low * (1 + share) * 1.0001
    assert found.is_confirmed
    assert found.bound is Bound.GATEWAY


def test_a_limit_beyond_the_highest_load_is_no_limit_found() -> None:
    found = searched(1e9, highest=300.0).found()
    assert (found.low, found.high, found.bound) == (300.0, None, Bound.ASKED)
    assert found.is_confirmed


def test_a_generator_that_can_no_more_does_not_blame_the_gateway() -> None:
    search = searched(100.0, beyond=Verdict.INVALID)
    found = search.found()
    assert found.bound is Bound.GENERATOR
    assert found.low is not None
    assert found.low <= 100.0


@given(st.floats(0.26, 0.9))
def test_a_generator_that_tires_in_the_long_trial_leaves_its_limit_behind_in_two_halves(
    share: float,
) -> None:
    search = searched(100.0, beyond=Verdict.INVALID, long_share=share)
    found = search.found()
    assert found.is_confirmed
    assert found.bound is Bound.GENERATOR
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 100.0 * share < found.high
    assert found.low == found.high / GROWTH


def test_a_load_that_broke_the_gateway_stays_the_upper_end_when_the_generator_tires_below() -> None:
    search = Search(400.0, 6_400.0, 0.15)
    while (trial := search.next_trial()) is not None:
        if trial.load > 800:
            search.tell(Verdict.FAIL, "push: 60 ms")
        elif trial.is_long and trial.load > 300:
            search.tell(Verdict.INVALID, "own share: 16 ms")
        else:
            search.tell(Verdict.PASS, "")
    found = search.found()
    assert found.is_confirmed
    assert found.low is not None
    assert found.low <= 300
    assert (found.bound, found.why) == (Bound.GATEWAY, "push: 60 ms")
    assert found.high is not None
    assert 800 < found.high <= 800 * 1.15


def test_what_was_undecided_is_tried_once_more_and_then_counts_as_over() -> None:
    search = Search(10.0, 20.0, 0.1)
    search.tell(Verdict.INCONCLUSIVE, "too few")
    assert search.next_trial() is not None
    search.tell(Verdict.INCONCLUSIVE, "too few again")
    assert search.next_trial() is None
    found = search.found()
    assert (found.low, found.high, found.why) == (None, 10.0, "too few again")


def test_a_second_try_that_passes_is_a_pass() -> None:
    search = Search(10.0, 10.0, 0.1)
    search.tell(Verdict.INVALID, "a stall")
    search.tell(Verdict.PASS, "kept")
    trial = search.next_trial()
    assert trial is not None
    assert trial.is_long


def test_a_first_load_that_is_too_much_ends_the_search() -> None:
    found = searched(0.5).found()
    assert (found.low, found.high) == (None, 1.0)


@given(st.floats(0.3, 0.99))
def test_a_load_that_is_kept_for_a_while_only_is_not_the_answer(share: float) -> None:
    search = searched(100.0, long_share=share)
    found = search.found()
    assert len(search.tried) <= MOST_TRIALS
    if found.is_confirmed:
        assert found.low is not None
        assert found.low <= 100.0 * share
    else:
        assert found.low is None


@pytest.mark.parametrize(
    ("start", "highest", "resolution", "words"),
    [
        (0.0, 1.0, 0.1, "0 < start"),
        (2.0, 1.0, 0.1, "start <= highest"),
        (1.0, 2.0, 0.0, "over 0"),
    ],
)
def test_a_search_that_cannot_be_is_refused(
    start: float, highest: float, resolution: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Search(start, highest, resolution)


def test_nobody_may_tell_what_was_not_asked() -> None:
    search = searched(5.0)
    with pytest.raises(RuntimeError, match="search is over"):
        search.tell(Verdict.PASS, "")
