"""The tables ``[users.NAME]`` of a scenario file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

from scenarios.groups import (
    ARRIVAL_KINDS,
    DEAD_PEER_KINDS,
    AbuserGroup,
    ArrivalKind,
    Arrivals,
    BadTokenGroup,
    ChurnerGroup,
    DeadPeerGroup,
    DeadPeerKind,
    ExpiringGroup,
    Group,
    IdleGroup,
    NeverReaderGroup,
    SlowReaderGroup,
    StormGroup,
    SubscriberGroup,
    TraderGroup,
    Users,
)
from scenarios.reading import Source, Table

MAX_USERS: Final = 100_000
MAX_BURST: Final = 10_000
MAX_SYMBOLS_HELD: Final = 64  # the most that one subscribe may name
MAX_BUFFER: Final = 16_777_216
LEAST_BUFFER: Final = 1_152  # socket(7): half of the least SO_RCVBUF, which the kernel doubles


def read_users(top: Table) -> Users:
    """Return the groups of ``[users]``."""
    table = top.table("users", optional=True) or Table(Source({}), (), {})
    held: dict[str, Group] = {}
    for name, read in _READERS.items():
        group = table.table(name, optional=True)
        if group is not None:
            held[name] = read(group)
            group.finish()
    table.finish()
    return Users(**held)  # type: ignore[arg-type]  # each reader returns its own field's type


def read_arrivals(table: Table) -> Arrivals:
    """Return the arrival process of a table."""
    kind = cast(ArrivalKind, table.text("arrivals", ARRIVAL_KINDS, default="constant"))
    if kind != "burst":
        return Arrivals(kind=kind)
    return Arrivals(kind=kind, burst_size=table.integer("burst_size", 1, MAX_BURST, 50))


def _count(table: Table, example: int = 60, most: int = MAX_USERS) -> int:
    return table.integer("count", 1, most, example)


def _symbols(table: Table, least: int = 1) -> int:
    return table.integer("symbols", least, MAX_SYMBOLS_HELD, 2)


def _subscriber(table: Table) -> SubscriberGroup:
    return SubscriberGroup(count=_count(table, 240), symbols=_symbols(table))


def _trader(table: Table) -> TraderGroup:
    return TraderGroup(
        count=_count(table),
        symbols=_symbols(table, 0),
        request_every_s=table.duration_s("request_every", 0.01, 3_600.0, "4 s"),
        arrivals=read_arrivals(table),
    )


def _idle(table: Table) -> IdleGroup:
    return IdleGroup(count=_count(table, 1_000))


def _churner(table: Table) -> ChurnerGroup:
    return ChurnerGroup(
        count=_count(table),
        symbols=_symbols(table),
        stay_s=table.duration_s("stay", 0.1, 3_600.0, "2 s"),
    )


def _storm(table: Table) -> StormGroup:
    return StormGroup(count=_count(table, 500), symbols=_symbols(table))


def _buffer(table: Table) -> int:
    found = table.size_bytes("receive_buffer", LEAST_BUFFER, MAX_BUFFER, "4 KB", is_required=True)
    return LEAST_BUFFER if found is None else found


def _slow_reader(table: Table) -> SlowReaderGroup:
    pace = table.size_bytes("bytes_per_second", 1, MAX_BUFFER, "1 KB", is_required=True)
    return SlowReaderGroup(
        count=_count(table, 5),
        symbols=_symbols(table),
        bytes_per_second=1 if pace is None else pace,
        receive_buffer_bytes=_buffer(table),
    )


def _never_reader(table: Table) -> NeverReaderGroup:
    return NeverReaderGroup(
        count=_count(table, 5), symbols=_symbols(table), receive_buffer_bytes=_buffer(table)
    )


def _dead_peer(table: Table) -> DeadPeerGroup:
    return DeadPeerGroup(
        count=_count(table, 6, 1_000),
        kinds=cast(tuple[DeadPeerKind, ...], table.texts("kinds", DEAD_PEER_KINDS)),
        dies_after_s=table.duration_s("dies_after", 0.0, 3_600.0, "1 s"),
    )


def _abuser(table: Table) -> AbuserGroup:
    return AbuserGroup(
        count=_count(table, 1, 1_000),
        burst=table.integer("burst", 1, MAX_BURST, 70),
        connections=table.integer("connections", 1, 64, 3, default=1),
        reconnects=table.integer("reconnects", 0, 100, 2, default=0),
        edge=table.boolean("edge", default=False),
    )


def _bad_token(table: Table) -> BadTokenGroup:
    return BadTokenGroup(
        count=_count(table, 5, 1_000), every_s=table.duration_s("every", 0.01, 3_600.0, "1 s")
    )


def _expiring(table: Table) -> ExpiringGroup:
    return ExpiringGroup(
        count=_count(table, 20, 10_000),
        lifetime_s=table.duration_s("lifetime", 1.0, 82_800.0, "5 s"),
        refreshing=table.number("refreshing", 0.0, 1.0, 0.5),
    )


_READERS: Final[Mapping[str, Callable[[Table], Group]]] = {
    "subscriber": _subscriber,
    "trader": _trader,
    "idle": _idle,
    "churner": _churner,
    "storm": _storm,
    "slow_reader": _slow_reader,
    "never_reader": _never_reader,
    "dead_peer": _dead_peer,
    "abuser": _abuser,
    "bad_token": _bad_token,
    "expiring": _expiring,
}
