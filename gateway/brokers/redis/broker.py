"""``RedisBroker``: the broker of several nodes. Redis numbers and remembers; this node applies."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from gateway import strict_json
from gateway.brokers.last_values import LastValues
from gateway.brokers.redis.log_state import EntriesMissing, LogState
from gateway.brokers.redis.terms import NO_CLIENT, LogTerms
from gateway.contract import user_stream
from gateway.errors import SettingsError
from gateway.nodes.applied import AppliedStreams
from gateway.nodes.entries import (
    Entry,
    Malformed,
    Route,
    arrival_of,
    entry_of,
    head_of,
    packet_of,
    restamped,
    route_in,
)
from gateway.server.clock import Clock
from gateway.server.log import get_logger

_DEAF_S: Final = 1.5  # without a message of its own through the log
_TOLD_S: Final = 30.0  # until skipped entries are logged again
_STREAMS_A_CALL: Final = 1_000
_NS_PER_S: Final = 1e9

log = get_logger(__name__)


class Node(Protocol):
    """What the broker tells the gateway of its node."""

    def wants(self, route: Route) -> bool:
        """Return whether clients of this node get a market event."""

    def publication(self, entry: Entry, *, follows: bool) -> None:
        """Send a publication to the clients of this node that get it.

        Args:
            entry: the publication, with ``ts`` of this node's clock.
            follows: whether its number in its user's stream follows the last one here.
        """

    def message(self, name: str, body: bytes) -> None:
        """Take a message of a node, which may be this one."""

    def joined(self, joined: LogState, *, has_lost: bool, is_new_epoch: bool) -> None:
        """Take over the state of the log.

        Args:
            joined: the state.
            has_lost: whether clients of this node may lack events.
            is_new_epoch: whether the epoch is another one.
        """

    def is_congested(self) -> bool:
        """Return whether the clients of this node have enough to send."""


class _Replay:
    """The private events of a user with clients that return just now, by their number."""

    __slots__ = ("clients", "events")

    def __init__(self) -> None:
        self.clients = 0
        self.events: dict[int, bytes] = {}


class RedisBroker:
    """Applies the log of all nodes on this one.

    Args:
        terms: where the log is, and how much it keeps.
        clock: of this node.

    Raises:
        SettingsError: the extra ``redis`` is not installed, or the file of authorities is unfit.

    Attributes:
        link: the connections to Redis.
        streams: the last number of every stream, as this node has applied them.
        number: the number of the last entry that was applied.
        key: the hash key of the public form's ids, the same on all nodes.
        applied: how many entries were applied.
        skipped: how many entries and records of Redis were not this version's.
        node: the gateway; set before ``link.start``.
    """

    node: Node

    def __init__(self, terms: LogTerms, clock: Clock) -> None:
        try:
            from gateway.brokers.redis.link import LogLink
        except ModuleNotFoundError:  # of the extra
            raise SettingsError([NO_CLIENT]) from None
        self._clock = clock
        self.link: LogLink = LogLink(terms, self, self._now_s)
        self._values = LastValues()  # of records: most are replaced before a client asks
        self.streams = AppliedStreams(self._values.forget)
        self.number = 0
        self.key = b""
        self.applied = 0
        self.skipped = 0
        self._told_s = -math.inf
        self._replays: dict[str, _Replay] = {}

    @property
    def hears(self) -> bool:
        """Whether this node has heard itself through the log just now."""
        return self.link.is_heard and self.link.silent_s() < _DEAF_S

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / _NS_PER_S

    def is_congested(self) -> bool:
        """Return whether the clients of this node have enough to send."""
        return self.node.is_congested()

    def joined(self, joined: LogState) -> None:
        """Take over the state of the log; see ``link.Reader``."""
        is_new_epoch = joined.epoch != self.streams.epoch
        self.key = joined.key
        has_lost = bool(self.streams.epoch) and not joined.goes_on
        if not joined.goes_on:
            self.number = joined.number
            self.streams.load(joined.epoch, joined.floor, joined.young, joined.old)
            for stream in list(self._values.streams()):
                self._values.forget(stream)
            for stream, record in joined.values.items():
                self._values.keep(stream, record)
        self.node.joined(joined, has_lost=has_lost, is_new_epoch=is_new_epoch)

    def apply(self, fields: Sequence[bytes]) -> bool:
        """Apply an entry, or skip it; see ``link.Reader``.

        Raises:
            EntriesMissing: it does not follow the last one.
        """
        record = fields[1]
        head = head_of(record) if fields[0] == b"e" else None
        if head is None:
            self._skip("it has no record of this version in its field e")
            return False
        number = head[1]
        if number != self.number + 1:
            raise EntriesMissing(f"entry {number} of the log follows {self.number}")
        self.number = number
        self.applied += 1
        try:
            route = route_in(record, head)
            if route.clock != self._clock.id and route.name is None:
                # Another host's clock says nothing to this node's clients.
                record = restamped(record, self._clock.monotonic_ns() // 1_000)
            if route.symbol is not None and route.stream is not None:
                self.streams.apply(route.stream, head[2])
                self._values.keep(route.stream, record)
                if not self.node.wants(route):
                    return True  # most entries of the log: nobody decodes them
            entry = entry_of(record, fields[3::2])
        except Malformed as error:  # its numbers are missing in their streams, as clients see
            self._skip(str(error))
            return True
        if route.name is not None:
            self._message(route.name, entry.bodies[0])
        else:
            self._publication(entry)
        return True

    def _skip(self, reason: str) -> None:
        """Count something of another program or version, and log it at a limited rate."""
        self.skipped += 1
        now_s = self._now_s()
        if now_s >= self._told_s + _TOLD_S:
            self._told_s = now_s
            log.warning("skipped an entry of the log", reason=reason, skipped=self.skipped)

    def _kept(self, record: bytes) -> Entry | None:
        """Return an event that Redis keeps, ``None`` if this version did not write it."""
        try:
            return entry_of(record)
        except Malformed as error:
            self._skip(str(error))
            return None

    def _publication(self, entry: Entry) -> None:
        route = entry.route
        if route.stream is not None and route.symbol is None and entry.seq:
            self.streams.apply(route.stream, entry.seq)
        follows = True
        if route.user_id is not None and entry.user_seq:
            follows = self.streams.apply(user_stream(route.user_id), entry.user_seq)
        try:
            self.node.publication(entry, follows=follows)
        except Exception:  # a bug with one publication must not keep back those behind it
            log.exception("publication not delivered", number=entry.number)

    def _message(self, name: str, body: bytes) -> None:
        if name == "turn":
            self.streams.turn(int(body))
        elif name == "keep":
            for stream, number in strict_json.loads(body):
                self.streams.keep(stream, number)
        else:
            try:
                self.node.message(name, body)
            except Exception:  # as above
                log.exception("message of a node not taken", message=name)

    def last_value(self, stream: str) -> bytes | None:
        """Return the last event of a symbol's stream, encoded; ``None`` if none is kept."""
        record = self._values.of(stream)
        entry = None if record is None else self._kept(record)
        return None if entry is None else packet_of(entry, 0)

    def may_return(self, user_id: str) -> bool:
        """Return whether a client of the user is returning here just now."""
        return user_id in self._replays

    def remember_private(self, user_id: str, number: int, packet: bytes) -> None:
        """Keep a private event for the user's clients that return just now.

        Args:
            user_id: the user.
            number: the event's number in the user's stream.
            packet: the event, encoded.
        """
        self._replays[user_id].events[number] = packet

    def users_came(self, users: Collection[str]) -> None:
        """Let the private events of users be kept from now on, for clients that return.

        Args:
            users: their ids. They are told again later if the log is away.
        """
        if users:
            self.link.note([arrival_of(user_id) for user_id in users])

    async def keep_new(self) -> None:
        """Begin the streams of users that have come; see ``keep``."""
        await self._keep(self.streams.unnumbered())

    async def keep(self) -> None:
        """Keep the streams alive that clients of this node receive.

        Raises:
            LogAway: the log cannot be reached. They are tried again with the next call.
        """
        await self._keep(self.streams.in_danger())

    async def _keep(self, streams: list[str]) -> None:
        while streams:
            await self.link.keep(streams[:_STREAMS_A_CALL])
            del streams[:_STREAMS_A_CALL]

    def gather(self, user_id: str) -> None:
        """Gather a user's private events for a client that returns. ``release`` must follow."""
        self._replays.setdefault(user_id, _Replay()).clients += 1

    async def fetch(self, user_id: str) -> None:
        """Add those of a user's private events that Redis keeps to those that are gathered.

        Args:
            user_id: the user.

        Raises:
            LogAway: the log cannot be reached.
        """
        replay = self._replays[user_id]
        number, records = await self.link.missed(user_id)
        for record in records:
            entry = self._kept(record)
            if entry is not None and entry.user_seq:
                replay.events[entry.user_seq] = packet_of(entry, 0)
        await self.link.applied(number)

    def release(self, user_id: str) -> None:
        """Note that a client has returned, or has left before."""
        replay = self._replays[user_id]
        replay.clients -= 1
        if not replay.clients:
            del self._replays[user_id]

    def missed(self, user_id: str, number: int) -> list[bytes] | None:
        """Return a user's private events after a number, ``None`` if not all are kept.

        Args:
            user_id: the user, whose events were fetched.
            number: the last number that the client has.
        """
        replay = self._replays.get(user_id)
        wanted = range(number + 1, self.streams.last_user(user_id) + 1)
        if not wanted:
            return []
        if replay is None or any(each not in replay.events for each in reversed(wanted)):
            return None
        return [replay.events[each] for each in wanted]

    def forget_user(self, user_id: str) -> None:
        """Do nothing: Redis forgets a user by itself."""

    def sweep(self, _now_ns: int) -> int:
        """Return 0: streams are forgotten by turns."""
        return 0

    def entries(self) -> dict[str, int]:
        """Return the number of entries of each table."""
        return {"streams": len(self.streams), "last_values": len(self._values)}
