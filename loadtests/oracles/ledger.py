"""The ledger: what each virtual user was owed, and what became of it.

A user is owed the numbers of a stream from the mark of its join (``at`` in
``subscribed``; ``userSeq`` in the welcome) to the mark of its leave, or to the
stream's last number when the run is closed. Every number owed ends up in one
of three columns::

    owed = received + conflated + lost

Duplicates, reordered and leaked deliveries are counted beside them, and late ones: the
contract promises that nothing of a stream comes after the answer that ends a stay in it;
what was owed in the stay and comes then is received, and late. Snapshots
are not deliveries. ``heartbeat`` and ``room:NAME`` streams are left out: the
first is the heartbeat oracle's, an event of the second does not name its room.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from gateway.contract import (
    BALANCE_EVENT,
    MAX_SYMBOLS_PER_PROCESS,
    STREAM_PREFIXES,
    TRADING_STREAM,
    USER_STREAM,
    Channel,
    MarketEvent,
    TradingEvent,
    market_stream,
    symbol_room,
    user_stream,
)
from loadtests.oracles.canaries import owner_of, private_field_of
from loadtests.oracles.membership import Membership, StreamCounts
from loadtests.results import LeakOutcome

_MARKET: Final = frozenset(MarketEvent)
_TRADING: Final = frozenset(TradingEvent)
_PREFIXES: Final = tuple(f"{prefix}:" for prefix in STREAM_PREFIXES.values())
_SYMBOL_ROOM: Final = symbol_room("")

LeakListener = Callable[[LeakOutcome, str], None]
"""Hears of an event that a user must not see: what it was, and words for a human."""


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
        user_id: who it is.
        group: its behaviour, a column of the ledger.

    Attributes:
        on_leak: hears of each event that the user must not see, as it comes.
    """

    __slots__ = ("_epoch", "_streams", "_whole_market", "group", "on_leak", "user_id")

    def __init__(self, user_id: str, group: str) -> None:
        self.user_id = user_id
        self.group = group
        self.on_leak: LeakListener | None = None
        self._epoch: object = None  # numbers compare within one epoch alone
        self._streams: dict[str, Membership] = {}
        self._whole_market: Mapping[str, int] | None = None

    def welcome(self, payload: Mapping[str, Any]) -> None:
        """Begin a connection; the stream ``user`` starts at the welcome's ``userSeq``."""
        self.disconnected()
        epoch = payload.get("epoch")
        if epoch != self._epoch:
            self._epoch = epoch
            for membership in self._streams.values():
                membership.forgo()
        self._join(USER_STREAM, int(payload["userSeq"]))

    def subscribed(self, payload: Mapping[str, Any]) -> None:
        """Take a ``subscribed``: each stream of its rooms starts at its mark in ``at``."""
        at = payload["at"]
        for stream in _accounted(at, payload["rooms"]):
            self._join(stream, at.get(stream, 0))
        if Channel.MARKET_DATA in payload["rooms"]:
            self._whole_market = dict(at)

    def unsubscribed(self, payload: Mapping[str, Any]) -> None:
        """Take an ``unsubscribed``: its streams end at their marks in ``at``."""
        at = payload["at"]
        if Channel.MARKET_DATA in payload["rooms"]:
            self._whole_market = None
        for stream in _accounted(at, payload["rooms"]):
            self._leave(stream, at)

    def received(self, name: str, payload: Mapping[str, Any]) -> None:
        """Take an event; what has no number, or is a snapshot, is not accounted for."""
        if payload.get("snapshot") is True:
            return
        if name in _MARKET:
            stream = market_stream_of(name, payload["symbol"])
            self._deliver(stream, payload["seq"], payload.get("prevSeq"))
        elif "userSeq" in payload and (name in _TRADING or name == BALANCE_EVENT):
            self._received_private(name, payload)
        elif name in _TRADING:
            self._received_public(name, payload)

    def disconnected(self) -> None:
        """End every stay where it is: what a lost connection was owed, nobody can say."""
        for membership in self._streams.values():
            membership.leave(membership.last)
        self._whole_market = None

    def owes_nothing(self, last_numbers: Mapping[str, int]) -> bool:
        """Return whether nothing is outstanding, given the last number of every stream."""
        return all(
            membership.owes_nothing(last_numbers.get(self._listed(stream), 0))
            for stream, membership in self._streams.items()
        )

    def close(self, last_numbers: Mapping[str, int]) -> Iterator[tuple[str, StreamCounts]]:
        """End every stay at its stream's last number and return what became of each."""
        for stream, membership in self._streams.items():
            last = last_numbers.get(self._listed(stream), membership.last)
            membership.leave(last)
            yield stream, membership.counts

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

    def _received_private(self, name: str, payload: Mapping[str, Any]) -> None:
        """Take an owner's form; it counts for ``trading`` too, where the owner joined it."""
        owner = owner_of(name, payload)
        if owner is not None and owner != self.user_id:
            self._membership(USER_STREAM).counts.leaked += 1
            self._tell_leak(LeakOutcome.FOREIGN, f"{name} of {owner}")
            return
        self._deliver(USER_STREAM, payload["userSeq"], None)
        trading = self._streams.get(TRADING_STREAM)
        if "seq" in payload and trading is not None and trading.is_open:
            trading.receive(payload["seq"], payload.get("prevSeq", payload["seq"] - 1))

    def _received_public(self, name: str, payload: Mapping[str, Any]) -> None:
        field = private_field_of(name, payload)
        if field is not None:
            self._membership(TRADING_STREAM).counts.leaked += 1
            self._tell_leak(LeakOutcome.PRIVATE_FIELD, f"{name}: {field}")
        self._deliver(TRADING_STREAM, payload["seq"], payload.get("prevSeq"))

    def _tell_leak(self, outcome: LeakOutcome, words: str) -> None:
        if self.on_leak is not None:
            self.on_leak(outcome, words)


class Ledger:
    """All accounts of a process."""

    def __init__(self) -> None:
        self._accounts: list[Account] = []

    def open(self, user_id: str, group: str) -> Account:
        """Open an account for a virtual user."""
        account = Account(user_id, group)
        self.keep(account)
        return account

    def keep(self, account: Account) -> None:
        """Keep an account that was opened elsewhere."""
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
            for stream, counts in account.close(last_numbers):
                key = (stream, account.group)
                totals[key].add(counts)
                clients[key] += counts.owed > 0
        return [_row(key, totals[key], clients[key]) for key in sorted(totals)]


@lru_cache(maxsize=MAX_SYMBOLS_PER_PROCESS * len(MarketEvent))
def market_stream_of(name: str, symbol: str) -> str:
    """Return the stream of a market event by its name on the wire; for the hot path."""
    return market_stream(MarketEvent(name), symbol)


def _accounted(at: Mapping[str, int], rooms: Iterable[str]) -> set[str]:
    """Return the streams of an answer that the ledger keeps: named in ``at`` or by a room."""
    streams = {name for name in at if name == TRADING_STREAM or name.startswith(_PREFIXES)}
    for room in rooms:
        if room == Channel.TRADING:
            streams.add(TRADING_STREAM)
        elif room.startswith(_SYMBOL_ROOM):
            symbol = room.removeprefix(_SYMBOL_ROOM)
            streams.update(market_stream(event, symbol) for event in MarketEvent)
    return streams


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
