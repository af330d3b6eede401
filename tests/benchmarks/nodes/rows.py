"""The rows of the table: what each asks, and what it should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.benchmarks.transport.rows import POPULATIONS, Row

MEMORY: Final = "memory"
"""The column beside ``OURS``, which is the gateway with its log in Redis."""
PUSHES: Final = {
    "few_x2": ("p50_1000_ms", "p99_1000_ms"),
    "many_x4": ("p50_5000_ms", "p99_5000_ms"),
    "many_x10": ("cpu_us",),
    "arrive": ("kb_a_client",),
}
"""Cells that both brokers answer, and their rows."""
USERS: Final = 10_000
SYMBOLS: Final = 1_000
LOG_ENTRIES: Final = 500_000


def _push(key: str, title: str, cell: str, goal: float) -> Row:
    return Row(
        key=key,
        title=title,
        unit="ms",
        cell=cell,
        digits=2,
        against=MEMORY,
        is_difference=True,
        goal=goal,
    )


ROWS: Final = (
    _push("p50_1000_ms", "{few} clients × 2/s: p50", "few_x2", 1.0),
    _push("p99_1000_ms", "{few} × 2/s: p99", "few_x2", 3.0),
    _push("p50_5000_ms", "{many} × 4/s: p50", "many_x4", 1.0),
    _push("p99_5000_ms", "{many} × 4/s: p99", "many_x4", 3.0),
    Row(
        key="cpu_us",
        title="{many} × 10/s: server CPU a delivered message",
        unit="µs",
        cell="many_x10",
        digits=2,
        against=MEMORY,
        goal=1.1,
    ),
    Row(
        key="kb_a_client",
        title="{many} clients, 2 rooms: RSS a client",
        unit="KB",
        cell="arrive",
        digits=2,
        goal=6.0,
    ),
    Row(
        key="skip_us",
        title="publication that no client of a node gets: CPU of the node",
        unit="µs",
        cell="log",
        digits=2,
        goal=5.0,
    ),
    Row(
        key="log_per_s",
        title="publications through one Redis, read by two nodes without a gap",
        unit="/s",
        cell="log",
        digits=0,
        goal=20_000,
        higher_is_better=True,
    ),
    Row(
        key="http_per_s",
        title="  by POST /api/v1/publish to both nodes, 100 a request",
        unit="/s",
        cell="log",
        digits=0,
    ),
    Row(
        key="two_nodes",
        title="two nodes on two cores: capacity over that of one",
        unit="×",
        cell="two",
        digits=2,
        goal=1.8,
        higher_is_better=True,
    ),
    Row(
        key="cpu_one_us",
        title="  of it: CPU a delivered message, one node",
        unit="µs",
        cell="two",
        digits=2,
    ),
    Row(
        key="cpu_two_us",
        title="  of it: CPU a delivered message, two nodes together",
        unit="µs",
        cell="two",
        digits=2,
    ),
    Row(
        key="redis_mb",
        title="memory of Redis: {users} users with all private events, {symbols} symbols",
        unit="MB",
        cell="memory",
        digits=0,
    ),
    Row(
        key="kb_a_user",
        title="  of it: a user with {events} private events",
        unit="KB",
        cell="memory",
    ),
    Row(
        key="log_mb",
        title="memory of Redis: the log at its default length of {log_entries} entries",
        unit="MB",
        cell="memory",
        digits=0,
    ),
)


def sized(row: Row, shrink: int, users: int, events: int) -> Row:
    """Return a row that names its sizes.

    Args:
        row: the row.
        shrink: what every number of clients is divided by.
        users: users whose private events were kept in Redis.
        events: how many of each.
    """
    sizes = {name: f"{count // shrink:,}" for name, count in POPULATIONS.items()}
    sizes |= {"users": f"{users:,}", "symbols": f"{SYMBOLS:,}", "events": f"{events:,}"}
    return replace(row, title=row.title.format(**sizes, log_entries=f"{LOG_ENTRIES:,}"))
