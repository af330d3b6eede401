"""How old held prices are, from pushes, snapshots and departures."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.reading.accounts import FastPathAccount
from loadtests.reading.batches import Batch
from loadtests.reading.fast_path import FastPath
from loadtests.reading.intake import Intake
from loadtests.reading.staleness import WATCHED_EACH, WATCHED_FIRST, HeldPrices, is_watched

US = 1_000


class User:
    """A user with an account, watched."""

    def __init__(self, prices: HeldPrices, intake: Intake, owner: int) -> None:
        self.fast_path = FastPath(intake, owner)
        self.account = FastPathAccount(f"vu-{owner}", "subscriber", self.fast_path)
        prices.watch(owner, self.account)

    def subscribe(self, *symbols: str) -> None:
        at = {f"{kind}:{symbol}": 0 for kind in ("price", "ticker", "book") for symbol in symbols}
        rooms = [f"market-data:{symbol}" for symbol in symbols]
        self.account.subscribed({"at": at, "rooms": rooms})

    def unsubscribe(self, symbol: str) -> None:
        at = {f"{kind}:{symbol}": 9 for kind in ("price", "ticker", "book")}
        self.account.unsubscribed({"at": at, "rooms": [f"market-data:{symbol}"]})


@pytest.fixture
def intake() -> Intake:
    return Intake()


@pytest.fixture
def prices() -> HeldPrices:
    return HeldPrices()


def batch(intake: Intake, *events: tuple[int, str, str, int]) -> Batch:
    """Return a batch of events (owner, name, symbol, ts in µs)."""
    for number, (owner, name, symbol, ts_us) in enumerate(events, 1):
        payload: dict[str, Any] = {"symbol": symbol, "seq": number, "ts": ts_us}
        intake.take(ts_us * US + 5, owner, name, payload)
    found = intake.drain()
    assert found is not None
    return found


def test_the_sample_is_one_in_twenty_and_twenty_at_least() -> None:
    assert sum(map(is_watched, range(20))) == WATCHED_FIRST
    assert sum(map(is_watched, range(10_000))) == WATCHED_FIRST + 10_000 // WATCHED_EACH - 1


def test_the_newest_price_of_each_symbol_held_is_as_old_as_its_number(
    intake: Intake, prices: HeldPrices
) -> None:
    user = User(prices, intake, 3)
    user.subscribe("A", "B", "C")
    prices.take(
        batch(
            intake,
            (3, "price:update", "A", 10),
            (3, "price:update", "A", 20),
            (3, "price:update", "B", 15),
            (3, "ticker:update", "A", 90),
            (4, "price:update", "A", 95),
        )
    )
    assert sorted(prices.ages_ns(100 * US).tolist()) == [80 * US, 85 * US]


def test_what_was_left_is_not_held_and_what_never_had_a_price_is_none(
    intake: Intake, prices: HeldPrices
) -> None:
    user = User(prices, intake, 0)
    user.subscribe("A", "B")
    prices.take(batch(intake, (0, "price:update", "A", 10), (0, "price:update", "B", 20)))
    user.unsubscribe("A")
    assert prices.ages_ns(100 * US).tolist() == [80 * US]
    user.account.disconnected()
    assert prices.ages_ns(100 * US).tolist() == []


def test_a_snapshot_is_a_price_and_gives_way_to_newer_ones_alone(
    intake: Intake, prices: HeldPrices
) -> None:
    user = User(prices, intake, 0)
    user.subscribe("A")
    slot = intake.slot_of("price:A")
    prices.hold(0, slot, 30 * US)
    prices.hold(0, slot, 20 * US)
    assert prices.ages_ns(100 * US).tolist() == [70 * US]


def test_nobody_watched_is_nobody_asked(intake: Intake, prices: HeldPrices) -> None:
    prices.take(batch(intake, (5_000, "price:update", "A", 10)))
    assert prices.ages_ns(100).tolist() == []


def test_an_owner_beyond_all_that_are_watched_is_none_of_them(
    intake: Intake, prices: HeldPrices
) -> None:
    User(prices, intake, 1_023).subscribe("A")
    prices.take(batch(intake, (5_000, "price:update", "A", 10)))
    assert prices.ages_ns(100 * US).tolist() == []
    assert prices.size == 0


def test_ages_are_by_the_gateways_clock(intake: Intake, prices: HeldPrices) -> None:
    User(prices, intake, 0).subscribe("A")
    intake.offset_ns = 1_000 * US
    prices.take(batch(intake, (0, "price:update", "A", 1_010)))
    assert prices.ages_ns(100 * US).tolist() == [90 * US]
