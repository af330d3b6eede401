"""A publication's receipt is kept for a minute, and none is forgotten early."""

from __future__ import annotations

import pytest

from gateway.brokers.receipts import Receipts

S = 1_000_000_000


def test_a_receipt_is_kept_for_a_minute() -> None:
    receipts = Receipts()
    receipts.keep("a", {"seq": 1}, 0)
    assert receipts.of("a", 60 * S - 1) == {"seq": 1}
    assert receipts.of("a", 60 * S) is None
    assert receipts.of("b", 0) is None


def test_a_receipt_that_is_kept_again_counts_from_then() -> None:
    receipts = Receipts()
    receipts.keep("a", {"seq": 1}, 0)
    receipts.keep("b", {"seq": 2}, 1)
    receipts.keep("a", {"seq": 3}, 60 * S)
    receipts.sweep(60 * S + 1)
    assert (receipts.of("a", 61 * S), len(receipts)) == ({"seq": 3}, 1)


def test_a_receipt_is_not_changed_by_those_who_got_it() -> None:
    receipts = Receipts()
    given = {"seq": 1}
    receipts.keep("a", given, 0)
    given["seq"] = 2
    for _ in range(2):
        answer = receipts.of("a", 0) or {}
        assert answer == {"seq": 1}
        answer.clear()


@pytest.mark.parametrize(
    ("asked", "now_s", "can"),
    [
        (["d"], 0, False),
        (["a", "b", "c"], 0, True),
        (["a", "d"], 59, False),
        (["d", "e", "f"], 60, True),
        (["d", "e", "f", "g"], 60, False),
    ],
)
def test_what_cannot_be_kept_is_said_before(asked: list[str], now_s: int, can: bool) -> None:
    receipts = Receipts(most=3)
    for publication_id in "abc":
        receipts.keep(publication_id, {}, 0)
    assert receipts.can_keep(asked, now_s * S) is can


def test_a_sweep_forgets_a_bounded_number() -> None:
    receipts = Receipts()
    for number in range(12_000):
        receipts.keep(str(number), {}, 0)
    left = []
    for _ in range(3):
        receipts.sweep(60 * S)
        left.append(len(receipts))
    assert left == [7_000, 2_000, 0]
