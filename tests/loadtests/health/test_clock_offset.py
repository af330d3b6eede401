from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.health.clock_offset import (
    DRIFT_PPM,
    KEPT,
    STAMP_ERROR_NS,
    ImpossibleExchange,
    OffsetFilter,
)

DELAYS_NS = st.integers(0, 2_000_000_000)


def exchange(
    offset_ns: int, there_ns: int, served_ns: int, back_ns: int, sent_ns: int = 0
) -> tuple[int, int, int, int]:
    """Return the stamps of an exchange; the other clock shows whole microseconds, as pong does."""
    received = sent_ns + there_ns
    answered = received + served_ns
    theirs = [(moment + offset_ns) // 1_000 * 1_000 for moment in (received, answered)]
    return sent_ns, theirs[0], theirs[1], answered + back_ns


@given(
    offset_ns=st.integers(-(10**15), 10**15),
    ways=st.lists(st.tuples(DELAYS_NS, st.integers(0, 10**8), DELAYS_NS), min_size=1, max_size=20),
)
def test_the_true_offset_is_never_outside_the_bound_however_unlike_the_ways_are(
    offset_ns: int, ways: list[tuple[int, int, int]]
) -> None:
    found, now_ns = OffsetFilter(), 0
    for there_ns, served_ns, back_ns in ways:
        stamps = exchange(offset_ns, there_ns, served_ns, back_ns, now_ns)
        found.add(*stamps)
        now_ns = stamps[3]
        told = found.at(now_ns)
        assert told is not None
        assert abs(told.offset_ns - offset_ns) <= told.error_ns


def test_equal_ways_give_the_offset_itself() -> None:
    found = OffsetFilter()
    found.add(*exchange(5_000_000, 300_000, 40_000, 300_000))
    told = found.at(640_000)
    assert told is not None
    assert abs(told.offset_ns - 5_000_000) <= STAMP_ERROR_NS
    assert told.delay_ns == 600_000


def test_the_quickest_exchange_is_believed_and_not_the_mean() -> None:
    found = OffsetFilter()
    for there_ns, back_ns in ((9_000_000, 100_000), (50_000, 60_000), (100_000, 7_000_000)):
        found.add(*exchange(0, there_ns, 0, back_ns))
    told = found.at(0)
    assert told is not None
    assert abs(told.offset_ns) <= 6_000
    assert told.exchanges == 3


def test_an_old_exchange_is_worth_less_as_clocks_drift() -> None:
    found = OffsetFilter()
    stamps = exchange(0, 100_000, 0, 100_000)
    found.add(*stamps)
    now, later = found.at(stamps[3]), found.at(stamps[3] + 1_000_000_000)
    assert now is not None
    assert later is not None
    assert later.error_ns - now.error_ns == DRIFT_PPM * 1_000


def test_only_the_last_exchanges_are_kept() -> None:
    found = OffsetFilter()
    found.add(*exchange(0, 1_000, 0, 1_000))
    for _ in range(KEPT):
        found.add(*exchange(0, 500_000, 0, 500_000))
    told = found.at(0)
    assert told is not None
    assert told.delay_ns == 1_000_000
    assert told.exchanges == KEPT


def test_without_an_exchange_nothing_is_told() -> None:
    assert OffsetFilter().at(0) is None


@pytest.mark.parametrize(
    ("stamps", "words"),
    [
        ((10, 0, 5, 9), "after its question"),
        ((0, 5, 0, 9), "after its question"),
        ((0, 0, 9_000, 10), "9000 ns spent there while 10 ns passed here"),
    ],
    ids=["pong before ping", "answered before received", "longer there than here"],
)
def test_stamps_that_contradict_each_other_are_refused(
    stamps: tuple[int, int, int, int], words: str
) -> None:
    with pytest.raises(ImpossibleExchange, match=words):
        OffsetFilter().add(*stamps)
