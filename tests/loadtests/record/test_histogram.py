from __future__ import annotations

import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # it has no types
from hypothesis import given
from hypothesis import strategies as st

from loadtests.record.histogram import BUCKETS, Histogram, buckets_of
from loadtests.results import MAX_VALUE_NS, bucket_of, bucket_range

SPANS = st.one_of(
    st.integers(0, MAX_VALUE_NS),
    st.integers(0, 41).flatmap(lambda bits: st.integers(max(0, 2**bits - 2), 2**bits + 1)),
)


@given(st.lists(SPANS))
def test_an_array_falls_into_the_buckets_of_the_contract(values: list[int]) -> None:
    assert buckets_of(values).tolist() == [bucket_of(value) for value in values]


@pytest.mark.parametrize("value", [-1, MAX_VALUE_NS + 1])
def test_a_span_outside_the_range_is_refused_and_never_clamped(value: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        buckets_of([5, value])


@given(st.lists(SPANS, min_size=1), st.floats(0, 1))
def test_a_quantile_is_the_end_of_the_bucket_of_the_exact_one(values: list[int], q: float) -> None:
    exact = sorted(values)[max(1, math.ceil(q * len(values) - 1e-9)) - 1]
    found = Histogram.of(values).quantile_ns(q)
    assert found == bucket_range(bucket_of(exact))[1]
    assert exact <= found <= exact + exact // 1_024


@given(st.lists(st.lists(SPANS)))
def test_merging_gives_the_histogram_of_the_union(parts: list[list[int]]) -> None:
    merged = Histogram.merged(Histogram.of(part) for part in parts)
    whole = Histogram.of([value for part in parts for value in part])
    assert np.array_equal(merged.counts, whole.counts)
    assert merged.total == sum(map(len, parts))


def hdr_of(values: list[int]) -> HdrHistogram:
    """Return the reference implementation's histogram of the same values."""
    found = HdrHistogram(1, MAX_VALUE_NS, 3)
    for value in values:
        assert found.record_value(value)
    return found


@given(st.lists(st.integers(1, MAX_VALUE_NS), min_size=1, max_size=60))
def test_buckets_and_counts_are_those_of_hdrhistogram(values: list[int]) -> None:
    reference, ours = hdr_of(values), Histogram.of(values)
    indices = np.flatnonzero(ours.counts)
    assert [reference.counts[index] for index in indices] == ours.counts[indices].tolist()
    assert reference.get_total_count() == ours.total
    for index in indices.tolist():
        low, high = bucket_range(index)
        assert reference.get_lowest_equivalent_value(high) == low
        assert reference.get_highest_equivalent_value(max(1, low)) == high


@given(st.lists(st.integers(1, MAX_VALUE_NS), min_size=1, max_size=60))
def test_quantiles_are_those_of_hdrhistogram(values: list[int]) -> None:
    fractions = [rank / len(values) for rank in range(1, len(values) + 1)]
    told = hdr_of(values).get_percentile_to_value_dict([100 * each for each in fractions])
    ours = Histogram.of(values)
    assert [ours.quantile_ns(each) for each in fractions] == list(told.values())


@given(st.lists(st.lists(st.integers(1, MAX_VALUE_NS), max_size=20), max_size=4))
def test_a_merge_is_what_hdrhistogram_makes_of_it(parts: list[list[int]]) -> None:
    reference = HdrHistogram(1, MAX_VALUE_NS, 3)
    for part in parts:
        reference.add(hdr_of(part))
    merged = Histogram.merged(Histogram.of(part) for part in parts)
    indices = np.flatnonzero(merged.counts)
    assert [reference.counts[index] for index in indices] == merged.counts[indices].tolist()
    assert reference.get_total_count() == merged.total


def test_a_rank_that_only_rounding_pushes_up_is_not_taken() -> None:
    assert Histogram.of(range(1, 101)).quantile_ns(0.07) == 7


def test_an_empty_histogram_has_no_quantile() -> None:
    assert Histogram().quantile_ns(0.5) is None


def test_a_quantile_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        Histogram.of([1]).quantile_ns(1.1)


def test_the_longest_span_has_the_last_bucket() -> None:
    assert buckets_of([MAX_VALUE_NS])[0] == BUCKETS - 1
