from __future__ import annotations

from loadtests.health.gaps import Gaps


def test_what_fails_before_a_gap_is_not_expected() -> None:
    gaps = Gaps([100], 50)
    assert not gaps.take_failure(99)
    assert gaps.take_failure(100)


def test_the_first_answer_after_a_failure_ends_a_gap() -> None:
    gaps = Gaps([100, 500], 50)
    assert not gaps.take_answer(101)  # the gateway has not gone yet
    assert gaps.take_failure(102)
    assert gaps.take_answer(120)
    assert not gaps.take_failure(121)
    assert gaps.take_failure(501)


def test_a_gateway_that_does_not_come_back_in_time_is_missed() -> None:
    gaps = Gaps([100], 50)
    assert gaps.take_failure(149)
    assert not gaps.take_failure(150)
