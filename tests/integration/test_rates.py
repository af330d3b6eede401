"""A client's own rate: slots over sockets, `at`, snapshots, other events, and what it costs."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from table_sizes import connection_entries

from gateway.contract import MAX_RATES, ErrorCode

StartPlace = Callable[..., Awaitable[Any]]
SYMBOL = "BTC/USDT"
PRICES = f"price:{SYMBOL}"


def publish(place: Any, count: int = 1, symbol: str = SYMBOL, **fields: Any) -> None:
    for _ in range(count):
        place.gateway.broadcast_to_room(
            "market-data", "price:update", {"symbol": symbol, "price": 1, **fields}
        )


async def ask(client: Any, event: str, *symbols: str, **payload: Any) -> Any:
    await client.emit(event, {"channel": "market-data", "symbols": list(symbols), **payload})
    return await client.expect("subscribed" if event == "subscribe" else "unsubscribed")


async def price(client: Any) -> tuple[int, int | None]:
    """Return number and previous number of the next price."""
    payload = await client.expect("price:update")
    return payload["seq"], payload.get("prevSeq")


def tick(place: Any, seconds: float = 1.0) -> None:
    """Let a slot of every tier begin: timers run by real time, slots by the test's clock."""
    place.clock.advance(seconds)


async def test_a_slot_brings_the_newest_event_and_the_last_one_when_a_symbol_falls_silent(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    client, every = await place.connect("ada"), await place.connect("bob")
    answer = await ask(client, "subscribe", SYMBOL, maxRate=20)
    assert (answer["maxRate"], answer["at"][PRICES]) == (20, 0)
    assert "maxRate" not in await ask(every, "subscribe", SYMBOL)
    publish(place, 7)
    assert await price(client) == (7, 0)
    assert [await price(every) for _ in range(7)] == [(n, n - 1) for n in range(1, 8)]
    tick(place)
    publish(place, 2)
    assert await price(client) == (9, 7)
    assert client.events == []


async def test_all_members_get_one_frame_that_is_encoded_once(start_place: StartPlace) -> None:
    place = await start_place()
    clients = [await place.connect(user) for user in ("ada", "bob", "cy")]
    for client in clients:
        await ask(client, "subscribe", SYMBOL, maxRate=20)
    frames: list[Any] = []
    submit = place.gateway.transport.fanout.submit

    def submitting(lane: Any, parcel: Any, sessions: Any, *more: Any, **named: Any) -> None:
        if b"price:update" in parcel.frame:
            frames.append((parcel, len(sessions)))
        submit(lane, parcel, sessions, *more, **named)

    place.gateway.transport.fanout.submit = submitting
    publish(place, 3)
    assert [await price(client) for client in clients] == [(3, 0)] * 3
    assert [receivers for _, receivers in frames] == [3]


async def test_a_client_moves_between_rates_without_a_gap_or_a_repetition(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    client = await place.connect("ada")
    await ask(client, "subscribe", SYMBOL, maxRate=1)
    last = 0
    for rate in (5, None, 2, 20, 20, None):
        publish(place, 3)
        more = {} if rate is None else {"maxRate": rate}
        answer = await ask(client, "subscribe", SYMBOL, **more)
        came = [payload for name, payload in client.events if name == "price:update"]
        client.events.clear()
        for payload in came:
            assert payload["prevSeq"] == last
            last = payload["seq"]
            assert "snapshot" not in payload
        assert answer["at"][PRICES] == last
        assert answer.get("maxRate") == rate
    publish(place)
    assert await price(client) == (19, 18)


async def test_a_snapshot_is_cut_at_the_mark_of_the_new_member(start_place: StartPlace) -> None:
    place = await start_place()
    member, client = await place.connect("ada"), await place.connect("bob")
    await ask(member, "subscribe", SYMBOL, maxRate=1)
    publish(place, 4, price=4)  # they wait for the slot
    answer = await ask(client, "subscribe", SYMBOL, maxRate=1)
    snapshot = await client.expect("price:update")
    assert (snapshot["snapshot"], snapshot["seq"], snapshot["price"]) == (True, 4, 4)
    assert answer["at"][PRICES] == 4
    publish(place, 2)
    assert await price(member) == (6, 0)
    assert await price(client) == (6, 4)


async def test_the_whole_market_has_a_rate_too_and_a_symbol_its_own(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    client = await place.connect("ada")
    await ask(client, "subscribe", maxRate=20)
    await ask(client, "subscribe", SYMBOL)
    publish(place, 2)
    publish(place, 2, "NEW")
    assert [await price(client) for _ in range(3)] == [(1, 0), (2, 1), (2, 0)]
    await client.emit("get-subscriptions")
    answer = await client.expect("subscriptions")
    assert answer["maxRate"] == {"market-data": 20}
    assert answer["subscriptions"] == ["market-data", f"market-data:{SYMBOL}"]
    await ask(client, "unsubscribe", SYMBOL)
    tick(place)
    publish(place, 3)
    assert await price(client) == (5, 2)


async def test_a_client_that_leaves_is_told_what_it_got(start_place: StartPlace) -> None:
    place = await start_place()
    client = await place.connect("ada")
    await ask(client, "subscribe", SYMBOL, maxRate=1)
    publish(place, 3)
    assert (await ask(client, "unsubscribe", SYMBOL))["at"][PRICES] == 0
    assert client.events == []


async def test_other_events_of_the_room_are_not_limited(start_place: StartPlace) -> None:
    place = await start_place()
    client = await place.connect("ada")
    await ask(client, "subscribe", SYMBOL, maxRate=1)
    for _ in range(3):
        place.gateway.broadcast_to_room(f"market-data:{SYMBOL}", "halt", {})
    assert [(await client.expect("halt"))["seq"] for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("rate", [0, 3, 21, -1, 2.5, "5", True, [5], {}])
async def test_another_rate_is_refused_and_changes_nothing(
    start_place: StartPlace, rate: object
) -> None:
    place = await start_place()
    client = await place.connect("ada")
    await client.emit("subscribe", {"channel": "market-data", "maxRate": rate})
    error = await client.expect("error")
    assert error["code"] == ErrorCode.INVALID_PAYLOAD
    assert error["message"] == f"maxRate must be one of {', '.join(map(str, MAX_RATES))} a second"
    assert len(place.gateway.context.subscriptions) == 0


@pytest.mark.parametrize("channel", ["trading", "llm"])
async def test_only_market_data_have_a_rate(start_place: StartPlace, channel: str) -> None:
    place = await start_place()
    client = await place.connect("ada")
    await client.emit("subscribe", {"channel": channel, "maxRate": 5})
    assert (await client.expect("error"))["code"] == ErrorCode.INVALID_PAYLOAD
    await client.emit("subscribe", {"channel": channel, "maxRate": None})
    assert (await client.expect("subscribed"))["rooms"] == [channel]


async def test_a_client_that_does_not_read_has_honest_numbers_at_its_rate(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    client = await place.connect("ada")
    session = place.gateway.transport.participants.find(client.welcome["clientId"]).session
    await ask(client, "subscribe", SYMBOL, maxRate=20)
    session.is_clear, session._is_blocked = False, True
    conflated = place.gateway.transport.engine.counts.conflated
    for _ in range(3):
        publish(place, 4)
        tick(place)
        await place.until(lambda: not place.gateway.context.rates.tiers._tiers[20]._due)
    await place.until(lambda: session.waiting_bytes > 0)
    await place.until(lambda: place.gateway.transport.engine.counts.conflated == conflated + 2)
    session._is_blocked = False
    session.flow()
    assert await price(client) == (12, 0)


async def test_nothing_is_left_of_a_client_that_has_gone(start_place: StartPlace) -> None:
    place = await start_place()
    client = await place.connect("ada")
    await ask(client, "subscribe", SYMBOL, "A", maxRate=5)
    await ask(client, "subscribe", maxRate=1)
    publish(place)
    assert connection_entries(place.gateway.context)["rates"] == 1
    await client.socket.close()
    await place.until(lambda: not len(place.gateway.context.sessions))
    tiers = place.gateway.context.rates.tiers
    assert (len(tiers), tiers.carriers, tiers.apart) == (0, {}, {})
    assert connection_entries(place.gateway.context)["rates"] == 0


def calls_of(action: Callable[[], None]) -> int:
    """Return how many functions, of Python and of C, an action calls the second time."""
    action()  # starts the fan-out, which is running the second time
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


async def test_a_publication_costs_nothing_more_when_no_client_has_a_rate(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    client, limited = await place.connect("ada"), await place.connect("bob")
    await ask(client, "subscribe", SYMBOL)
    publish(place, 3)

    def once() -> None:
        publish(place)

    plain = calls_of(once)
    await ask(limited, "subscribe", SYMBOL, maxRate=1)
    assert calls_of(once) > plain
    await ask(limited, "unsubscribe", SYMBOL)
    assert calls_of(once) == plain
