from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.record.tally import PIECE, SECOND_NS, Tally
from loadtests.results import MAX_VALUE_NS, bucket_of

T0 = 7_000_000_123
STARTS = [T0, T0 + SECOND_NS // 3, T0 + 5 * SECOND_NS // 2]


def tallied(moments: list[int], values: list[int], starts: list[int] = STARTS) -> Counter[object]:
    tally = Tally(np.array(moments, np.int64), np.array(values, np.int64), T0, starts)
    for _ in tally.pieces():
        pass
    cells = zip(tally.seconds, tally.phases, tally.buckets, strict=True)
    keys = [tuple(int(part) for part in cell) for cell in cells]
    assert keys == sorted(set(keys))
    return Counter(dict(zip(keys, tally.counts.tolist(), strict=True)))


def counted_one_by_one(moments: list[int], values: list[int]) -> Counter[object]:
    return Counter(
        (
            (at_ns - T0) // SECOND_NS,
            max(0, sum(start_ns <= at_ns for start_ns in STARTS) - 1),
            bucket_of(value_ns),
        )
        for at_ns, value_ns in zip(moments, values, strict=True)
    )


SPANS = st.one_of(st.integers(0, 5_000), st.integers(0, MAX_VALUE_NS))
NEAR = st.integers(T0 - SECOND_NS, T0 + 4 * SECOND_NS)
FAR = st.integers(T0 - 90 * SECOND_NS, T0 + 90 * SECOND_NS)


@pytest.mark.parametrize("moments", [NEAR, FAR], ids=["near", "minutes apart"])
def test_a_tally_is_what_counting_one_by_one_gives(moments: st.SearchStrategy[int]) -> None:
    @given(st.lists(st.tuples(moments, SPANS), max_size=60))
    def check(spans: list[tuple[int, int]]) -> None:
        at_ns, values_ns = [at for at, _ in spans], [value for _, value in spans]
        assert tallied(at_ns, values_ns) == counted_one_by_one(at_ns, values_ns)

    check()


def test_many_spans_are_counted_in_pieces_and_none_is_lost_between_them() -> None:
    draw = np.random.default_rng(3)
    size = 3 * PIECE + 17
    moments = (T0 + draw.integers(-SECOND_NS, 3 * SECOND_NS, size)).tolist()
    values = draw.lognormal(15, 2, size).astype(np.int64).tolist()
    assert tallied(moments, values) == counted_one_by_one(moments, values)
    tally = Tally(np.array(moments), np.array(values), T0, STARTS)
    assert sum(1 for _ in tally.pieces()) == 4


def test_nothing_is_counted_of_no_spans() -> None:
    assert not tallied([], [])
