"""``LogWriter``: a node without clients that appends prepared publications to the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from gateway.brokers.redis.link import LogLink
from gateway.brokers.redis.log_state import LogState
from gateway.brokers.redis.terms import LogTerms
from gateway.nodes.entries import Draft, draft_of, head_of, route_in
from gateway.publication import parse_publication
from gateway.routing import outline_of
from gateway.server.clock import read_clock_id
from tests.benchmarks.transport import wire

_JOIN_S: Final = 20.0
_RETENTION_MS: Final = 600_000
_MOST_STREAMS: Final = 200_000


class LogWriter:
    """A node that keeps nothing.

    Args:
        terms: where the log is.

    Attributes:
        link: its connections to Redis.
        number: the number of the last entry that it has read.
    """

    def __init__(self, terms: LogTerms) -> None:
        self.number = 0
        self.link = LogLink(terms, self, time.monotonic)

    def joined(self, joined: LogState) -> None:
        """Take over the number of the last entry; see ``log_state.Reader``."""
        if not joined.goes_on:
            self.number = joined.number

    def apply(self, fields: Sequence[bytes]) -> bool:
        """Note an entry; see ``log_state.Reader``."""
        head = head_of(fields[1])
        assert head is not None  # all that append are of this version
        self.number = head[1]
        if not head[2] and route_in(fields[1], head).name == "beat":
            self.link.heard()
        return True

    def is_congested(self) -> bool:
        """Return False: nothing waits here."""
        return False

    async def append(self, batches: Sequence[Sequence[Draft]], at_once: int) -> list[bytes]:
        """Append batches, so many of them unanswered at a time, and return the last answers.

        Args:
            batches: publications of a request each.
            at_once: how many requests may be unanswered.

        Raises:
            LogAway: the log cannot be reached.
        """
        answers: list[bytes] = []
        waiting: deque[asyncio.Future[list[bytes]]] = deque()
        for batch in batches:
            if len(waiting) == at_once:
                await waiting.popleft()
            waiting.append(self.link.append(batch))
        while waiting:
            answers = await waiting.popleft()
        return answers


@contextlib.asynccontextmanager
async def joined(
    url: str, prefix: str, *, node: str = "writer", most_entries: int = 500_000
) -> AsyncIterator[LogWriter]:
    """Join a log as one more node, and leave it.

    Args:
        url: the address of Redis.
        prefix: of the log's keys, without braces.
        node: its name.
        most_entries: of the log.
    """
    terms = LogTerms(
        url=url,
        prefix=f"{{{prefix}}}:",
        node=node,
        most_entries=most_entries,
        log_ms=120_000,
        most_streams=_MOST_STREAMS,
        retention_ms=_RETENTION_MS,
    )
    writer = LogWriter(terms)
    await writer.link.start(_JOIN_S)
    beats = asyncio.create_task(beat(writer, node))
    try:
        yield writer
    finally:
        beats.cancel()
        await writer.link.stop()


async def beat(writer: LogWriter, node: str) -> None:
    """Tell the other nodes what a node without clients tells them."""
    facts = {"node": node, "clients": 0, "subscriptions": 0}
    while True:
        writer.link.post("beat", {**facts, "whole": False, "users": {}, "events": {}})
        await asyncio.sleep(0.5)


def tick(symbol: str, due_us: int) -> dict[str, Any]:
    """Return a tick of a symbol in the form that the publish route takes."""
    item: dict[str, Any] = json.loads(wire.publication(due_us))
    item["room"] = f"market-data:{symbol}"
    item["data"]["symbol"] = item["data"]["ticker"]["symbol"] = symbol
    return item


def draft(item: dict[str, Any], *, is_value: bool = False) -> Draft:
    """Return what a node appends for a publication.

    Args:
        item: the publication, in the form that the publish route takes.
        is_value: whether it is the newest value of its stream.
    """
    return draft_of(
        outline_of(parse_publication(item), key=b"bench"),
        publication_id=None,
        is_value=is_value,
        ts_us=time.monotonic_ns() // 1_000,
        stamps={"timestamp": "2026-11-01T00:00:00.000Z", "srcTs": item.get("srcTs", 0)},
        clock=read_clock_id(),
    )
