from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.oracles.ledger import Account, Ledger
from loadtests.oracles.returns import PrivateNumbers
from loadtests.results import ReturnOutcome

EPOCH = "one"


def welcome(number: int, epoch: str = EPOCH) -> dict[str, Any]:
    return {"userSeq": number, "epoch": epoch}


def away_and_back(until: int, had: int = 3) -> PrivateNumbers:
    """Return the numbers of a user that had some, and returns when there are more."""
    numbers = PrivateNumbers()
    numbers.welcome(welcome(had))
    assert numbers.welcome(welcome(until))
    return numbers


def test_a_user_says_nothing_before_its_first_welcome_and_its_last_number_later() -> None:
    numbers = PrivateNumbers()
    assert numbers.said() == {}
    assert not numbers.welcome(welcome(3))
    assert numbers.receive(4) == []
    assert numbers.said() == {"lastUserSeq": 4, "epoch": EPOCH}


def test_what_was_missed_comes_in_order_and_then_the_user_is_current() -> None:
    numbers = away_and_back(5)
    was_current = [numbers.is_current]
    for number, outcomes in ((4, [ReturnOutcome.REPLAYED]), (5, [ReturnOutcome.REPLAYED]), (6, [])):
        assert numbers.receive(number) == outcomes
        was_current.append(numbers.is_current)
    assert was_current == [False, False, True, True]
    assert numbers.close() == []


def test_a_user_that_missed_nothing_is_current_at_once() -> None:
    assert away_and_back(3).is_current


def test_a_gap_in_a_replay_is_a_loss_and_one_in_live_events_is_not() -> None:
    numbers = away_and_back(6)
    assert numbers.receive(5) == [ReturnOutcome.LOST, ReturnOutcome.REPLAYED]
    assert numbers.receive(9) == [ReturnOutcome.LOST]
    assert numbers.receive(12) == []


def test_an_event_that_came_before_is_doubled() -> None:
    numbers = away_and_back(5)
    assert numbers.receive(3) == [ReturnOutcome.DOUBLED]
    numbers.receive(4)
    assert numbers.receive(4) == [ReturnOutcome.DOUBLED]


def test_what_never_came_is_lost_when_the_run_ends_and_counted_once() -> None:
    numbers = away_and_back(6)
    numbers.receive(4)
    assert numbers.close() == [ReturnOutcome.LOST] * 2
    assert numbers.close() == []


def test_after_a_resync_nothing_from_before_is_owed() -> None:
    numbers = away_and_back(9)
    numbers.resync({"userSeq": 9})
    assert numbers.is_current
    assert numbers.receive(10) == []
    assert numbers.close() == []


def test_another_epoch_owes_nothing_from_before() -> None:
    numbers = PrivateNumbers()
    numbers.welcome(welcome(3))
    assert not numbers.welcome(welcome(1, "two"))
    assert numbers.said() == {"lastUserSeq": 1, "epoch": "two"}
    assert numbers.is_current


@given(st.integers(0, 5), st.integers(0, 12), st.data())
def test_exactly_what_is_left_out_of_a_replay_and_repeated_in_it_is_found(
    had: int, missed: int, data: st.DataObject
) -> None:
    numbers = away_and_back(had + missed, had)
    replay = list(range(had + 1, had + missed + 1))
    lost = data.draw(st.sets(st.sampled_from(replay))) if replay else set()
    sent = [number for number in replay if number not in lost]
    doubled = data.draw(st.lists(st.sampled_from(sent), max_size=3)) if sent else []
    found: Counter[ReturnOutcome] = Counter()
    for number in sorted([*sent, *doubled]):
        found.update(numbers.receive(number))
    found.update(numbers.close())
    assert found == Counter(
        {
            ReturnOutcome.LOST: len(lost),
            ReturnOutcome.DOUBLED: len(doubled),
            ReturnOutcome.REPLAYED: len(sent),
        }
    )


@pytest.mark.parametrize(
    ("came", "lost", "duplicate"),
    [([4, 5, 6], 0, 0), ([4, 6], 1, 0), ([4, 5, 5, 6], 0, 1), ([], 3, 0)],
    ids=["all", "one lost", "one doubled", "nothing"],
)
def test_the_ledger_owes_a_returning_user_what_it_missed(
    came: list[int], lost: int, duplicate: int
) -> None:
    ledger = Ledger()
    account = Account("vu-1", "returner")
    ledger.keep(account)
    account.welcome(welcome(3))
    account.disconnected()
    account.welcome(welcome(6), 3)
    for number in came:
        account.received("balance:updated", {"userSeq": number, "replayed": True})
    (row,) = ledger.close({"user:vu-1": 6})
    assert (row.owed, row.lost, row.duplicate, row.leaked) == (3, lost, duplicate, 0)


def test_the_ledger_owes_nothing_from_before_a_resync_or_another_epoch() -> None:
    ledger = Ledger()
    account = Account("vu-1", "returner")
    ledger.keep(account)
    account.welcome(welcome(3))
    account.welcome(welcome(9), 3)
    account.resynced({"userSeq": 9})
    account.received("balance:updated", {"userSeq": 10})
    account.welcome(welcome(4, "two"), 10)
    (row,) = ledger.close({"user:vu-1": 4})
    assert (row.owed, row.received, row.lost) == (1, 1, 0)
