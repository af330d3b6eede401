"""Histograms of spans in the layout of ``loadtests.results``, computed on whole arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from loadtests.results import MAX_VALUE_NS, bucket_of, bucket_range

BUCKETS = bucket_of(MAX_VALUE_NS) + 1
_HALF_BITS = 10
_FIRST_ROUNDED = 1 << _HALF_BITS
_SHIFT = 52 - _HALF_BITS
_BIAS = (1_023 + _HALF_BITS - 1) << _HALF_BITS


def buckets_of(values_ns: ArrayLike) -> NDArray[np.int64]:
    """Return the bucket of each span: ``results.bucket_of`` for an array.

    Raises:
        ValueError: a span is negative or over ``MAX_VALUE_NS``. Spans are never clamped.
    """
    values = np.asarray(values_ns, dtype=np.int64)
    if values.size and (values.min() < 0 or values.max() > MAX_VALUE_NS):
        raise ValueError(f"a span lies outside 0 to {MAX_VALUE_NS} ns")
    # A double (IEEE 754) has its exponent before its mantissa. The exponent and the first 10
    # bits of the mantissa are the bucket plus a constant. Exact, because spans are below 2^53.
    bits = values.astype(np.float64).view(np.int64)
    found: NDArray[np.int64] = (bits >> _SHIFT) - _BIAS
    np.copyto(found, values, where=values < _FIRST_ROUNDED)
    return found


class Histogram:
    """Counts of spans by bucket. The sum of two is the histogram of all their spans."""

    def __init__(self, counts: NDArray[np.int64] | None = None) -> None:
        self.counts = np.zeros(BUCKETS, dtype=np.int64) if counts is None else counts

    @classmethod
    def of(cls, values_ns: ArrayLike) -> Histogram:
        """Return the histogram of some spans (ns)."""
        return cls(np.bincount(buckets_of(values_ns), minlength=BUCKETS).astype(np.int64))

    @classmethod
    def merged(cls, parts: Iterable[Histogram]) -> Histogram:
        """Return the histogram of all spans that the parts counted."""
        whole = cls()
        for part in parts:
            whole.counts += part.counts
        return whole

    @property
    def total(self) -> int:
        """How many spans were counted."""
        return int(self.counts.sum())

    def quantile_ns(self, q: float) -> int | None:
        """Return the nearest-rank quantile in ns (the last span of its bucket), None when empty.

        The rank is ceil(q × n), at least 1. The result is never below the exact quantile, and
        above it by less than 1 part in 1,024.

        Raises:
            ValueError: ``q`` is outside 0 to 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile of {q} is outside 0 to 1")
        total = self.total
        if not total:
            return None
        # A product may land a hair above a whole number (0.07 * 100): rank 7, not 8.
        rank = min(total, max(1, math.ceil(q * total - 1e-9)))
        bucket = int(np.searchsorted(np.cumsum(self.counts), rank))
        return bucket_range(bucket)[1]
