"""A step of the wall clock changes nothing but the tokens that it makes expire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from deadlines import QUIET_S
from table_sizes import retained_entries

StartPlace = Callable[..., Awaitable[Any]]

DAY_S = 86_400
STEPS = pytest.mark.parametrize("step_s", [DAY_S, -DAY_S], ids=["forward", "back"])


async def test_a_step_past_exp_closes_the_connection_at_once(start_place: StartPlace) -> None:
    place = await start_place()
    now = int(place.clock.unix_s())
    client = await place.connect("ada", exp=now + 100)
    staying = await place.connect("bob", exp=now + 80_000)
    place.clock.step(1_000)
    assert (await client.expect("error"))["code"] == "TOKEN_EXPIRED"
    await place.until(lambda: len(place.gateway.context.sessions) == 1)
    await staying.emit("ping")
    await staying.expect("pong")
    assert staying.events == []


@pytest.mark.parametrize("wrong_s", [10_000, -10_000], ids=["ahead", "behind"])
async def test_exp_is_enforced_at_once_after_the_wall_clock_was_set_right(
    start_place: StartPlace, wrong_s: float
) -> None:
    place = await start_place()
    context, right_s = place.gateway.context, int(place.clock.unix_s())
    place.clock.step(wrong_s)
    early = await place.connect("ada", exp=right_s + 40_000)
    await asyncio.sleep(QUIET_S)  # the gateway looks at the wrong time meanwhile
    place.clock.step(-wrong_s)
    client = await place.connect("bob", exp=right_s + 100)
    place.clock.advance(41)
    assert (await client.expect("token:expiring"))["expiresAt"]
    place.clock.advance(60 + 31)
    assert (await client.expect("error"))["code"] == "TOKEN_EXPIRED"
    await place.until(lambda: len(context.sessions) == 1)
    await early.emit("ping")
    await early.expect("pong")


@STEPS
async def test_limits_and_retention_do_not_follow_the_wall_clock(
    start_place: StartPlace, step_s: float
) -> None:
    place = await start_place(
        {"GATEWAY_RATE_LIMIT": "1", "GATEWAY_ADDRESS_LIMIT_EXEMPT": "192.0.2.0/24"}
    )
    context = place.gateway.context
    client = await place.connect("ada")
    await client.emit("get-subscriptions")
    await client.expect("subscriptions")
    place.gateway.send_to_user("bob", "note", {})
    before = place.gateway.broadcast_to_room("lobby", "note", {})
    kept = retained_entries(context)
    assert {name: size for name, size in kept.items() if size} == {
        "user_windows": 1,
        "streams": 2,
        "addresses": 1,
    }

    context.expiries.cancel(client.welcome["clientId"])  # its token alone follows the wall clock
    place.clock.step(step_s)
    context.sweep()
    assert retained_entries(context) == kept
    after = place.gateway.broadcast_to_room("lobby", "note", {})
    assert (after["seq"], after["ts"]) == (2, before["ts"])
    await client.emit("get-subscriptions")
    refused = await client.expect("error")
    assert (refused["code"], refused["retryAfter"]) == ("RATE_LIMIT_EXCEEDED", 60_000)
    place.clock.advance(60)
    await client.emit("get-subscriptions")
    await client.expect("subscriptions")


@STEPS
async def test_heartbeats_do_not_follow_the_wall_clock(
    start_place: StartPlace, step_s: float
) -> None:
    place = await start_place({"GATEWAY_HEARTBEAT_SECONDS": "0.05"})
    client = await place.connect("ada")
    place.gateway.context.expiries.cancel(client.welcome["clientId"])
    first = await client.expect("heartbeat")
    place.clock.step(step_s)
    second = await client.expect("heartbeat")
    assert (second["seq"], second["ts"]) == (first["seq"] + 1, first["ts"])
