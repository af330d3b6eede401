from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.plan.division import OVERFLOW, OVERFLOW_EACH, Division, Places, interleave

COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=6)


def places(counts: Sequence[int]) -> list[tuple[int, int, int]]:
    return [
        (interleave(counts, which, k), which, k)
        for which, count in enumerate(counts)
        for k in range(count)
    ]


@given(COUNTS)
def test_all_sequences_together_take_each_place_once(counts: list[int]) -> None:
    assert sorted(place for place, _, _ in places(counts)) == list(range(sum(counts)))


@given(COUNTS)
def test_each_sequence_keeps_its_order_and_is_spread_over_the_whole(counts: list[int]) -> None:
    total = sum(counts)
    for which, count in enumerate(counts):
        mine = [interleave(counts, which, k) for k in range(count)]
        assert mine == sorted(mine)
        for k, place in enumerate(mine):
            assert abs((place + 0.5) / total - (k + 0.5) / count) <= len(counts) / total


def test_the_drawing_of_the_module_is_true() -> None:
    assert [interleave([3, 2], 0, k) for k in range(3)] == [0, 2, 4]
    assert [interleave([3, 2], 1, k) for k in range(2)] == [1, 3]


def test_an_item_that_is_not_there_has_no_place() -> None:
    with pytest.raises(IndexError, match="2 items, so no item 2"):
        interleave([3, 2], 1, 2)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 3), st.integers(1, 4))
def test_however_many_workers_there_are_the_run_has_the_same_users(
    subscribers: int, traders: int, abusers: int, workers: int
) -> None:
    totals = {"subscriber": subscribers, "trader": traders, "abuser": abusers}
    counts = {
        group: [total // workers + (rank < total % workers) for rank in range(workers)]
        for group, total in totals.items()
    }
    alone = Division(counts={group: [total] for group, total in totals.items()}, rank=0)
    together = [Division(counts=counts, rank=rank, worker=rank) for rank in range(workers)]
    for group, total in totals.items():
        expected = {alone.place(group, k) for k in range(total)}
        found = [
            division.place(group, k)
            for rank, division in enumerate(together)
            for k in range(counts[group][rank])
        ]
        assert set(found) == expected
        assert len(found) == total


def test_a_user_that_nobody_planned_gets_a_place_of_its_own() -> None:
    division = Division(counts={"trader": [1, 2]}, rank=0, worker=3)
    hand = Places(division)
    assert hand.take("trader") == (1, True)
    assert hand.take("trader") == (OVERFLOW + 3 * OVERFLOW_EACH, False)
    assert hand.take("subscriber") == (OVERFLOW + 3 * OVERFLOW_EACH + 1, False)


def test_a_worker_that_came_late_has_none_of_the_planned_places() -> None:
    hand = Places(Division(counts={"trader": [1, 2]}, rank=None, worker=2))
    assert hand.take("trader") == (OVERFLOW + 2 * OVERFLOW_EACH, False)


def test_without_a_plan_places_are_given_in_order() -> None:
    hand = Places()
    assert [hand.take("trader")[0], hand.take("subscriber")[0]] == [0, 1]


def test_the_newest_of_a_group_is_numbered_over_all_workers() -> None:
    counts = {"dead_peer": [2, 1], "idle": [1, 1]}
    numbers = []
    for rank in range(2):
        places = Places(Division(counts=counts, rank=rank, worker=rank))
        assert places.total == 5
        for _ in range(counts["dead_peer"][rank]):
            places.take("dead_peer")
            numbers.append(places.newest("dead_peer"))
    assert sorted(numbers) == [0, 1, 2]


def test_without_a_plan_a_group_is_numbered_as_it_comes() -> None:
    places = Places()
    assert places.total == 0
    for expected in range(3):
        places.take("dead_peer")
        assert places.newest("dead_peer") == expected
