from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.faults.line import DelayLine
from loadtests.faults.toxics import Bandwidth, Latency, Slicer, Toxic

MS = 1_000_000

toxic_sets = st.lists(
    st.one_of(
        st.builds(
            Latency,
            latency_ms=st.floats(0, 1_000),
            jitter_ms=st.floats(0, 500),
        ),
        st.builds(Bandwidth, rate_kb_s=st.floats(0.5, 10_000)),
        st.builds(Slicer, average_size=st.integers(5, 100), size_variation=st.integers(0, 4)),
    ),
    max_size=3,
)


def line_of(seed: int) -> DelayLine:
    return DelayLine(random.Random(seed))  # noqa: S311 - repeatable faults, no secret


def put(line: DelayLine, data: bytes, now_ns: int, *toxics: Toxic) -> list[tuple[int, bytes]]:
    return list(line.put(data, now_ns, toxics))


@given(
    chunks=st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 10**9)), max_size=8),
    toxics=toxic_sets,
    seed=st.integers(0, 9),
)
def test_nothing_is_lost_or_reordered_and_nothing_leaves_before_it_came(
    chunks: list[tuple[bytes, int]], toxics: list[Toxic], seed: int
) -> None:
    line, now_ns, last_ns, out = line_of(seed), 0, 0, b""
    for data, wait_ns in chunks:
        now_ns += wait_ns
        for due_ns, piece in line.put(data, now_ns, toxics):
            assert due_ns >= max(now_ns, last_ns)
            assert piece
            last_ns = due_ns
            out += piece
    assert out == b"".join(data for data, _ in chunks)


def test_without_toxics_all_goes_out_as_it_came() -> None:
    assert put(line_of(0), b"abc", 7) == [(7, b"abc")]


def test_latency_is_added_to_each_and_a_shorter_one_overtakes_nothing() -> None:
    line = line_of(0)
    assert put(line, b"a", 0, Latency(latency_ms=500)) == [(500 * MS, b"a")]
    assert put(line, b"b", 100 * MS, Latency(latency_ms=5)) == [(500 * MS, b"b")]
    assert put(line, b"c", 600 * MS, Latency(latency_ms=5)) == [(605 * MS, b"c")]


def test_jitter_stays_within_its_width() -> None:
    toxic = Latency(latency_ms=10, jitter_ms=4)
    found = [put(line_of(n), b"x", 0, toxic)[0][0] for n in range(200)]
    assert min(found) >= 6 * MS
    assert max(found) <= 14 * MS
    assert max(found) - min(found) > 6 * MS


@pytest.mark.parametrize("rate_kb_s", [1, 64, 1_000])
def test_a_rate_is_kept_to_the_byte(rate_kb_s: int) -> None:
    line = line_of(0)
    pieces = [
        piece
        for _ in range(4)
        for piece in put(line, b"x" * 10_000, 0, Bandwidth(rate_kb_s=rate_kb_s))
    ]
    assert pieces[-1][0] == pytest.approx(40_000 / (rate_kb_s * 1_024) * 1_000 * MS, rel=1e-6)


def test_slices_are_of_the_size_asked_for_and_apart_by_the_wait() -> None:
    toxic = Slicer(average_size=10, size_variation=3, delay_us=50)
    pieces = put(line_of(1), bytes(100), 0, toxic)
    assert all(7 <= len(piece) <= 13 for _, piece in pieces[:-1])
    assert [due_ns for due_ns, _ in pieces] == [index * 50_000 for index in range(len(pieces))]
