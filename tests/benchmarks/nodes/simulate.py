"""Calibrates the model with one and two nodes and some plain readers, and checks it with more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from statistics import median
from typing import Final, NamedTuple, cast

import hiredis
import uvloop
from redis import Redis

from tests.benchmarks.nodes.ground import Ground, NodeGroup
from tests.benchmarks.nodes.log_writer import LogWriter, beat, draft, joined, tick
from tests.benchmarks.nodes.model import (
    SIZES,
    Costs,
    Growth,
    Load,
    Observed,
    busy_share,
    bytes_per_s,
    fit,
    fit_reader,
    grow,
    latency_s,
    most_nodes,
)
from tests.benchmarks.transport import cells, wire
from tests.benchmarks.transport.crowd import Crowd

_RATES: Final = ((100, 1), (400, 1), (1_000, 10), (4_000, 20), (8_000, 100))
"""Publications a second, and how many a call."""
_PREDICTED: Final = ((1_000, 10), (10_000, 100))
_CALIBRATED: Final = 2
_REAL: Final = 4
_PLAIN: Final = "plain readers"
_FITTED: Final = ("1 nodes", "2 nodes", "10 plain readers", "30 plain readers")
_READERS: Final = (10, 30, 100)
_READERS_RATE: Final = (200, 10)
_LATENCY_RATE: Final = 50.0
_SYMBOLS: Final = 50
_READ_BYTES: Final = 262_144


class Check(NamedTuple):
    """A measurement beside the prediction.

    Attributes:
        what: the readers.
        observed: what was measured.
        busy_share: what the model says.
        bytes_per_s: what the model says.
        is_calibration: whether the constants were fitted to it.
    """

    what: str
    observed: Observed
    busy_share: float
    bytes_per_s: float
    is_calibration: bool


class Simulation(NamedTuple):
    """What was measured, and what the model says.

    Attributes:
        costs: the constants.
        checks: measurements beside predictions.
        latencies_ms: by number of nodes, measured and predicted, until the last one has it.
        growth: of 10, 100 and 1,000 nodes.
        most_nodes: whose own messages one Redis carries.
    """

    costs: Costs
    checks: list[Check]
    latencies_ms: dict[int, tuple[float, float | None]]
    growth: list[Growth]
    most_nodes: int


def measure(ground: Ground) -> Simulation:
    """Measure one to four real nodes and up to 100 plain readers, and predict more.

    Args:
        ground: has the Redis.
    """
    redis = Redis.from_url(ground.redis.url)
    observed: list[tuple[str, Observed]] = []
    latencies_ms = {}
    for count in range(1, _REAL + 1):
        ground.report(f"simulate: {count} nodes")
        prefix = secrets.token_hex(4)
        with ground.group(count, prefix) as group, contextlib.closing(_crowd(group)) as crowd:
            cells.populate(crowd, group, count)
            seen, latencies_ms[count] = uvloop.run(_nodes(ground, redis, crowd, prefix, count))
        observed += [(f"{count} node{'s' * (count > 1)}", each) for each in seen]
    for count in _READERS:
        ground.report(f"simulate: {count} {_PLAIN}")
        seen = [uvloop.run(plain_readers(ground, redis, count))]
        observed += [(f"{count} {_PLAIN}", each) for each in seen]
    real = [each for what, each in observed if what in _FITTED and not what.endswith(_PLAIN)]
    costs = fit([each for what, each in observed if what in _FITTED], fit_reader(real))
    costs = costs._replace(base_s=_base_s(costs, latencies_ms))
    return Simulation(
        costs,
        [_check(costs, what, each) for what, each in observed],
        {
            count: (ms, _ms(latency_s(costs, Load(count + 1, _LATENCY_RATE, 1))))
            for count, ms in latencies_ms.items()
        },
        [grow(costs, Load(nodes, *rate)) for nodes in SIZES for rate in _PREDICTED],
        most_nodes(costs),
    )


def _check(costs: Costs, what: str, observed: Observed) -> Check:
    """Return a measurement beside what the model says of it.

    Plain readers share a process and are late together, so their replies are those measured.
    """
    load, replies = observed.load, observed.replies_per_s if what.endswith(_PLAIN) else None
    busy, sent = busy_share(costs, load, replies), bytes_per_s(costs, load, replies)
    return Check(what, observed, busy, sent, what in _FITTED)


def _base_s(costs: Costs, latencies_ms: dict[int, float]) -> float:
    """Return the latency that is not Redis, from the nodes that the model is calibrated with."""
    rests = [
        latencies_ms[count] / 1_000 - (latency_s(costs, Load(count + 1, _LATENCY_RATE, 1)) or 0.0)
        for count in range(1, _CALIBRATED + 1)
    ]
    return max(0.0, median(rests))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1_000


def _crowd(group: NodeGroup) -> Crowd:
    ports = [node.port for node in group.nodes]
    return Crowd(ports[0], group.tokens(len(ports)), ports[1:])


async def _nodes(
    ground: Ground, redis: Redis, crowd: Crowd, prefix: str, count: int
) -> tuple[list[Observed], float]:
    """Return what Redis used at each rate, and the latency of the last node, ms."""
    async with joined(ground.redis.url, prefix) as writer:
        # The writer reads the log too: it is one more node.
        seen = [await _observe(ground, redis, writer, Load(count + 1, *rate)) for rate in _RATES]
        return seen, await _latency_ms(ground, writer, crowd)


class PlainReader(asyncio.Protocol):
    """Reads a log as a node does, and does nothing with it: for Redis it is a node.

    Args:
        key: of the log.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._last = b"$"
        self._replies = hiredis.Reader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Take replies, and ask for what follows.

        Raises:
            ReplyError: Redis refuses.
        """
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not False:
            if isinstance(reply, Exception):
                raise reply
            if reply is not None:
                self._last = reply[0][1][-1][0]
            self._ask()

    def _ask(self) -> None:
        words = (b"XREAD", b"COUNT", b"256", b"BLOCK", b"500", b"STREAMS", self._key, self._last)
        parts = (b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
        self._transport.write(b"*%d\r\n" % len(words) + b"".join(parts))


async def plain_readers(ground: Ground, redis: Redis, count: int) -> Observed:
    """Return what Redis used while so many plain readers read; their own messages come too."""
    prefix = secrets.token_hex(4)
    async with contextlib.AsyncExitStack() as stack:
        writer = await stack.enter_async_context(joined(ground.redis.url, prefix))
        loop = asyncio.get_running_loop()
        for number in range(count):
            transport, _ = await loop.create_connection(
                lambda: PlainReader(f"{{{prefix}}}:log"), "127.0.0.1", ground.redis.port
            )
            stack.callback(transport.close)
            stack.callback(asyncio.create_task(beat(writer, f"r{number}")).cancel)
            await asyncio.sleep(0.5 / count)
        return await _observe(ground, redis, writer, Load(count + 1, *_READERS_RATE))


async def _observe(ground: Ground, redis: Redis, writer: LogWriter, load: Load) -> Observed:
    seconds = ground.lengths.seconds
    drafts = [draft(tick(f"S{number}/USDT", 0), is_value=True) for number in range(_SYMBOLS)]
    batch = (drafts * 2)[: round(load.batch)]
    calls = round(load.per_s * seconds / load.batch)
    before, began_s = _read(redis), time.monotonic()
    answers = []
    for number in range(calls):
        due_s = began_s + number * load.batch / load.per_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        answers.append(writer.link.append(batch))
    await asyncio.gather(*answers)
    after, took_s = _read(redis), time.monotonic() - began_s
    real = load._replace(per_s=calls * load.batch / took_s)
    busy, replies, sent = (
        (late - early) / took_s for late, early in zip(after, before, strict=True)
    )
    return Observed(real, busy, replies, sent)


def _read(redis: Redis) -> tuple[float, float, float]:
    """Return the CPU s of the thread that serves, the replies to readers and the bytes sent."""
    facts = redis.info("everything")
    cpu_s = facts["used_cpu_user_main_thread"] + facts["used_cpu_sys_main_thread"]
    return cpu_s, facts["cmdstat_xread"]["calls"], facts["total_net_output_bytes"]


async def _latency_ms(ground: Ground, writer: LogWriter, crowd: Crowd) -> float:
    """Return the median time from an append to the read by the last node's client, ms."""
    loop = asyncio.get_running_loop()
    stamps: dict[int, int] = {}  # the last client's read overwrites those before it

    def read(fd: int) -> None:
        now_us = time.monotonic_ns() // 1_000
        payloads, _ = wire.walk(os.read(fd, _READ_BYTES))
        for payload in payloads:
            if payload.startswith(wire.TICK):
                stamps[wire.source_time_us(payload)] = now_us

    for fd in crowd.fds:
        loop.add_reader(fd, read, fd)
    began_s = time.monotonic()
    for number in range(round(_LATENCY_RATE * ground.lengths.seconds)):
        await asyncio.sleep(max(0.0, began_s + number / _LATENCY_RATE - time.monotonic()))
        await writer.link.append([draft(tick(wire.SYMBOL, time.monotonic_ns() // 1_000))])
    await asyncio.sleep(0.3)
    for fd in crowd.fds:
        loop.remove_reader(fd)
    return median((read_us - sent_us) / 1_000 for sent_us, read_us in stamps.items())
