"""Memory of Redis: users with all private events that it keeps, newest values, and the log."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

import uvloop
from redis import Redis

from gateway.contract import MAX_REPLAY_EVENTS
from gateway.nodes.entries import arrival_of
from tests.benchmarks.nodes.ground import Ground, RedisServer
from tests.benchmarks.nodes.log_writer import draft, joined, tick
from tests.benchmarks.nodes.rows import LOG_ENTRIES, SYMBOLS
from tests.benchmarks.transport.rows import OURS

_PREFIX: Final = "memory"
_BATCH: Final = 500
_AT_ONCE: Final = 4
_MB: Final = 1_000_000
_FILL: Final = {
    "id": "5f0c9a1e-7b42-4d7e-9a65-0c1f6d2b8e34",
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "price": 64231.25,
    "size": 0.25,
    "filled": 0.1,
    "status": "partially-filled",
}


class Stored(NamedTuple):
    """What Redis holds, and its memory in bytes.

    Attributes:
        events: private events of each user, all that it keeps.
        event_bytes: of one of them, as it is kept.
        user_bytes: of a user with them, the user's stream included.
        users_and_symbols_bytes: of all users, and of the newest event of each symbol.
        log_bytes: of the log at its default length.
    """

    events: int
    event_bytes: int
    user_bytes: float
    users_and_symbols_bytes: int
    log_bytes: float


def measure(ground: Ground) -> Stored:
    """Fill a Redis of its own, and keep the figures.

    Args:
        ground: takes the figures.
    """
    users = ground.lengths.users
    folder = ground.folder / "redis-memory"
    folder.mkdir()
    server = RedisServer(folder)
    try:
        ground.report(f"memory of Redis: {users:,} users, {SYMBOLS:,} symbols")
        stored = uvloop.run(_fill(server, users))
    finally:
        server.stop()
    ground.keep(
        OURS,
        {
            "redis_mb": stored.users_and_symbols_bytes / _MB,
            "kb_a_user": stored.user_bytes / 1_000,
            "log_mb": stored.log_bytes / _MB,
        },
    )
    return stored


async def _fill(server: RedisServer, users: int) -> Stored:
    redis = Redis.from_url(server.url)
    empty = _used(redis)
    names = [f"user-{number}" for number in range(users)]
    events = [draft(_own(name)) for name in names]
    values = [draft(tick(f"S{number}/USDT", 0), is_value=True) for number in range(SYMBOLS)]
    arrivals = [arrival_of(name) for name in names]
    async with joined(server.url, _PREFIX) as writer:
        for drafts in (arrivals, events, values, [events[0]] * MAX_REPLAY_EVENTS):
            batches = [drafts[at : at + _BATCH] for at in range(0, len(drafts), _BATCH)]
            await writer.append(batches, _AT_ONCE)
    log = f"{{{_PREFIX}}}:log"
    log_bytes = cast("int", redis.memory_usage(log, samples=0))
    value_bytes = cast("int", redis.memory_usage(f"{{{_PREFIX}}}:values", samples=0))
    count = _copy_to_all(redis, names)
    kept_bytes = _used(redis) - empty - log_bytes
    first = f"{{{_PREFIX}}}:private:{names[0]}"
    return Stored(
        events=count,
        event_bytes=len(cast("list[bytes]", redis.lrange(first, 0, 0))[0]),
        user_bytes=(kept_bytes - value_bytes) / users,
        users_and_symbols_bytes=kept_bytes,
        log_bytes=log_bytes / redis.xlen(log) * LOG_ENTRIES,
    )


def _own(user_id: str) -> dict[str, Any]:
    """Return an order event of a user, in the form that the publish route takes."""
    order = {"order": _FILL}
    return {"room": "trading", "userId": user_id, "event": "order:filled", "data": order}


def _copy_to_all(redis: Redis, names: list[str]) -> int:
    """Give each user the private events of the first one; return how many these are."""
    first = f"{{{_PREFIX}}}:private:{names[0]}"
    pipe = redis.pipeline(transaction=False)
    for number, name in enumerate(names[1:], 1):
        pipe.copy(first, f"{{{_PREFIX}}}:private:{name}", replace=True)
        if number % _BATCH == 0:
            pipe.execute()
    pipe.execute()
    return redis.llen(first)


def _used(redis: Redis) -> int:
    facts = cast("dict[str, int]", redis.info("memory"))
    return facts["used_memory"]
