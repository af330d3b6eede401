"""A newly held symbol is followed by its last values, cut exactly at the answer's marks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.transport import Parcel

StartPlace = Callable[..., Awaitable[Any]]
MARKET = ("price:update", "ticker:update", "orderbook:update")


def publish(place: Any, symbol: str = "BTC/USDT", **fields: Any) -> None:
    """Publish a price, a ticker and a book of a symbol."""
    for event in MARKET:
        place.gateway.broadcast_to_room("market-data", event, {"symbol": symbol, **fields})


async def subscribe(client: Any, *symbols: str, **payload: Any) -> Any:
    await client.emit("subscribe", {"channel": "market-data", "symbols": list(symbols), **payload})
    return await client.expect("subscribed")


async def fence(client: Any) -> list[tuple[str, Any]]:
    """Return the market events that came, when an answer that overtakes none has come."""
    await client.emit("unsubscribe", {"channel": "market-data"})
    await client.expect("unsubscribed")
    market = [event for event in client.events if event[0] in MARKET]
    client.events.clear()
    return market


async def test_price_ticker_and_book_follow_with_their_own_stamps(start_place: StartPlace) -> None:
    place = await start_place()
    publish(place, price=1)
    place.clock.advance(1)
    receipt = place.gateway.publish(
        {
            "room": "market-data",
            "event": "price:update",
            "data": {"symbol": "BTC/USDT", "price": 2.5, "snapshot": False},
            "srcTs": 9,
        }
    )
    client = await place.connect("ada")
    at = (await subscribe(client, "BTC/USDT"))["at"]
    snapshots = await fence(client)
    assert [name for name, _ in snapshots] == list(MARKET)
    price, ticker, book = (payload for _, payload in snapshots)
    assert price.pop("timestamp").endswith("Z")
    assert price == {
        "symbol": "BTC/USDT",
        "price": 2.5,
        "seq": 2,
        "ts": receipt["ts"],
        "srcTs": 9,
        "snapshot": True,
    }
    assert (ticker["ts"], book["ts"]) == (receipt["ts"] - 1_000_000,) * 2
    assert [at[f"{kind}:BTC/USDT"] for kind in ("price", "ticker", "book")] == [
        payload["seq"] for _, payload in snapshots
    ]


async def test_live_events_go_on_where_the_snapshot_was_cut(start_place: StartPlace) -> None:
    place = await start_place()
    watcher = await place.connect("bob")
    await subscribe(watcher, "BTC/USDT")
    client = await place.connect("ada")
    for _ in range(5):
        publish(place)  # the lane is busy when the subscription is handled
        await client.emit("subscribe", {"channel": "market-data", "symbols": ["BTC/USDT"]})
        for _ in range(20):
            publish(place)
            await watcher.read()
        answer = await client.expect("subscribed")
        await client.emit("unsubscribe", {"channel": "market-data", "symbols": ["BTC/USDT"]})
        left = await client.expect("unsubscribed")
        came = [payload for name, payload in client.events if name == "price:update"]
        client.events.clear()
        mark, end = answer["at"]["price:BTC/USDT"], left["at"]["price:BTC/USDT"]
        assert [payload["seq"] for payload in came] == list(range(mark, end + 1))
        assert [payload.get("snapshot") for payload in came] == [True] + [None] * (end - mark)


async def test_a_symbol_without_a_value_or_already_held_has_no_snapshot(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    publish(place, "HELD")
    place.gateway.send_to_client("nobody", "price:update", {"symbol": "TOLD"})
    client = await place.connect("ada")
    await subscribe(client, "HELD", "NONE", "TOLD")
    assert len(await fence(client)) == 3
    publish(place, "NEW")
    await subscribe(client, "HELD", "NEW")
    assert {payload["symbol"] for _, payload in await fence(client)} == {"NEW"}
    await client.emit("unsubscribe", {"channel": "market-data", "symbols": ["HELD"]})
    await client.expect("unsubscribed")
    await subscribe(client, "HELD")
    assert len(await fence(client)) == 3, "it was left, so it is new again"


async def test_the_whole_market_has_no_snapshot(start_place: StartPlace) -> None:
    place = await start_place()
    publish(place)
    client = await place.connect("ada")
    await client.emit("subscribe", {"channel": "market-data"})
    await client.expect("subscribed")
    assert await fence(client) == []


async def test_a_snapshot_is_encoded_once_for_all_clients_and_anew_for_a_new_value(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    publish(place, price=1)
    encoded: list[str] = []
    state = place.gateway.transport.state

    def noted(event: str, data: Any, number: int) -> Parcel:
        encoded.append(event)
        parcel: Parcel = state(event, data, number)
        return parcel

    place.gateway.transport.state = noted
    for user in ("ada", "bob", "cy"):
        client = await place.connect(user)
        await subscribe(client, "BTC/USDT")
        assert [payload["price"] for _, payload in await fence(client)] == [1, 1, 1]
    assert encoded == list(MARKET)
    publish(place, price=2)
    client = await place.connect("di")
    await subscribe(client, "BTC/USDT")
    assert [payload["price"] for _, payload in await fence(client)] == [2, 2, 2]
    assert len(encoded) == 6


async def test_an_application_that_changes_a_payload_later_changes_no_snapshot(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    book = {"symbol": "A", "bids": [{"price": 1}]}
    place.gateway.broadcast_to_room(
        "market-data", "orderbook:update", {"symbol": "A", "orderBook": book}
    )
    book["bids"] = []
    client = await place.connect("ada")
    await subscribe(client, "A")
    ((_, payload),) = await fence(client)
    assert payload["orderBook"]["bids"] == [{"price": 1}]


async def test_snapshots_of_a_client_that_does_not_read_are_replaced_not_counted(
    start_place: StartPlace,
) -> None:
    place = await start_place({"GATEWAY_MAX_SEND_BYTES": "65536"})
    symbols = [f"S{n}" for n in range(20)]
    for symbol in symbols:
        publish(place, symbol, text="x" * 10_000)
    client = await place.connect("ada")
    session = place.gateway.transport.participants.find(client.welcome["clientId"]).session
    session.is_clear = False
    session._is_blocked = True
    await client.emit("subscribe", {"channel": "market-data", "symbols": symbols})
    await place.until(lambda: session.waiting_bytes > 500_000)
    assert session.is_open, "market data are no lossless bytes"
    publish(place, "S7")
    session._is_blocked = False
    session.flow()
    await client.expect("subscribed")
    while len(client.events) < 60:
        await client.read()
    market = await fence(client)
    assert len(market) == 60
    newer = [payload for _, payload in market if "snapshot" not in payload]
    assert [(one["symbol"], one["seq"], one["prevSeq"]) for one in newer] == [("S7", 2, 1)] * 3
