"""The market source inside a gateway, with clients over the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from deadlines import poll_until
from exchange_server import KrakenServer, serving

from gateway.errors import SettingsError, SourceFailed
from gateway.server.app import Gateway
from gateway.server.checking import check_start
from gateway.settings import read_settings

StartPlace = Callable[..., Awaitable[Any]]

SECRET = "a-secret-of-these-tests-that-is-long-enough"
SIMULATED = {
    "GATEWAY_MARKET": "simulated",
    "GATEWAY_MARKET_SYMBOLS": "A,B,C",
    "GATEWAY_MARKET_RATE": "50",
    "GATEWAY_MARKET_MOST_PER_SECOND": "0",
}
KINDS = ("price:update", "ticker:update", "orderbook:update")


async def subscribe(client: Any, *symbols: str) -> None:
    await client.emit("subscribe", {"channel": "market-data", "symbols": list(symbols)})
    await client.expect("subscribed")


async def test_a_subscriber_gets_the_ticks_of_its_symbol_alone(start_place: StartPlace) -> None:
    place = await start_place(SIMULATED)
    client = await place.connect("ada")
    await subscribe(client, "A")
    while len(client.events) < 12:
        await client.read()
    events = client.events[:12]
    assert {payload["symbol"] for _, payload in events} == {"A"}
    for kind in KINDS:
        numbers = [payload["seq"] for name, payload in events if name == kind]
        assert numbers == [1, 2, 3, 4]
    ticker = next(payload["ticker"] for name, payload in events if name == "ticker:update")
    assert ticker["bid"] < ticker["price"] < ticker["ask"]
    assert [place.gateway.context.streams.last(f"price:{symbol}") for symbol in "BC"] == [0, 0]


async def test_the_whole_market_brings_every_symbol(start_place: StartPlace) -> None:
    place = await start_place(SIMULATED)
    client = await place.connect("ada")
    await client.emit("subscribe", {"channel": "market-data"})
    await client.expect("subscribed")
    while {payload["symbol"] for _, payload in client.events if "symbol" in payload} != set("ABC"):
        await client.read()


async def test_a_symbol_whose_subscribers_left_has_a_stale_snapshot(
    start_place: StartPlace,
) -> None:
    place = await start_place(SIMULATED | {"GATEWAY_MARKET_RATE": "5"})
    client = await place.connect("ada")
    await subscribe(client, "A")
    await client.expect("price:update")
    await client.socket.close()
    market = place.gateway.sources.market
    await place.until(lambda: place.gateway.context.subscriptions.symbol_count() == 0)
    place.clock.advance(60)
    await place.until(lambda: len(market._interest) == 0)
    last = place.gateway.context.streams.last("price:A")
    other = await place.connect("bob")
    await subscribe(other, "A")
    for kind in KINDS:
        snapshot = await other.expect(kind)
        assert (snapshot["stale"], snapshot["snapshot"]) == (True, True)
        assert kind != "price:update" or snapshot["seq"] == last
    while True:
        live = await other.expect("price:update")
        if "stale" not in live:
            break
    assert live["seq"] > last


async def test_clients_of_a_lost_exchange_are_told_and_resume(start_place: StartPlace) -> None:
    async with serving(KrakenServer()) as kraken:
        place = await start_place(
            {
                "GATEWAY_MARKET": "kraken",
                "GATEWAY_MARKET_URL": kraken.url,
                "GATEWAY_MARKET_SYMBOLS": KrakenServer.SYMBOL,
                "GATEWAY_MARKET_MOST_PER_SECOND": "0",
            }
        )
        client = await place.connect("ada")
        await subscribe(client, KrakenServer.SYMBOL)
        book = await client.expect("orderbook:update")
        assert book["orderBook"]["bids"][0] == {"price": 45283.5, "size": 0.1, "total": 0.1}
        await client.expect("price:update")
        await kraken.drop()
        stale = await client.expect("orderbook:update")
        assert stale["stale"] is True
        assert (stale["orderBook"], stale["seq"]) == (book["orderBook"], book["seq"] + 1)
        assert (await client.expect("price:update"))["stale"] is True
        live = await client.expect("orderbook:update")
        assert "stale" not in live
        assert live["seq"] == book["seq"] + 2


async def test_ten_thousand_turns_of_a_room_leave_nothing_upstream(
    start_place: StartPlace,
) -> None:
    async with serving(KrakenServer()) as kraken:
        place = await start_place(
            {
                "GATEWAY_MARKET": "kraken",
                "GATEWAY_MARKET_URL": kraken.url,
                "GATEWAY_MARKET_SYMBOLS": KrakenServer.SYMBOL,
                "GATEWAY_MARKET_RELEASE_SECONDS": "0",
            }
        )
        room = f"market-data:{KrakenServer.SYMBOL}"
        subscriptions = place.gateway.context.subscriptions
        subscriptions.join("a client", [room])
        await poll_until(lambda: len(kraken.subscriptions) == 2, "both subscriptions")
        subscriptions.drop("a client")
        for _ in range(10_000):
            subscriptions.join("a client", [room])
            subscriptions.drop("a client")
        await poll_until(lambda: not kraken.subscriptions, "the release")
        assert len(kraken.requests) < 30, "the turns do not reach the exchange one by one"
        feed = place.gateway.sources.market._feed
        await poll_until(lambda: not feed._keepers, "the end of every task")
        assert not kraken.subscriptions


async def test_a_recorded_run_is_replayed(start_place: StartPlace, tmp_path: Path) -> None:
    path = tmp_path / "session.parquet"
    place = await start_place(SIMULATED | {"GATEWAY_MARKET_RECORD": str(path)})
    client = await place.connect("ada")
    await subscribe(client, "A")
    recorded = [(await client.expect("price:update"))["price"] for _ in range(5)]
    await place.gateway.stop()
    other = await start_place(
        {
            "GATEWAY_MARKET": "replay",
            "GATEWAY_MARKET_FILE": str(path),
            "GATEWAY_MARKET_LOOP": "1",
            "GATEWAY_MARKET_MOST_PER_SECOND": "0",
        }
    )
    assert set(other.gateway.sources.market.symbols) == {"A", "B", "C"}
    again = await other.connect("bob")
    await subscribe(again, "A")
    prices: list[Any] = []
    while recorded[-1] not in prices or recorded[0] not in prices:
        prices.append((await again.expect("price:update"))["price"])


BASE = {"CLIENT_URL": "http://localhost:5173", "JWT_SECRET": SECRET, "HOST": "127.0.0.1"}


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"GATEWAY_MARKET": "replay"}, "GATEWAY_MARKET_FILE: required with GATEWAY_MARKET=replay"),
        ({"GATEWAY_MARKET_RECORD": "x"}, "GATEWAY_MARKET_RECORD: records a market source"),
        (
            {"GATEWAY_MARKET": "kraken", "GATEWAY_MARKET_SYMBOLS": "5"},
            "GATEWAY_MARKET_SYMBOLS: must name symbols of kraken",
        ),
        ({"GATEWAY_MARKET": "nyse"}, "GATEWAY_MARKET: must be one of off, simulated, replay"),
        ({"GATEWAY_MARKET_SYMBOLS": "btc usdt"}, "GATEWAY_MARKET_SYMBOLS: must be 1 to 1000"),
        ({"GATEWAY_MARKET_SYMBOLS": "1001"}, "GATEWAY_MARKET_SYMBOLS: must be 1 to 1000"),
        ({"GATEWAY_MARKET_SYMBOLS": "0"}, "GATEWAY_MARKET_SYMBOLS: must be 1 to 1000"),
        ({"GATEWAY_MARKET_URL": "ftp://x"}, "GATEWAY_MARKET_URL: must be the http or https URL"),
        ({"GATEWAY_MARKET_URL": "http://x/v2"}, "GATEWAY_MARKET_URL: must be the http or https"),
    ],
)
def test_a_wrong_setting_is_named(environ: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(BASE | environ, random_secret=SECRET)
    assert told in str(raised.value)


def test_serve_check_tells_of_the_market_and_of_what_would_stop_it(tmp_path: Path) -> None:
    record = tmp_path / "session.parquet"
    environ = BASE | SIMULATED | {"PORT": "0", "GATEWAY_MARKET_RECORD": str(record)}
    facts, problems = check_start(environ)
    assert "market: simulated, 3 symbols" in facts
    assert not problems
    assert not record.exists(), "a check records nothing"
    record.write_text("precious")
    _, problems = check_start(environ)
    assert problems == [f"GATEWAY_MARKET_RECORD: {record}: the file exists; name a new file"]
    record.unlink()
    absent = {"GATEWAY_MARKET": "replay", "GATEWAY_MARKET_FILE": str(record)}
    _, problems = check_start(BASE | {"PORT": "0"} | absent)
    assert len(problems) == 1
    assert problems[0].startswith(f"GATEWAY_MARKET_FILE: cannot read {record}")


async def test_a_session_that_is_not_there_stops_the_start() -> None:
    environ = BASE | {"GATEWAY_MARKET": "replay", "GATEWAY_MARKET_FILE": "/no/such/file"}
    with pytest.raises(SourceFailed, match="GATEWAY_MARKET_FILE: cannot read /no/such/file"):
        Gateway(read_settings(environ, random_secret=SECRET))
