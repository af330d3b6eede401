"""A link whose network was half-open, or is slow, and the first message after joining."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest
from deadlines import DEADLINE_S, PROMPT_S, poll_until
from redis_server import RedisServer

from gateway.brokers.redis.broker import RedisBroker
from gateway.brokers.redis.link import _LONGEST_PAUSE_S
from gateway.brokers.redis.terms import LogTerms
from gateway.limits.quota import Quota
from gateway.limits.user_windows import UserWindows
from gateway.nodes.shared_events import SharedEvents
from gateway.server import nodes as nodes_module
from gateway.server.clock import SystemClock
from gateway.server.nodes import Host, Nodes
from loadtests.faults.proxy import FaultProxy
from loadtests.faults.toxics import Carrier, Stream, Timeout, Toxic
from tests.nodes.faults.cluster import delay

pytestmark = pytest.mark.real_part("redis-server")

READY_S = 2.0
"""Contract: a node is ready so soon after Redis is back."""
TRIES = 3
SLOW_MS = 700
SWALLOWED = Timeout(stream=Stream.DOWNSTREAM, carrier=Carrier.ALL)
TERMS = LogTerms("", "{t}:", "a", 1_000, 60_000, 1_000, 60_000)


class QuietHost:
    """A gateway without clients."""

    def __init__(self) -> None:
        self.clock = SystemClock()

    def counts(self) -> tuple[int, int]:
        return 0, 0

    def connections(self) -> Mapping[str, Mapping[str, int]]:
        return {}

    def wants(self, _route: object) -> bool:
        return False

    def is_full(self) -> bool:
        return False


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def make_node(url: str) -> tuple[RedisBroker, Nodes]:
    host = QuietHost()
    broker = RedisBroker(TERMS._replace(url=url), host.clock)
    windows = UserWindows(Quota(10, 1_000_000_000), 1_000_000_000)
    events = SharedEvents(windows, 1_000_000_000)
    terms = {"retention_s": 60.0, "longest_token_s": 60.0}
    return broker, Nodes("a", broker, cast("Host", host), events, **terms)


@contextlib.asynccontextmanager
async def run_node(
    redis: RedisServer, toxic: tuple[Toxic, ...], within_s: float
) -> AsyncIterator[tuple[FaultProxy, RedisBroker, Nodes]]:
    """Start a node behind a proxy with toxics, and wait so long until it has joined."""
    proxy = FaultProxy("127.0.0.1", redis.port)
    proxy.set(toxic)
    broker, nodes = make_node((await proxy.start()).replace("http", "redis"))
    try:
        await nodes.start(within_s)
        yield proxy, broker, nodes
    finally:
        await nodes.stop()
        await proxy.stop()


async def seconds_until_ready(redis: RedisServer) -> float:
    """Return how long a node takes when the network is back at the worst moment, s."""
    async with run_node(redis, (SWALLOWED,), 0) as (proxy, broker, nodes):
        broker.link._pause_s = _LONGEST_PAUSE_S
        sent, upstream = proxy.passed_bytes, Stream.UPSTREAM
        before = sent[upstream]
        await poll_until(lambda: sent[upstream] > before, "the next attempt has begun")
        proxy.set(())  # the answer to the attempt is lost
        back_s = time.monotonic()
        await poll_until(lambda: nodes.is_ready, "it is ready")
        return time.monotonic() - back_s


async def test_a_node_is_ready_within_2_s_after_a_network_that_swallowed_everything(
    redis: RedisServer,
) -> None:
    took_s = [await seconds_until_ready(redis) for _ in range(TRIES)]
    assert statistics.median(took_s) < READY_S, took_s


async def test_a_node_joins_a_redis_that_answers_each_command_after_700_ms(
    redis: RedisServer,
) -> None:
    async with run_node(redis, (delay(SLOW_MS),), DEADLINE_S) as (_, broker, _):
        assert broker.link.is_joined


async def test_a_node_tells_the_others_as_soon_as_it_has_joined(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes_module, "_BEAT_S", DEADLINE_S)
    broker, nodes = make_node(redis.url)
    await nodes.start(PROMPT_S)
    try:
        assert nodes.is_ready
        await asyncio.to_thread(redis.command, "CLIENT", "KILL", "TYPE", "normal")
        await poll_until(lambda: not broker.link.is_joined, "it has left")
        await poll_until(lambda: nodes.is_ready, "it hears itself again", DEADLINE_S / 3)
    finally:
        await nodes.stop()
