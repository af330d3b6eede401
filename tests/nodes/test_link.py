"""``LogLink`` and ``RedisBroker`` of one process on a real Redis."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from deadlines import PROMPT_S, poll_until
from redis_server import RedisServer

from gateway.brokers.redis.broker import RedisBroker
from gateway.brokers.redis.log_state import LogAway, LogState
from gateway.brokers.redis.terms import LogTerms
from gateway.nodes.entries import FORMAT, Draft, Entry, Route
from gateway.server.clock import SystemClock

pytestmark = pytest.mark.real_part("redis-server")


class RecordingNode:
    """A node that keeps what it gets, and that fails or is full where a test says so."""

    def __init__(self, broker: RedisBroker) -> None:
        self.got: list[int] = []
        self.is_full = False
        self.wants_all = True
        self.joins = 0
        broker.node = self

    def wants(self, route: Route) -> bool:
        return self.wants_all

    def publication(self, entry: Entry, *, follows: bool) -> None:
        n = json.loads(entry.bodies[0] + b'"":0}')["n"]
        if n < 0:
            raise RuntimeError("seeded")
        self.got.append(n)

    def message(self, name: str, body: bytes) -> None:
        """Take nothing."""

    def joined(self, joined: LogState, *, has_lost: bool, is_new_epoch: bool) -> None:
        self.joins += 1

    def is_congested(self) -> bool:
        return self.is_full


Made = tuple[RedisBroker, RecordingNode]
TERMS = LogTerms("", "{t}:", "a", 1_000, 60_000, 1_000, 60_000)


def draft(n: int) -> Draft:
    header = json.dumps([None, "clock", "room:x", None, []]).encode()
    return Draft("room:x", "", "", False, 0, header, b"}", (b'{"n":%d,' % n,))


def price_draft(price: int, clock: str) -> Draft:
    rooms = ["market-data", "market-data:A"]
    frame = ["price:update", ["seq", "prevSeq"], rooms, None, None, None]
    header = json.dumps([None, clock, "price:A", None, [frame]]).encode()
    body = b'{"price":%d,' % price
    return Draft("price:A", "", "", True, 5, header, b',"timestamp":"t"}', (body,))


@pytest.fixture
def redis(tmp_path: Path) -> Any:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
async def start(redis: RedisServer) -> AsyncIterator[Callable[[], Awaitable[Made]]]:
    brokers = []

    async def start_one() -> Made:
        broker = RedisBroker(TERMS._replace(url=redis.url), SystemClock())
        node = RecordingNode(broker)
        await broker.link.start(PROMPT_S)
        brokers.append(broker)
        return broker, node

    yield start_one
    for broker in brokers:
        await broker.link.stop()


async def test_a_publication_that_cannot_be_delivered_keeps_back_none_behind_it(
    start: Callable[[], Awaitable[Made]], capsys: pytest.CaptureFixture[str]
) -> None:
    broker, node = await start()
    for n in (1, -1, 2):
        await broker.link.append([draft(n)])
    assert node.got == [1, 2]
    assert (broker.applied, node.joins) == (3, 1)
    assert "publication not delivered" in capsys.readouterr().out


@pytest.mark.parametrize("is_own_clock", [True, False], ids=["own clock", "clock of another host"])
async def test_a_market_event_that_no_client_gets_is_only_kept_for_snapshots(
    is_own_clock: bool, start: Callable[[], Awaitable[Made]]
) -> None:
    broker, node = await start()
    node.wants_all = False
    began_us = time.monotonic_ns() // 1_000
    for price in (1, 2):
        await broker.link.append(
            [price_draft(price, SystemClock().id if is_own_clock else "other")]
        )
    await broker.link.append([draft(7)])
    assert (node.got, broker.applied, broker.streams.last("price:A")) == ([7], 3, 2)
    packet = broker.last_value("price:A")
    assert packet is not None
    assert packet == broker.last_value("price:A")
    name, payload = json.loads(packet[1:])
    ts = payload.pop("ts")
    assert (ts == 5) if is_own_clock else (began_us <= ts <= time.monotonic_ns() // 1_000)
    assert name == "price:update"
    assert payload == {"price": 2, "seq": 2, "prevSeq": 1, "timestamp": "t"}


async def test_a_log_of_another_format_is_refused(
    redis: RedisServer,
    start: Callable[[], Awaitable[Made]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, _ = await start()
    await first.link.append([draft(1)])
    redis.command("HSET", "{t}:meta", "format", str(FORMAT + 1))
    broker = RedisBroker(TERMS._replace(url=redis.url), SystemClock())
    RecordingNode(broker)
    await broker.link.start(0.2)
    try:
        assert not broker.link.is_joined
        assert "share this log; use another GATEWAY_REDIS_PREFIX" in capsys.readouterr().out
    finally:
        await broker.link.stop()
    assert redis.command("XLEN", "{t}:log") == "1", "nothing is deleted"


async def test_a_full_queue_stops_the_reading_and_loses_nothing(
    start: Callable[[], Awaitable[Made]],
) -> None:
    broker, node = await start()
    node.is_full = True
    await asyncio.sleep(0)
    first = broker.link.append([draft(0)])  # the call that is under way may still be answered
    await poll_until(lambda: broker.link._appends.is_empty, "the log has it")
    answers = [broker.link.append([draft(n)]) for n in range(1, 50)]
    await poll_until(lambda: broker.link._appends.is_empty, "the log has them")
    assert broker.number < 50
    node.is_full = False
    await asyncio.gather(first, *answers)
    assert node.got == list(range(50))


async def test_a_call_that_is_cancelled_ends_at_whichever_step_it_is(
    start: Callable[[], Awaitable[Made]],
) -> None:
    broker, _ = await start()
    for steps in range(60):
        call = asyncio.create_task(broker.link.missed("al"))
        for _ in range(steps):
            await asyncio.sleep(0)
        if call.cancel():  # it was not done
            await asyncio.wait({call}, timeout=PROMPT_S)
            assert call.cancelled(), f"after {steps} steps"


@pytest.mark.parametrize("cut", ["kill", "pause", "connections"])
async def test_a_link_stops_at_once_whatever_redis_does(
    cut: str, redis: RedisServer, start: Callable[[], Awaitable[Made]]
) -> None:
    broker, _ = await start()
    calls = [asyncio.create_task(keep_asking(broker)) for _ in range(20)]
    waiting = [broker.link.append([draft(n)]) for n in range(100)]
    if cut == "kill":
        await asyncio.to_thread(redis.stop)
    elif cut == "pause":
        redis.pause()
    else:
        await asyncio.to_thread(redis.command, "CLIENT", "KILL", "TYPE", "normal")
    try:
        async with asyncio.timeout(PROMPT_S):
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
            await broker.link.stop()
    finally:
        if cut == "pause":
            redis.resume()
    assert all(answer.done() for answer in waiting)
    await asyncio.gather(*waiting, return_exceptions=True)


async def keep_asking(broker: RedisBroker) -> None:
    while True:
        try:
            await broker.link.missed("al")
        except LogAway:
            await asyncio.sleep(0)
