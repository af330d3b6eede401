"""What the log carries to two nodes, and what a node pays for events that no client of it gets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import secrets
import time
from collections.abc import Sequence
from typing import Any, Final

import uvloop

from gateway.contract import Scope
from loadtests.tokens import mint
from tests.benchmarks.nodes.ground import Ground, NodeGroup
from tests.benchmarks.nodes.log_writer import LogWriter, draft, joined, tick
from tests.benchmarks.transport import cells, wire
from tests.benchmarks.transport.crowd import Crowd, PeerFailed
from tests.benchmarks.transport.rows import OURS

_BATCH: Final = 100
_AT_ONCE: Final = 10
_SYMBOLS: Final = [wire.SYMBOL, *(f"S{number}/USDT" for number in range(49))]
_SKIPPED_PER_S: Final = 10_000
_HTTP_SHARE: Final = 4  # of the publications, by the route: it is slower
_ARRIVE_S: Final = 30.0
_READ_BYTES: Final = 262_144
_LENGTH: Final = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


class Follower:
    """A client of one symbol, whose numbers must follow each other.

    Args:
        fd: its socket, subscribed, non-blocking.
        last: the number of the last event that it has.
    """

    def __init__(self, fd: int, last: int) -> None:
        self._fd = fd
        self._rest = b""
        self.last = last

    def read(self) -> None:
        """Read what is there.

        Raises:
            PeerFailed: an event does not follow the one before.
        """
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise PeerFailed("a node closed its client")
        payloads, self._rest = wire.walk(self._rest + data)
        for payload in payloads:
            if payload == b"2":
                os.write(self._fd, wire.ENGINE_PONG)
            if not payload.startswith(wire.TICK):
                continue
            event = json.loads(payload[2:])[1]
            if event["prevSeq"] != self.last:
                raise PeerFailed(
                    f"number {event['seq']} says {event['prevSeq']} before it, not {self.last}"
                )
            self.last = event["seq"]

    async def reach(self, number: int) -> int:
        """Read until an event with a number has come, and return when, monotonic ns.

        Args:
            number: of the symbol's stream.

        Raises:
            PeerFailed: an event is missing, or the last one did not come within 30 s.
        """
        until_s = time.monotonic() + _ARRIVE_S
        while self.last < number:
            if time.monotonic() > until_s:
                raise PeerFailed(f"number {self.last} of {number} was the last one to come")
            self.read()
            await asyncio.sleep(0.001)
        return time.monotonic_ns()


def measure(ground: Ground) -> None:
    """Fill the log of two nodes as quickly as it goes, then with what nobody gets.

    Args:
        ground: takes the figures.

    Raises:
        PeerFailed: a node failed its client.
    """
    prefix = secrets.token_hex(4)
    with ground.group(2, prefix) as group, contextlib.closing(_crowd(group)) as crowd:
        cells.populate(crowd, group, 2)
        cells.rest(crowd, 1.0)
        values = uvloop.run(_measure(ground, group, crowd, prefix))
    ground.keep(OURS, values)


def _crowd(group: NodeGroup) -> Crowd:
    return Crowd(group.port, group.tokens(2), [group.nodes[1].port])


async def _measure(
    ground: Ground, group: NodeGroup, crowd: Crowd, prefix: str
) -> dict[str, float | None]:
    count = max(len(_SYMBOLS) * _BATCH, ground.lengths.publications // ground.lengths.shrink)
    followers = [Follower(fd, 0) for fd in crowd.fds]
    async with joined(ground.redis.url, prefix) as writer:
        ground.report("log: what nobody gets")
        skip_us = await _skip(writer, group, count)
        ground.report("log: by batches into Redis")
        log_per_s = await _fill(writer, followers, count)
    ground.report("log: by requests to both nodes")
    http_per_s = await _request(group, followers, count // _HTTP_SHARE)
    return {"skip_us": skip_us, "log_per_s": log_per_s, "http_per_s": http_per_s}


async def _fill(writer: LogWriter, followers: Sequence[Follower], count: int) -> float:
    """Return the publications a second, from the first append to the last read of both nodes."""
    drafts = [draft(tick(symbol, 0), is_value=True) for symbol in _SYMBOLS]
    batches = _batches(drafts, count)
    last = followers[0].last + count // len(_SYMBOLS)
    began_ns = time.monotonic_ns()
    reading = [asyncio.create_task(follower.reach(last)) for follower in followers]
    await writer.append(batches, _AT_ONCE)
    return count / ((max(await asyncio.gather(*reading)) - began_ns) / 1e9)


def _batches(drafts: Sequence[Any], count: int) -> list[list[Any]]:
    """Return ``count`` items in batches, in turn; the first of ``drafts`` comes last."""
    turn = itertools.cycle([*drafts[1:], drafts[0]])
    return [list(itertools.islice(turn, _BATCH)) for _ in range(count // _BATCH)]


async def _skip(writer: LogWriter, group: NodeGroup, count: int) -> float:
    """Return the CPU of a node for a publication that none of its clients gets, µs.

    Batches come at even times; what a node uses without them is taken off.
    """
    drafts = [draft(tick(symbol, 0), is_value=True) for symbol in _SYMBOLS[1:]]
    await writer.append(_batches(drafts, len(drafts) * _BATCH), _AT_ONCE)  # streams begin
    usage = cells.Usage(group)
    await asyncio.sleep(1.0)
    idle = usage.since()
    batches = _batches(drafts, count)
    usage, began_s = cells.Usage(group), time.monotonic()
    answers = []
    for number, batch in enumerate(batches):
        due_s = began_s + number * _BATCH / _SKIPPED_PER_S
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        answers.append(writer.link.append(batch))
    await asyncio.gather(*answers)
    await asyncio.sleep(0.2)
    used = usage.since()
    own_ns = used.server_ns - idle.server_ns * used.wall_ns / idle.wall_ns
    return own_ns / len(group.nodes) / (len(batches) * _BATCH) / 1_000


async def _request(group: NodeGroup, followers: Sequence[Follower], count: int) -> float:
    """Return the publications a second by requests to all nodes, two at once to each."""
    items = [tick(symbol, 0) for symbol in _SYMBOLS]
    batches = _batches(items, count // _BATCH * _BATCH)
    last = followers[0].last + sum(batch.count(items[0]) for batch in batches)
    token = mint(group.secret, "publisher", lifetime_s=3_600, scopes=[Scope.PUBLISH])
    requests = iter([json.dumps(batch, separators=(",", ":")).encode() for batch in batches])
    began_ns = time.monotonic_ns()
    reading = [asyncio.create_task(follower.reach(last)) for follower in followers]
    ports = [node.port for node in group.nodes] * 2
    await asyncio.gather(*(_send(port, token, requests) for port in ports))
    return len(batches) * _BATCH / ((max(await asyncio.gather(*reading)) - began_ns) / 1e9)


async def _send(port: int, token: str, requests: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for body in requests:
            writer.write(wire.publish_request(port, token, body))
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            answer = await reader.readexactly(int(length[1]) if length else 0)
            if head.split(b" ", 2)[1] != b"202":
                raise PeerFailed(f"a publication was answered {head[:40]!r} {answer[:200]!r}")
    finally:
        writer.close()
        await writer.wait_closed()
