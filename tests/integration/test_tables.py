"""What a gateway keeps of those who left: nothing of a connection, and of a user only a while."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from deadlines import DEADLINE_S
from structlog.testing import capture_logs
from table_sizes import connection_entries, retained_entries

StartPlace = Callable[..., Awaitable[Any]]


async def test_a_thousand_connects_and_drops_leave_every_table_empty(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    context = place.gateway.context
    for batch in range(20):
        clients = [await place.connect(f"user-{batch}-{n}") for n in range(50)]
        for client in clients:
            await client.emit("subscribe", {"channel": "market-data", "symbols": ["BTC/USDT"]})
            await client.expect("subscribed")
        for client in clients:
            await client.socket.close()
        await place.until(lambda: len(context.sessions) == 0)

    assert set(connection_entries(context).values()) == {0}
    assert not place.gateway.transport.manager.rooms
    assert not place.gateway.transport.environ

    context.sweep()
    assert retained_entries(context)["user_windows"] == 1_000, "users are kept for their retention"

    place.clock.advance(place.gateway.settings.user_retention_seconds + 1)
    context.sweep()
    assert set(retained_entries(context).values()) == {0}


async def test_streams_are_kept_while_a_client_receives_them_and_for_the_retention(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    context, gateway = place.gateway.context, place.gateway
    client = await place.connect("ada")
    await client.emit("subscribe", {"channel": "market-data", "symbols": ["BTC/USDT"]})
    await client.expect("subscribed")

    def publish() -> None:
        for symbol in ("BTC/USDT", "ETH/USDT"):
            gateway.broadcast_to_room("market-data", "price:update", {"symbol": symbol})
        gateway.broadcast_to_room("lobby", "note", {})
        gateway.send_to_user("ada", "note", {})
        gateway.send_to_user("bob", "note", {})
        gateway.send_to_user("ada", "llm:stream:start", {"sessionId": "s"})

    def streams() -> set[str]:
        return {stream for page in context.streams.pages(100) for stream in page}

    publish()
    assert len(streams()) == 6
    for _ in range(3):
        place.clock.advance(gateway.settings.user_retention_seconds / 2 + 1)
        context.sweep()
    assert streams() == {"price:BTC/USDT", "user:ada"}
    publish()
    assert context.streams.last("price:BTC/USDT") == 2
    assert context.streams.last("price:ETH/USDT") == 1

    await client.socket.close()
    await place.until(lambda: len(context.sessions) == 0)
    place.clock.advance(gateway.settings.user_retention_seconds - 1)
    context.sweep()
    assert len(streams()) == 6
    place.clock.advance(2)
    context.sweep()
    assert set(retained_entries(context).values()) == {0}
    assert set(connection_entries(context).values()) == {0}


async def test_a_client_that_returns_has_nothing_of_its_old_connection(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    first = await place.connect("ada")
    await first.emit("subscribe", {"channel": "trading"})
    await first.expect("subscribed")
    await first.socket.close()
    await place.until(lambda: len(place.gateway.context.sessions) == 0)

    again = await place.connect("ada")
    assert again.welcome["clientId"] != first.welcome["clientId"]
    await again.emit("get-subscriptions")
    assert (await again.expect("subscriptions"))["subscriptions"] == []


async def test_a_handler_that_raises_neither_disconnects_nor_tells_why(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    client = await place.connect("ada")

    def fail(*_: object) -> None:
        raise RuntimeError("the inner workings")

    place.gateway.context.subscriptions.of = fail
    with capture_logs() as lines:
        await client.emit("get-subscriptions")
        error = await client.expect("error")
    assert error["code"] == "INTERNAL_ERROR"
    assert "inner workings" not in str(error)
    failures = [line for line in lines if line["event"] == "handler failed"]
    assert [line["client"] for line in failures] == [client.welcome["clientId"]]
    assert failures[0]["exc_info"], "logged with its stack"

    await client.emit("ping")
    assert (await client.expect("pong"))["received"] > 0


async def test_a_fault_of_the_gateway_s_own_at_connect_closes_so_that_the_client_tries_again(
    start_place: StartPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await start_place()

    def fail(*_: object) -> None:
        raise RuntimeError("the inner workings")

    monkeypatch.setattr(place.gateway._authenticator, "verify", fail)
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(f"{place.url}/socket.io/?EIO=4&transport=websocket")
        assert (await socket.receive_str()).startswith("0{")
        await socket.send_str("40" + json.dumps({"token": place.token("ada")}))
        message = await socket.receive(DEADLINE_S)
        assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}, message.data
    assert len(place.gateway.context.sessions) == 0


async def test_a_token_is_told_of_before_it_expires_and_closed_when_it_has(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    now = int(place.clock.unix_s())
    client = await place.connect("ada", exp=now + 100)
    place.clock.advance(41)
    place.gateway.connections.watch_expiries()
    expiring = await client.expect("token:expiring")
    assert expiring["expiresAt"].endswith("Z")

    place.clock.advance(60 + 31)
    place.gateway.connections.watch_expiries()
    assert (await client.expect("error"))["code"] == "TOKEN_EXPIRED"
    await place.until(lambda: len(place.gateway.context.sessions) == 0)


async def test_a_refreshed_token_carries_a_connection_past_the_old_expiry(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    now = int(place.clock.unix_s())
    client = await place.connect("ada", exp=now + 100)
    await client.emit("token:refresh", {"token": place.token("ada", exp=now + 3_000)})
    assert (await client.expect("token:refreshed"))["expiresAt"]
    place.clock.advance(140)
    place.gateway.connections.watch_expiries()
    await client.emit("ping")
    assert await client.expect("pong")
    assert [name for name, _ in client.events] == []


async def test_the_longest_silent_connection_of_a_user_makes_room_for_a_new_one(
    start_place: StartPlace,
) -> None:
    place = await start_place({"GATEWAY_MAX_CONNECTIONS_PER_USER": "2"})
    silent = await place.connect("ada")
    place.clock.advance(1)
    busy = await place.connect("ada")
    place.clock.advance(1)
    await busy.emit("ping")
    await busy.expect("pong")
    newest = await place.connect("ada")  # kept: who lets go of a client closes it
    assert (await silent.expect("error"))["code"] == "TOO_MANY_CONNECTIONS"
    await place.until(lambda: len(place.gateway.context.sessions) == 2)
    staying = {session.sid for session in place.gateway.context.sessions}
    assert staying == {busy.welcome["clientId"], newest.welcome["clientId"]}


async def test_heartbeats_share_one_counter(start_place: StartPlace) -> None:
    place = await start_place({"GATEWAY_HEARTBEAT_SECONDS": "0.05"})
    ada, bob = await place.connect("ada"), await place.connect("bob")
    for client in (ada, bob):
        first = await client.expect("heartbeat")
        second = await client.expect("heartbeat")
        assert second["seq"] == first["seq"] + 1
        assert second["ts"] >= first["ts"]


async def test_the_names_inside_a_process_publish_as_the_route_does(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    client = await place.connect("ada")
    await client.emit("subscribe", {"channel": "market-data"})
    await client.expect("subscribed")
    gateway = place.gateway
    receipt = gateway.broadcast_to_room(
        "market-data", "price:update", {"symbol": "BTC/USDT", "price": 1.5}
    )
    assert receipt["stream"] == "price:BTC/USDT"
    price = await client.expect("price:update")
    assert (price["seq"], price["prevSeq"], price["price"]) == (1, 0, 1.5)
    gateway.send_to_user("ada", "note", {"n": 1})
    assert (await client.expect("note"))["userSeq"] == 1
    gateway.send_to_client(client.welcome["clientId"], "note", {"n": 2})
    assert "userSeq" not in await client.expect("note")
    gateway.publish(
        {"userId": "ada", "room": "trading", "event": "order:created", "data": {"order": {"id": 7}}}
    )
    assert (await client.expect("order:created"))["userSeq"] == 2
    stats = gateway.get_stats()
    assert stats["connectedClients"] == 1
    assert stats["clients"][0]["subscriptions"] == ["market-data"]


async def test_the_log_says_how_many_streams_were_forgotten_early(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    context = place.gateway.context
    context.streams._most = 2
    with capture_logs() as lines:
        for number in range(5):
            place.gateway.broadcast_to_room(f"room {number}", "note", {})
        context.sweep()
        context.sweep()
    told = [line["count"] for line in lines if line["event"].startswith("too many streams")]
    assert told == [3]


async def test_the_list_of_all_streams_is_written_in_turns_of_the_loop(
    start_place: StartPlace,
) -> None:
    place = await start_place()
    streams, loop = place.gateway.context.streams, asyncio.get_running_loop()
    for number in range(5_000):
        streams.next(f"llm:{number}", 0)
    turns, turns_of_pages, is_over = 0, [], False
    pages = streams.pages

    def turn() -> None:
        nonlocal turns
        turns += 1
        if not is_over:
            loop.call_soon(turn)

    def noted(size: int) -> Iterator[dict[str, int]]:
        for page in pages(size):
            turns_of_pages.append(turns)
            yield page

    streams.pages = noted
    turn()
    headers = {"Authorization": f"Bearer {place.token('feed', scope='publish')}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{place.url}/api/v1/streams", headers=headers) as answer,
    ):
        assert len((await answer.json())["streams"]) == 5_000
    is_over = True
    assert len(set(turns_of_pages)) == len(turns_of_pages) == 5
