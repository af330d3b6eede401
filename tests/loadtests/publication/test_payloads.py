from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from gateway.contract import EVENTS, ORDER_BOOK_EVENT, PRICE_EVENT, TICKER_EVENT, Audience
from gateway.routing import public_form
from loadtests.oracles.canaries import owner_of, private_field_of
from loadtests.oracles.checksums import CHECK
from loadtests.publication.payloads import PayloadMaker

USERS = ["vu-1", "vu-2"]
BALANCE = "balance:updated"
FOR_OWNER_AND_PUBLIC = [
    name for name, row in EVENTS.items() if row.audience is Audience.OWNER_AND_PUBLIC
]


@pytest.fixture
def maker() -> PayloadMaker:
    return PayloadMaker(20, ["AAA/USDT", "BBB/USDT"], [0.9, 0.1], USERS)


def make(maker: PayloadMaker, event: str, source_us: int | None = 5) -> dict[str, Any]:
    return cast(dict[str, Any], maker.make(event, source_us=source_us, unix_s=0.0))


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        (PRICE_EVENT, {"symbol", "price"}),
        (TICKER_EVENT, {"symbol", "ticker"}),
        (ORDER_BOOK_EVENT, {"symbol", "orderBook"}),
    ],
)
def test_market_data_go_to_their_symbols_room_as_numbers(
    maker: PayloadMaker, event: str, keys: set[str]
) -> None:
    item = make(maker, event)
    assert item["data"].keys() == {*keys, CHECK}
    assert item["room"] == f"market-data:{item['data']['symbol']}"
    assert item["srcTs"] == 5
    assert "userId" not in item


@pytest.mark.parametrize("event", FOR_OWNER_AND_PUBLIC)
def test_trading_events_go_to_owner_and_room_in_one_publication(
    maker: PayloadMaker, event: str
) -> None:
    item = make(maker, event)
    assert item["room"] == EVENTS[event].channel
    assert item["userId"] in USERS
    content, check = item["data"].values()
    assert isinstance(check, str)
    assert not any(isinstance(value, int | float) for value in content.values())


@pytest.mark.parametrize("event", [*FOR_OWNER_AND_PUBLIC, BALANCE])
def test_every_private_event_names_its_owner(maker: PayloadMaker, event: str) -> None:
    seen: Counter[str] = Counter()
    canaries = set()
    for _ in range(50):
        item = make(maker, event)
        seen[item["userId"]] += 1
        assert owner_of(event, item["data"]) == item["userId"]
        canaries.add(str(item["data"]))
    assert set(seen) == set(USERS)
    assert len(canaries) == 50


@pytest.mark.parametrize("event", FOR_OWNER_AND_PUBLIC)
def test_the_public_form_of_what_is_published_keeps_the_owner_to_itself(
    maker: PayloadMaker, event: str
) -> None:
    data = make(maker, event)["data"]
    subject = EVENTS[event].subject
    assert subject is not None
    public = public_form(subject, data, key=b"k")
    assert private_field_of(event, {**public, "seq": 1, "ts": 1}) is None
    assert owner_of(event, public) is None
    assert private_field_of(event, data) is not None


def test_a_balance_goes_to_its_owner_alone_as_decimal_strings(maker: PayloadMaker) -> None:
    item = make(maker, BALANCE)
    assert "room" not in item
    (entry,) = item["data"]["balances"]
    assert item["data"]["balance"] == entry["total"]
    assert float(entry["available"]) + float(entry["reserved"]) == pytest.approx(
        float(entry["total"]), abs=0.011
    )


def test_without_owners_a_balance_goes_to_nobody_and_an_order_to_the_room_alone() -> None:
    maker = PayloadMaker(20, ["AAA/USDT"], [1.0], [])
    assert make(maker, BALANCE)["userId"] == "nobody"
    assert "userId" not in make(maker, "order:created")


def test_symbols_are_drawn_by_their_weight(maker: PayloadMaker) -> None:
    drawn = Counter(make(maker, PRICE_EVENT)["data"]["symbol"] for _ in range(1_000))
    assert 850 <= drawn["AAA/USDT"] <= 950


def test_a_seed_gives_the_same_publications(maker: PayloadMaker) -> None:
    twin = PayloadMaker(20, ["AAA/USDT", "BBB/USDT"], [0.9, 0.1], list(reversed(USERS)))
    for event in (PRICE_EVENT, "order:filled", ORDER_BOOK_EVENT):
        assert make(maker, event) == make(twin, event)


def test_without_one_clock_there_is_no_source_time(maker: PayloadMaker) -> None:
    assert "srcTs" not in make(maker, PRICE_EVENT, source_us=None)


def test_an_event_of_neither_family_is_refused(maker: PayloadMaker) -> None:
    with pytest.raises(ValueError, match="heartbeat"):
        make(maker, "heartbeat")
