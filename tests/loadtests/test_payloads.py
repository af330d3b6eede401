from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from gateway.contract import MarketEvent, TradingEvent
from loadtests.payloads import PayloadMaker

USERS = ["vu-1", "vu-2"]


@pytest.fixture
def maker() -> PayloadMaker:
    return PayloadMaker(20, ["AAA/USDT", "BBB/USDT"], [0.9, 0.1], USERS)


def make(maker: PayloadMaker, event: str, source_us: int | None = 5) -> dict[str, Any]:
    return cast(dict[str, Any], maker.make(event, source_us=source_us, unix_s=0.0))


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        (MarketEvent.PRICE, {"symbol", "price"}),
        (MarketEvent.TICKER, {"symbol", "ticker"}),
        (MarketEvent.ORDER_BOOK, {"symbol", "orderBook"}),
    ],
)
def test_market_data_go_to_their_symbols_room_as_numbers(
    maker: PayloadMaker, event: MarketEvent, keys: set[str]
) -> None:
    item = make(maker, event)
    assert item["data"].keys() == keys
    assert item["room"] == f"market-data:{item['data']['symbol']}"
    assert item["srcTs"] == 5
    assert "userId" not in item


@pytest.mark.parametrize("event", list(TradingEvent), ids=str)
def test_trading_events_go_to_owner_and_room_in_one_publication(
    maker: PayloadMaker, event: TradingEvent
) -> None:
    item = make(maker, event)
    assert item["room"] == "trading"
    assert item["userId"] in USERS
    (content,) = item["data"].values()
    assert isinstance(content["quantity"], str)


def test_an_order_names_its_owner_as_a_canary_and_counts(maker: PayloadMaker) -> None:
    seen: Counter[str] = Counter()
    for _ in range(50):
        item = make(maker, TradingEvent.ORDER_CREATED)
        seen[item["userId"]] += 1
        assert item["data"]["order"]["clientOrderId"] == f"{item['userId']}:{seen[item['userId']]}"
    assert set(seen) == set(USERS)


def test_symbols_are_drawn_by_their_weight(maker: PayloadMaker) -> None:
    drawn = Counter(make(maker, MarketEvent.PRICE)["data"]["symbol"] for _ in range(1_000))
    assert 850 <= drawn["AAA/USDT"] <= 950


def test_a_seed_gives_the_same_publications(maker: PayloadMaker) -> None:
    twin = PayloadMaker(20, ["AAA/USDT", "BBB/USDT"], [0.9, 0.1], list(reversed(USERS)))
    for event in (MarketEvent.PRICE, TradingEvent.ORDER_FILLED, MarketEvent.ORDER_BOOK):
        assert make(maker, event) == make(twin, event)


def test_without_one_clock_there_is_no_source_time(maker: PayloadMaker) -> None:
    assert "srcTs" not in make(maker, MarketEvent.PRICE, source_us=None)


def test_an_event_of_neither_family_is_refused(maker: PayloadMaker) -> None:
    with pytest.raises(ValueError, match="heartbeat"):
        make(maker, "heartbeat")
