"""Snapshots and copies of market events are judged by content and by number."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.oracles.snapshots import ExpectedSnapshots, SharedContents

STREAM = "price:A"
MARKS = {"price:A": 7, "ticker:A": 3, "book:A": 0, "price:B": 2}


def event(price: float = 1.5, **fields: Any) -> dict[str, Any]:
    return {"symbol": "A", "price": price, "seq": 7, "prevSeq": 6, "ts": 5, **fields}


def subscribed(*symbols: str, **fields: Any) -> dict[str, Any]:
    return {"channel": "market-data", "symbols": list(symbols), "at": MARKS, **fields}


def expecting(*symbols: str, held: frozenset[str] | None = frozenset(), **fields: Any) -> Any:
    expected = ExpectedSnapshots()
    expected.expect(held, subscribed(*symbols, **fields))
    return expected


def test_copies_agree_whatever_the_gateway_adds_to_each() -> None:
    contents = SharedContents()
    assert contents.agrees(STREAM, 7, event())
    assert contents.agrees(STREAM, 7, event(prevSeq=3))
    snapshot = event(snapshot=True)
    del snapshot["prevSeq"]
    assert contents.agrees(STREAM, 7, snapshot)


@pytest.mark.parametrize(
    "other",
    [{"price": 1.6}, {"ts": 6}, {"stale": True}, {"seq": 8}],
    ids=lambda one: next(iter(one)),
)
def test_another_content_of_the_same_number_is_found(other: dict[str, Any]) -> None:
    contents = SharedContents()
    contents.agrees(STREAM, 7, event())
    assert not contents.agrees(STREAM, 7, event(**other))
    assert contents.agrees("ticker:A", 7, event(**other)), "another stream has its own numbers"


def test_nodes_with_clocks_of_their_own_may_differ_in_the_stamp_alone() -> None:
    contents = SharedContents()
    contents.has_one_clock = False
    contents.agrees(STREAM, 7, event())
    assert contents.agrees(STREAM, 7, event(ts=6))
    assert not contents.agrees(STREAM, 7, event(price=1.6, ts=6))


def test_another_epoch_uses_the_numbers_again() -> None:
    contents = SharedContents()
    contents.begin("one")
    contents.agrees(STREAM, 7, event())
    contents.begin("one")
    assert not contents.agrees(STREAM, 7, event(2))
    contents.begin("two")
    assert contents.agrees(STREAM, 7, event(2))


def test_the_newest_numbers_are_kept_and_the_memory_is_bounded() -> None:
    contents = SharedContents(most=10)
    for number in range(100):
        contents.agrees(STREAM, number, event())
    assert len(contents._young) + len(contents._old) <= 20
    assert not contents.agrees(STREAM, 90, event(2))
    assert contents.agrees(STREAM, 0, event(2)), "it was forgotten"


def test_a_snapshot_of_the_mark_is_right_and_any_other_number_is_wrong() -> None:
    assert expecting("A").take(STREAM, 7) is None
    told = expecting("A").take(STREAM, 6)
    assert told == "price:A: a snapshot of 6; the subscription began at 7"
    assert expecting("A").take(STREAM, 8) is not None


def test_with_a_rate_a_snapshot_may_be_newer_than_the_mark_and_not_older() -> None:
    assert expecting("A", maxRate=2).take(STREAM, 8) is None
    assert expecting("A", maxRate=2).take(STREAM, 6) is not None


def test_only_newly_held_streams_with_a_value_have_a_snapshot() -> None:
    missing = expecting("A", "B").missing(lambda stream: 0)
    assert sorted(missing) == ["price:A", "price:B", "ticker:A"]
    assert len(expecting("A", held=frozenset({"market-data:A"}))) == 0
    assert len(expecting("A", held=None)) == 0, "the whole market is held"


def test_a_snapshot_is_missing_where_nothing_of_its_stream_has_come() -> None:
    expected = expecting("A")
    expected.take("ticker:A", 3)
    assert expected.missing(lambda stream: 7) == [STREAM]
    assert expected.missing(lambda stream: 8) == [], "a later event took its place"
