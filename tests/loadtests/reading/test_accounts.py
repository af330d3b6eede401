from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadtests.connection.protocol.websocket_frames import frame_end
from loadtests.oracles.ledger import Account
from loadtests.oracles.membership import StreamCounts
from loadtests.reading.accounts import FastPathAccount
from loadtests.reading.fast_path import FastPath
from loadtests.reading.intake import Intake

SYMBOLS = ("A", "B")
LAST = 12


def price(symbol: str, number: int, previous: int | None = None) -> dict[str, Any]:
    before = number - 1 if previous is None else previous
    return {"symbol": symbol, "seq": number, "prevSeq": before, "ts": 1}


def frame_of(name: str, payload: dict[str, Any]) -> bytes:
    data = b"42" + json.dumps([name, payload], separators=(",", ":")).encode()
    head = bytes([0x81, len(data)]) if len(data) < 126 else b"\x81\x7e" + len(data).to_bytes(2)
    return head + data


class Both:
    """The same deliveries to an account with a fast path and to one without."""

    def __init__(self) -> None:
        self.fast_path = FastPath(Intake(), 0)
        self.swift = FastPathAccount("vu-0", "g", self.fast_path)
        self.plain = Account("vu-0", "g")
        self.short_ways = 0
        for account in (self.swift, self.plain):
            account.welcome({"userSeq": 0, "epoch": "e"})

    def subscribe(self, symbols: tuple[str, ...], mark: int) -> None:
        answer = {
            "rooms": [f"market-data:{symbol}" for symbol in symbols],
            "at": {f"price:{symbol}": mark for symbol in symbols},
        }
        for account in (self.swift, self.plain):
            account.subscribed(answer)

    def unsubscribe(self, symbol: str, mark: int) -> None:
        answer = {"rooms": [f"market-data:{symbol}"], "at": {f"price:{symbol}": mark}}
        for account in (self.swift, self.plain):
            account.unsubscribed(answer)

    def deliver(self, name: str, payload: dict[str, Any]) -> None:
        frame = frame_of(name, payload)
        assert frame_end(frame, 0) == len(frame)
        if self.fast_path.take(frame, 0, 1) == len(frame):
            self.short_ways += 1
        else:
            self.swift.received(name, payload)
        self.plain.received(name, payload)

    def close(self) -> tuple[dict[str, StreamCounts], dict[str, StreamCounts]]:
        last = {f"price:{symbol}": LAST for symbol in SYMBOLS} | {"user:vu-0": 1}
        assert self.swift.owes_nothing(last) == self.plain.owes_nothing(last)
        return dict(self.swift.close(last)), dict(self.plain.close(last))


def test_what_comes_in_order_takes_the_short_way_and_is_accounted_for() -> None:
    both = Both()
    both.subscribe(("A",), 3)
    for number in range(4, LAST + 1):
        both.deliver("price:update", price("A", number))
    assert both.short_ways == LAST - 3
    swift, plain = both.close()
    assert swift == plain
    assert swift["price:A"] == StreamCounts(owed=LAST - 3, received=LAST - 3)


def test_a_public_form_that_tells_a_secret_is_never_taken_by_the_fast_path() -> None:
    both = Both()
    answer = {"rooms": ["trading"], "at": {"trading": 0}}
    for account in (both.swift, both.plain):
        account.subscribed(answer)
    order = {"symbol": "A", "side": "buy", "clientOrderId": "vu-3:1"}
    both.deliver("order:created", {"order": order, "seq": 1, "prevSeq": 0, "ts": 1})
    assert both.short_ways == 0
    swift, _ = both.close()
    assert swift["trading"].leaked == 1


def test_the_owners_form_counts_in_both_streams_and_the_fast_path_goes_on_after_it() -> None:
    both = Both()
    answer = {"rooms": ["trading"], "at": {"trading": 0}}
    for account in (both.swift, both.plain):
        account.subscribed(answer)
    public = {"order": {"symbol": "A"}, "ts": 1}
    both.deliver("order:created", {**public, "seq": 1, "prevSeq": 0})
    both.deliver("order:created", {**public, "seq": 2, "userSeq": 1})
    both.deliver("order:created", {**public, "seq": 3, "prevSeq": 2})
    assert both.short_ways == 2
    swift, plain = both.close()
    assert swift == plain
    assert (swift["trading"].received, swift["user"].received) == (3, 1)


def test_the_rooms_that_are_held_follow_from_the_streams_that_are_owed() -> None:
    both = Both()
    both.subscribe(SYMBOLS, 3)
    for account in (both.swift, both.plain):
        account.subscribed({"rooms": ["trading"], "at": {}})
    both.deliver("price:update", price("A", 7, 5))  # a gap turns the stream into a membership
    both.unsubscribe("B", 3)
    for account in (both.swift, both.plain):
        assert account.rooms() == frozenset(["trading", "market-data:A"])
        account.subscribed({"rooms": ["market-data"], "at": {}})
        assert account.rooms() is None


deliveries = st.tuples(
    st.sampled_from(SYMBOLS), st.integers(1, LAST), st.none() | st.integers(0, 3)
).map(lambda told: ("deliver", told))
steps = st.lists(
    deliveries
    | st.tuples(st.just("subscribe"), st.sampled_from(SYMBOLS), st.integers(0, LAST))
    | st.tuples(st.just("unsubscribe"), st.sampled_from(SYMBOLS), st.integers(0, LAST))
    | st.just(("disconnect",)),
    max_size=60,
)


@given(steps)
def test_an_account_with_a_fast_path_counts_what_one_without_counts(steps: list[Any]) -> None:
    both = Both()
    both.subscribe(SYMBOLS, 0)
    for kind, *told in steps:
        if kind == "deliver":
            symbol, number, skipped = told[0]
            previous = None if skipped is None else max(0, number - 1 - skipped)
            both.deliver("price:update", price(symbol, number, previous))
        elif kind == "subscribe":
            both.subscribe((told[0],), told[1])
        elif kind == "unsubscribe":
            both.unsubscribe(*told)
        else:
            both.swift.disconnected()
            both.plain.disconnected()
            both.fast_path.clear()
            for account in (both.swift, both.plain):
                account.welcome({"userSeq": 0, "epoch": "e"})
    swift, plain = both.close()
    assert swift == plain


@given(st.permutations(range(1, LAST + 1)), st.sets(st.integers(1, LAST)))
def test_any_order_and_any_loss_are_counted_alike(order: list[int], lost: set[int]) -> None:
    both = Both()
    both.subscribe(("A",), 0)
    for number in order:
        if number not in lost:
            both.deliver("price:update", price("A", number))
    swift, plain = both.close()
    assert swift == plain
    assert swift["price:A"].lost == len(lost)
