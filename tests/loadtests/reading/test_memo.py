from __future__ import annotations

from loadtests.reading.memo import Memo


def test_what_is_asked_for_is_kept_over_the_turns_and_the_rest_is_forgotten() -> None:
    memo: Memo[int] = Memo()
    memo.keep(b"used", 1)
    memo.keep(b"unused", 2)
    for _ in range(3):
        memo.turn()
        assert memo.recall(b"used") == 1
    assert memo.recall(b"unused") is None


def test_a_memo_never_holds_more_than_two_generations() -> None:
    memo: Memo[int] = Memo(max_entries=10)
    for number in range(1_000):
        memo.keep(b"%d" % number, number)
        assert len(memo) <= 20
    assert memo.recall(b"999") == 999
    assert memo.recall(b"1") is None
