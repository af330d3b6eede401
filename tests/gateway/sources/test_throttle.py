"""The throttle of a source."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sources.market.throttle import Throttle

SECOND = 1_000_000_000
RATES = st.sampled_from([0.5, 1, 3, 7, 20, 1_000])
OFFERS = st.lists(
    st.tuples(st.integers(0, 400_000_000), st.sampled_from("ab")), min_size=1, max_size=80
)


def passed_of(rate: float, offers: list[tuple[int, str]]) -> list[tuple[int, str, int]]:
    """Offer numbered values after pauses, with a timer that is exact; return what passed when."""
    throttle: Throttle[tuple[str, int]] = Throttle(rate)
    passed: list[tuple[int, str, int]] = []
    now = 0

    def drain(until: int | None) -> None:
        while (due := throttle.next_due_ns()) is not None and (until is None or due <= until):
            passed.extend((due, *value) for value in throttle.take_due(due, 100))

    for number, (pause, key) in enumerate(offers):
        now += pause
        drain(now)
        if throttle.offer(key, (key, number), now):
            passed.append((now, key, number))
    drain(None)
    assert len(throttle) == 0
    assert len(passed) + throttle.replaced == len(offers)
    return passed


@given(RATES, OFFERS)
@settings(max_examples=100, deadline=None)
def test_no_window_of_a_second_has_more_than_the_rate(
    rate: float, offers: list[tuple[int, str]]
) -> None:
    passed = passed_of(rate, offers)
    for key in "ab":
        times = [when for when, of, _ in passed if of == key]
        for first in times:
            within = sum(first <= when < first + SECOND for when in times)
            assert within <= max(1, rate)


@given(RATES, OFFERS)
@settings(max_examples=100, deadline=None)
def test_the_last_value_always_passes_and_values_never_go_back(
    rate: float, offers: list[tuple[int, str]]
) -> None:
    passed = passed_of(rate, offers)
    for key in "ab":
        offered = [number for number, (_, of) in enumerate(offers) if of == key]
        numbers = [number for _, of, number in passed if of == key]
        assert numbers == sorted(set(numbers))
        assert numbers[-1:] == offered[-1:]


@given(OFFERS)
def test_without_a_limit_everything_passes_at_once(offers: list[tuple[int, str]]) -> None:
    assert [number for _, _, number in passed_of(0, offers)] == list(range(len(offers)))


def test_a_value_that_is_put_back_gives_way_to_a_newer_one() -> None:
    throttle: Throttle[int] = Throttle(10)
    assert throttle.offer("a", 1, 0)
    throttle.put_back("a", 1, 500)
    assert not throttle.offer("a", 2, 100)
    throttle.put_back("a", 1, 900)
    assert throttle.take_due(499, 10) == []
    assert throttle.take_due(500, 10) == [2]
    assert throttle.replaced == 2


def test_a_step_takes_no_more_than_it_may() -> None:
    throttle: Throttle[int] = Throttle(1)
    for number in range(10):
        throttle.put_back(number, number, 0)
    assert throttle.take_due(0, 4) == [0, 1, 2, 3]
    assert throttle.take_due(0, 100) == [4, 5, 6, 7, 8, 9]
