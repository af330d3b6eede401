"""The ledger: what each virtual user was owed, and what became of it.

A user is owed the numbers of a stream from the mark of its join (``at`` in ``subscribed``;
``userSeq`` in the welcome, or the ``lastUserSeq`` of a user that returns) to the mark of its
leave, or to the stream's last number when the run is closed. Every number owed ends up in one of
three columns::

    owed = received + conflated + lost

The ledger also counts duplicate, reordered, leaked and late deliveries. The contract promises
that nothing of a stream comes after the answer that ends a stay in it. A number that was owed
in the stay and comes later is received, and late. Snapshots are no deliveries. The streams
``heartbeat`` and ``room:NAME`` are left out: the heartbeat oracle judges the first, and an
event of the second does not name its room.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from gateway.contract import (
    CHANNELS,
    EVENTS,
    MAX_SYMBOLS_PER_PROCESS,
    USER_STREAM,
    Audience,
    EventRow,
    named_streams,
    symbol_room,
    symbol_stream,
    user_stream,
)
from loadtests.oracles.canaries import owner_of, private_field_of
from loadtests.oracles.membership import Membership, StreamCounts
from loadtests.results import LeakOutcome

BY_SYMBOL: Final = frozenset(
    name for name, row in EVENTS.items() if row.audience is Audience.SYMBOL_ROOMS
)
"""Events that are numbered by their symbol."""
ACCOUNTED: Final[Mapping[str, EventRow]] = {
    name: row
    for name, row in EVENTS.items()
    if row.publishable and row.stream.kind and (name in BY_SYMBOL or not row.stream.by)
}
"""Events that the ledger accounts for, by name."""
_KINDS: Final = frozenset(row.stream.kind for row in ACCOUNTED.values())
_PREFIXES: Final = tuple(f"{EVENTS[name].stream.kind}:" for name in BY_SYMBOL)
_WHOLE_MARKETS: Final = frozenset(row.name for row in CHANNELS.values() if row.takes_symbols)
_CHANNELS: Final = {row.stream.kind: row.channel for row in ACCOUNTED.values()}

LeakListener = Callable[[LeakOutcome, str], None]
"""Takes an event that a user must not see: what it was, and words for a human."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One stream for one group of clients; the columns of ``results.TABLES["ledger"]``."""

    stream: str
    group: str
    clients: int
    owed: int
    received: int
    conflated: int
    lost: int
    duplicate: int
    reordered: int
    late: int
    leaked: int


class Account:
    """One virtual user's memberships.

    Args:
        user_id: the user's id.
        group: its behaviour, a column of the ledger.

    Attributes:
        on_leak: called with each event that the user must not see, as it comes.
    """

    __slots__ = ("_epoch", "_streams", "_whole_market", "group", "on_leak", "user_id")

    def __init__(self, user_id: str, group: str) -> None:
        self.user_id = user_id
        self.group = group
        self.on_leak: LeakListener | None = None
        self._epoch: object = None  # numbers compare only within an epoch
        self._streams: dict[str, Membership] = {}
        self._whole_market: Mapping[str, int] | None = None

    def welcome(self, payload: Mapping[str, Any], said: int | None = None) -> None:
        """Begin a connection. The stream ``user`` starts at the welcome's ``userSeq``.

        Args:
            payload: the welcome.
            said: the ``lastUserSeq`` that the user connected with. In the same epoch, the numbers
                after it are owed.
        """
        self.disconnected()
        is_returning = said is not None and payload.get("epoch") == self._epoch
        epoch = payload.get("epoch")
        if epoch != self._epoch:
            self._epoch = epoch
            for membership in self._streams.values():
                membership.forgo()
        mark = int(payload["userSeq"])
        self._join(USER_STREAM, min(said, mark) if is_returning and said is not None else mark)

    def resynced(self, payload: Mapping[str, Any]) -> None:
        """Take a ``resync``: nothing of the stream ``user`` up to its ``userSeq`` is owed."""
        self._leave(USER_STREAM, {})
        self._join(USER_STREAM, int(payload["userSeq"]))

    def subscribed(self, payload: Mapping[str, Any]) -> None:
        """Take a ``subscribed``: each stream of its rooms starts at its mark in ``at``."""
        at = payload["at"]
        for stream in _accounted(at, payload["rooms"]):
            self._join(stream, at.get(stream, 0))
        if not _WHOLE_MARKETS.isdisjoint(payload["rooms"]):
            self._whole_market = dict(at)

    def unsubscribed(self, payload: Mapping[str, Any]) -> None:
        """Take an ``unsubscribed``: its streams end at their marks in ``at``."""
        at = payload["at"]
        if not _WHOLE_MARKETS.isdisjoint(payload["rooms"]):
            self._whole_market = None
        for stream in _accounted(at, payload["rooms"]):
            self._leave(stream, at)

    def received(self, name: str, payload: Mapping[str, Any]) -> None:
        """Take an event; one without a number, or a snapshot, is not accounted for."""
        if payload.get("snapshot") is True:
            return
        if name in BY_SYMBOL:
            stream = market_stream_of(name, payload["symbol"])
            self._deliver(stream, payload["seq"], payload.get("prevSeq"))
        elif name in ACCOUNTED:
            stream = ACCOUNTED[name].stream.kind
            if "userSeq" in payload:
                self._received_private(name, payload, stream)
            elif stream != USER_STREAM:
                self._received_public(name, payload, stream)

    def disconnected(self) -> None:
        """End every stay where it is: deliveries after this point are not accounted for."""
        for membership in self._streams.values():
            membership.leave(membership.last)
        self._whole_market = None

    def rooms(self) -> frozenset[str] | None:
        """Return the rooms that the user has joined; None while it holds a whole market."""
        if self._whole_market is not None:
            return None
        return frozenset(filter(None, map(_room_of, self._open_streams())))

    def owes_nothing(self, last_numbers: Mapping[str, int]) -> bool:
        """Return whether nothing is outstanding, given the last number of every stream."""
        return all(
            membership.owes_nothing(last_numbers.get(self._listed(stream), 0))
            for stream, membership in self._streams.items()
        )

    def last_of(self, stream: str) -> int:
        """Return the last number of a stream that is accounted for, 0 when there is none."""
        membership = self._streams.get(stream)
        return 0 if membership is None else membership.last

    def settle(self, last_numbers: Mapping[str, int]) -> StreamCounts:
        """Count what is missing up to the last numbers as lost, and let every stay go on.

        Until the next call, one of them that comes is late. After it, it is leaked.

        Args:
            last_numbers: the last numbers that are known; a stay may be beyond them.

        Returns:
            The counts since the account was opened, over all streams.
        """
        total = StreamCounts()
        for stream, membership in self._streams.items():
            membership.forgo()
            if membership.is_open:
                known = last_numbers.get(self._listed(stream), 0)
                membership.leave(max(known, membership.last))
                membership.join(membership.last)
            total.add(membership.counts)
        return total

    def close(
        self, last_numbers: Mapping[str, int], *, is_sourced: bool = False
    ) -> Iterator[tuple[str, StreamCounts]]:
        """End every stay at its stream's last number, and return the counts of each.

        Args:
            last_numbers: the last number of every stream.
            is_sourced: whether market streams may have gone on since those were told.
        """
        for stream, membership in self._streams.items():
            self._end(stream, membership, last_numbers, is_sourced=is_sourced)
            yield stream, membership.counts

    def _end(
        self,
        stream: str,
        membership: Membership,
        last_numbers: Mapping[str, int],
        *,
        is_sourced: bool,
    ) -> None:
        last = last_numbers.get(self._listed(stream), membership.last)
        if is_sourced and stream.startswith(_PREFIXES):
            last = max(last, membership.last)
        membership.leave(last)

    def _open_streams(self) -> Iterator[str]:
        return (stream for stream, membership in self._streams.items() if membership.is_open)

    def _join(self, stream: str, mark: int) -> None:
        self._membership(stream).join(mark)

    def _leave(self, stream: str, at: Mapping[str, int]) -> None:
        membership = self._streams.get(stream)
        if membership is not None:
            membership.leave(at.get(stream, membership.last))

    def _listed(self, stream: str) -> str:
        return user_stream(self.user_id) if stream == USER_STREAM else stream

    def _membership(self, stream: str) -> Membership:
        membership = self._streams.get(stream)
        if membership is None:
            membership = self._streams[stream] = Membership()
            if self._whole_market is not None and stream.startswith(_PREFIXES):
                membership.join(self._whole_market.get(stream, 0))
        return membership

    def _deliver(self, stream: str, number: int, previous: int | None) -> None:
        before = number - 1 if previous is None else previous
        membership = self._membership(stream)
        leaked = membership.counts.leaked
        membership.receive(number, before)
        if membership.counts.leaked > leaked and not membership.is_open and stream != USER_STREAM:
            self._tell_leak(LeakOutcome.UNSUBSCRIBED, f"{stream} {number}")

    def _received_private(self, name: str, payload: Mapping[str, Any], stream: str) -> None:
        """Take an owner's form; it counts for the public stream too, where the owner joined it."""
        owner = owner_of(name, payload)
        if owner is not None and owner != self.user_id:
            self._membership(USER_STREAM).counts.leaked += 1
            self._tell_leak(LeakOutcome.FOREIGN, f"{name} of {owner}")
            return
        self._deliver(USER_STREAM, payload["userSeq"], None)
        public = None if stream == USER_STREAM else self._streams.get(stream)
        if "seq" in payload and public is not None and public.is_open:
            public.receive(payload["seq"], payload.get("prevSeq", payload["seq"] - 1))

    def _received_public(self, name: str, payload: Mapping[str, Any], stream: str) -> None:
        field = private_field_of(name, payload)
        if field is not None:
            self._membership(stream).counts.leaked += 1
            self._tell_leak(LeakOutcome.PRIVATE_FIELD, f"{name}: {field}")
        self._deliver(stream, payload["seq"], payload.get("prevSeq"))

    def _tell_leak(self, outcome: LeakOutcome, words: str) -> None:
        if self.on_leak is not None:
            self.on_leak(outcome, words)


class Ledger:
    """All accounts of a process.

    Args:
        is_sourced: whether the gateway publishes market events by itself. Then numbers after the
            last ones that it told are deliveries too.
    """

    def __init__(self, *, is_sourced: bool = False) -> None:
        self._is_sourced = is_sourced
        self._accounts: list[Account] = []

    def keep(self, account: Account) -> None:
        """Keep the account of a virtual user."""
        self._accounts.append(account)

    def owes_nothing(self, last_numbers: Mapping[str, int]) -> bool:
        """Return whether every account has what it is owed."""
        return all(account.owes_nothing(last_numbers) for account in self._accounts)

    def close(self, last_numbers: Mapping[str, int]) -> list[LedgerRow]:
        """Close every account.

        Args:
            last_numbers: the answer of ``GET /api/v1/streams`` after the last publication.

        Returns:
            A row for each stream and group, sorted; the streams of all users are one, ``user``.
        """
        totals: dict[tuple[str, str], StreamCounts] = defaultdict(StreamCounts)
        clients: dict[tuple[str, str], int] = defaultdict(int)
        for account in self._accounts:
            for stream, counts in account.close(last_numbers, is_sourced=self._is_sourced):
                key = (stream, account.group)
                totals[key].add(counts)
                clients[key] += counts.owed > 0
        return [_row(key, totals[key], clients[key]) for key in sorted(totals)]


@lru_cache(maxsize=MAX_SYMBOLS_PER_PROCESS * len(BY_SYMBOL))
def market_stream_of(name: str, symbol: str) -> str:
    """Return the stream of a market event, one string for all users."""
    return symbol_stream(name, symbol)


def _room_of(stream: str) -> str:
    """Return the room that delivers a stream; empty for a user's own, which is not listed."""
    kind, _, symbol = stream.partition(":")
    channel = _CHANNELS[kind]
    return symbol_room(symbol, channel) if symbol else channel


def _accounted(at: Mapping[str, int], rooms: Iterable[str]) -> set[str]:
    """Return the streams of an answer that the ledger keeps: named in ``at`` or by a room."""
    named = {stream for room in rooms for stream in named_streams(room)}
    return named | {stream for stream in at if stream.partition(":")[0] in _KINDS}


def _row(key: tuple[str, str], counts: StreamCounts, clients: int) -> LedgerRow:
    stream, group = key
    return LedgerRow(
        stream=stream,
        group=group,
        clients=clients,
        owed=counts.owed,
        received=counts.received,
        conflated=counts.conflated,
        lost=counts.lost,
        duplicate=counts.duplicate,
        reordered=counts.reordered,
        late=counts.late,
        leaked=counts.leaked,
    )
