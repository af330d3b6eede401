from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadtests.oracles.ledger import Account, Ledger, LedgerRow
from loadtests.results import LeakOutcome

SYMBOL = "BTC/USDT"
ROOM = f"market-data:{SYMBOL}"
STREAM = f"price:{SYMBOL}"


def price(seq: int, previous: int | None = None, **more: object) -> dict[str, Any]:
    return {
        "symbol": SYMBOL,
        "seq": seq,
        "prevSeq": seq - 1 if previous is None else previous,
        **more,
    }


def order(**numbers: Any) -> dict[str, Any]:
    return {"order": {"id": "x", "symbol": SYMBOL}, **numbers}


def own(user: str, **numbers: Any) -> dict[str, Any]:
    return {"order": {"id": "x", "clientOrderId": f"order:{user}:7"}, **numbers}


def joined(at: int = 0, user_seq: int = 0) -> tuple[Ledger, Account]:
    ledger = Ledger()
    account = Account("vu-1", "subscriber")
    ledger.keep(account)
    account.welcome({"userSeq": user_seq, "epoch": "e"})
    account.subscribed({"rooms": [ROOM], "at": {STREAM: at}})
    return ledger, account


def row(ledger: Ledger, stream: str = STREAM, **last: int) -> LedgerRow:
    numbers = {STREAM: last.get("last", 0), **{k: v for k, v in last.items() if k != "last"}}
    return next(row for row in ledger.close(numbers) if row.stream == stream)


def counts(row: LedgerRow) -> dict[str, int]:
    names = ("owed", "received", "conflated", "lost", "duplicate", "reordered", "late", "leaked")
    return {name: getattr(row, name) for name in names if getattr(row, name)}


def test_everything_owed_and_received_leaves_nothing_lost() -> None:
    ledger, account = joined(at=10)
    for seq in (11, 12, 13):
        account.received("price:update", price(seq))
    assert counts(row(ledger, last=13)) == {"owed": 3, "received": 3}


def test_numbers_after_the_last_told_are_leaked_unless_the_gateway_publishes_by_itself() -> None:
    for is_sourced, expected in (
        (False, {"owed": 1, "received": 1, "leaked": 2}),
        (True, {"owed": 4, "received": 3, "lost": 1}),
    ):
        ledger = Ledger(is_sourced=is_sourced)
        account = Account("vu-1", "subscriber")
        ledger.keep(account)
        account.welcome({"userSeq": 0, "epoch": "e"})
        account.subscribed({"rooms": [ROOM], "at": {STREAM: 10}})
        for seq in (11, 13, 14):
            account.received("price:update", price(seq))
        assert counts(row(ledger, last=11)) == expected


@given(st.data())
def test_the_ledger_finds_exactly_what_was_removed(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 50))
    last = start + data.draw(st.integers(0, 60))
    numbers = list(range(start + 1, last + 1))
    lost = data.draw(st.sets(st.sampled_from(numbers))) if numbers else set()
    arrived = [number for number in numbers if number not in lost]
    order = data.draw(st.permutations(arrived))
    again = data.draw(st.lists(st.sampled_from(arrived), max_size=5)) if arrived else []
    ledger, account = joined(at=start)
    highest, late = start, 0
    for number in order:
        account.received("price:update", price(number))
        late += number < highest
        highest = max(highest, number)
    for number in again:
        account.received("price:update", price(number))
    found = row(ledger, last=last)
    assert found.owed == len(numbers)
    assert found.lost == len(lost)
    assert found.received == len(arrived)
    assert found.reordered == late
    assert found.duplicate == len(again)
    assert (found.conflated, found.leaked) == (0, 0)


def test_what_was_conflated_is_not_lost() -> None:
    ledger, account = joined()
    account.received("price:update", price(1))
    account.received("price:update", price(5, previous=1))
    account.received("price:update", price(9, previous=6))
    assert counts(row(ledger, last=9)) == {"owed": 9, "received": 3, "conflated": 5, "lost": 1}


def test_a_silent_tail_is_lost() -> None:
    ledger, account = joined()
    account.received("price:update", price(1))
    assert counts(row(ledger, last=4)) == {"owed": 4, "received": 1, "lost": 3}


def test_nothing_is_owed_until_the_tail_has_come() -> None:
    ledger, account = joined()
    account.received("price:update", price(1))
    assert not ledger.owes_nothing({STREAM: 2})
    account.received("price:update", price(2))
    assert ledger.owes_nothing({STREAM: 2})


def test_a_gap_is_outstanding_until_it_is_filled() -> None:
    ledger, account = joined()
    account.received("price:update", price(3))
    assert not ledger.owes_nothing({STREAM: 3})
    account.received("price:update", price(2))
    account.received("price:update", price(1))
    assert ledger.owes_nothing({STREAM: 3})


def test_a_delivery_before_the_join_or_after_the_leave_is_a_leak() -> None:
    ledger, account = joined(at=5)
    account.received("price:update", price(5))
    account.received("price:update", price(6))
    account.unsubscribed({"rooms": [ROOM], "at": {STREAM: 6}})
    account.received("price:update", price(7))
    assert counts(row(ledger, last=9)) == {"owed": 1, "received": 1, "leaked": 2}


def test_a_delivery_that_the_leave_says_was_not_owed_is_a_leak() -> None:
    ledger, account = joined()
    for seq in (1, 2, 3):
        account.received("price:update", price(seq))
    account.unsubscribed({"rooms": [ROOM], "at": {STREAM: 2}})
    assert counts(row(ledger, last=3)) == {"owed": 2, "received": 2, "leaked": 1}


def test_what_was_owed_and_comes_after_the_answer_that_ended_the_stay_is_late() -> None:
    ledger, account = joined(at=5)
    account.received("price:update", price(6))
    account.unsubscribed({"rooms": [ROOM], "at": {STREAM: 8}})
    account.received("price:update", price(8))
    account.received("price:update", price(8))
    assert counts(row(ledger, last=9)) == {
        "owed": 3,
        "received": 2,
        "lost": 1,
        "late": 1,
        "leaked": 1,
    }


def test_a_late_delivery_of_an_earlier_stay_is_none_of_the_next() -> None:
    ledger, account = joined()
    account.unsubscribed({"rooms": [ROOM], "at": {STREAM: 2}})
    account.subscribed({"rooms": [ROOM], "at": {STREAM: 5}})
    account.received("price:update", price(2))
    account.received("price:update", price(6))
    found = counts(row(ledger, last=6))
    assert found == {"owed": 3, "received": 2, "lost": 1, "late": 1}


@given(st.data())
def test_with_conflation_every_number_ends_up_in_exactly_one_column(data: st.DataObject) -> None:
    """Cut the numbers into frames; drop some frames, swap and repeat others."""
    last = data.draw(st.integers(1, 60))
    cuts = sorted(data.draw(st.sets(st.integers(1, last))) | {last})
    frames = list(zip([0, *cuts[:-1]], cuts, strict=True))  # (prevSeq, seq)
    dropped = data.draw(st.sets(st.sampled_from(frames)))
    arrived = [frame for frame in frames if frame not in dropped]
    again = data.draw(st.lists(st.sampled_from(arrived), max_size=3)) if arrived else []
    ledger, account = joined()
    for previous, seq in [*arrived, *again]:
        account.received("price:update", price(seq, previous))
    found = row(ledger, last=last)
    assert found.owed == last == found.received + found.conflated + found.lost
    assert found.received == len(arrived)
    assert found.conflated == sum(seq - previous - 1 for previous, seq in arrived)
    assert found.lost == sum(seq - previous for previous, seq in dropped)
    assert found.duplicate == len(again)
    assert (found.reordered, found.late, found.leaked) == (0, 0, 0)


def test_a_stream_that_was_never_subscribed_leaks() -> None:
    ledger, account = joined()
    account.received("price:update", {"symbol": "ETH/USDT", "seq": 1})
    found = row(ledger, stream="price:ETH/USDT")
    assert (found.clients, counts(found)) == (0, {"leaked": 1})


def test_a_user_may_come_and_go_and_is_owed_each_stay() -> None:
    ledger, account = joined()
    account.received("price:update", price(1))
    account.unsubscribed({"rooms": [ROOM], "at": {STREAM: 1}})
    account.subscribed({"rooms": [ROOM], "at": {STREAM: 8}})
    account.received("price:update", price(9))
    assert counts(row(ledger, last=10)) == {"owed": 3, "received": 2, "lost": 1}


def test_a_symbol_without_a_mark_starts_at_nothing() -> None:
    ledger = Ledger()
    account = Account("vu-1", "subscriber")
    ledger.keep(account)
    account.subscribed({"rooms": [ROOM], "at": {}})
    account.received("price:update", price(1))
    assert counts(row(ledger, last=1)) == {"owed": 1, "received": 1}


def test_the_whole_market_covers_symbols_that_come_later() -> None:
    ledger = Ledger()
    account = Account("vu-1", "subscriber")
    ledger.keep(account)
    account.subscribed({"rooms": ["market-data"], "at": {"price:ETH/USDT": 3}})
    account.received("price:update", price(1))
    assert counts(row(ledger, last=1)) == {"owed": 1, "received": 1}


def test_a_snapshot_is_no_delivery() -> None:
    ledger, account = joined(at=4)
    account.received("price:update", price(4, snapshot=True))
    assert counts(row(ledger, last=4)) == {}


def test_a_lost_connection_is_owed_no_more_than_it_got() -> None:
    ledger, account = joined()
    account.received("price:update", price(1))
    account.disconnected()
    account.welcome({"userSeq": 0, "epoch": "e"})
    assert counts(row(ledger, last=50)) == {"owed": 1, "received": 1}


def test_the_owners_form_counts_for_both_of_its_streams() -> None:
    ledger, account = joined()
    account.subscribed({"rooms": ["trading"], "at": {"trading": 2}})
    account.received("order:created", own("vu-1", seq=3, userSeq=1))
    account.received("order:created", order(seq=4))
    last = {"trading": 4, "user:vu-1": 1}
    found = {row.stream: counts(row) for row in ledger.close(last)}
    assert found["trading"] == {"owed": 2, "received": 2}
    assert found["user"] == {"owed": 1, "received": 1}


def test_the_owner_outside_the_room_is_owed_its_own_form_alone() -> None:
    ledger, account = joined()
    account.received("order:created", own("vu-1", seq=3, userSeq=1))
    found = {row.stream: counts(row) for row in ledger.close({"user:vu-1": 1, "trading": 3})}
    assert found["user"] == {"owed": 1, "received": 1}
    assert "trading" not in found


def test_the_public_form_outside_the_room_is_a_leak() -> None:
    ledger, account = joined()
    account.received("order:created", order(seq=3))
    assert counts(row(ledger, stream="trading")) == {"leaked": 1}


def test_another_users_order_is_a_leak_and_takes_no_number() -> None:
    ledger, account = joined()
    account.received("order:created", own("vu-2", userSeq=1))
    assert counts(row(ledger, stream="user")) == {"leaked": 1}


def test_a_secret_in_the_public_form_is_a_leak_beside_its_delivery() -> None:
    ledger, account = joined()
    account.subscribed({"rooms": ["trading"], "at": {"trading": 0}})
    account.received("order:created", own("vu-2", seq=1))
    found = row(ledger, stream="trading", trading=1)
    assert counts(found) == {"owed": 1, "received": 1, "leaked": 1}


def test_the_user_stream_starts_at_the_welcome() -> None:
    ledger, account = joined(user_seq=7)
    account.received("balance:updated", {"userSeq": 8})
    found = next(r for r in ledger.close({"user:vu-1": 9}) if r.stream == "user")
    assert counts(found) == {"owed": 2, "received": 1, "lost": 1}


def test_rows_sum_over_the_clients_of_a_group() -> None:
    ledger = Ledger()
    for user in ("vu-1", "vu-2", "vu-3"):
        account = Account(user, "trader" if user == "vu-3" else "subscriber")
        ledger.keep(account)
        account.subscribed({"rooms": [ROOM], "at": {}})
        account.received("price:update", price(1))
    rows = [r for r in ledger.close({STREAM: 2}) if r.stream == STREAM]
    assert [(r.group, r.clients, r.owed, r.received, r.lost) for r in rows] == [
        ("subscriber", 2, 4, 2, 2),
        ("trader", 1, 2, 1, 1),
    ]


def told(account: Account) -> list[tuple[LeakOutcome, str]]:
    found: list[tuple[LeakOutcome, str]] = []
    account.on_leak = lambda outcome, words: found.append((outcome, words))
    return found


def test_each_event_that_a_user_must_not_see_is_told_with_what_it_was() -> None:
    _, account = joined()
    leaks = told(account)
    account.received("order:created", own("vu-2", userSeq=1))
    account.received("balance:updated", {"reference": "balance:vu-2:1", "userSeq": 1})
    account.received("order:created", order(seq=1))
    account.received("price:update", {**price(1), "symbol": "ELSE"})
    account.subscribed({"rooms": ["trading"], "at": {"trading": 1}})
    account.received("order:created", own("vu-3", seq=2))
    assert leaks == [
        (LeakOutcome.FOREIGN, "order:created of vu-2"),
        (LeakOutcome.FOREIGN, "balance:updated of vu-2"),
        (LeakOutcome.UNSUBSCRIBED, "trading 1"),
        (LeakOutcome.UNSUBSCRIBED, "price:ELSE 1"),
        (LeakOutcome.PRIVATE_FIELD, "order:created: order.clientOrderId"),
    ]


def test_a_room_that_still_delivers_after_the_leave_is_told() -> None:
    _, account = joined()
    leaks = told(account)
    account.received("price:update", price(1))
    account.unsubscribed({"rooms": [ROOM], "at": {STREAM: 2}})
    account.received("price:update", price(2))  # owed, and late: no leak
    account.received("price:update", price(3))
    assert leaks == [(LeakOutcome.UNSUBSCRIBED, f"{STREAM} 3")]


def test_what_a_user_holds_and_owns_is_no_leak() -> None:
    _, account = joined()
    leaks = told(account)
    account.subscribed({"rooms": ["trading"], "at": {"trading": 0}})
    account.received("price:update", price(1))
    account.received("order:created", own("vu-1", seq=1, userSeq=1))
    account.received("order:created", order(seq=2, ts=1, timestamp="t", prevSeq=1))
    account.received("balance:updated", {"reference": "balance:vu-1:1", "userSeq": 2})
    assert leaks == []


def test_the_numbers_of_another_epoch_are_of_other_streams() -> None:
    ledger = Ledger()
    account = Account("u", "subscriber")
    ledger.keep(account)
    subscribed = {"rooms": ["market-data:A"], "at": {"price:A": 5}}
    account.welcome({"userSeq": 0, "epoch": "first"})
    account.subscribed(subscribed)
    account.received("price:update", {"symbol": "A", "seq": 8, "prevSeq": 7})  # 6 and 7 are lost
    account.disconnected()
    account.welcome({"userSeq": 0, "epoch": "second"})
    account.received("price:update", {"symbol": "A", "seq": 6, "prevSeq": 5})
    (row,) = [row for row in ledger.close({}) if row.stream == "price:A"]
    assert (row.owed, row.received, row.lost, row.late, row.leaked) == (3, 1, 2, 0, 1)
