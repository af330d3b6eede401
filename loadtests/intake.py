"""The intake: everything that a process's clients read and that needs no user to look at it.

A push that continues its stream is one line in three columns here: its read stamp, what
its frame says, whose it was. The hot path does no more; :meth:`Intake.drain` makes arrays
of the columns a few times a second, and whoever records or shows them takes the whole.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from gateway.contract import (
    BALANCE_EVENT,
    TRADING_STREAM,
    USER_STREAM,
    MarketEvent,
    ServerEvent,
    TradingEvent,
)
from loadtests.ledger import market_stream_of, names_a_secret
from loadtests.memo import Memo

MAX_NUMBER: Final = 0xFFFF_FFFE
"""The last number that a lane's array holds; later ones are accounted for one by one."""
UNMEASURED: Final = -1
"""In a column of moments: there is none."""

WHOLE_TEXT: Final = 0x81
"""First byte of a text message in one frame (RFC 6455 §5.2)."""

_NS_PER_US: Final = 1_000
_EVENT: Final = b'42["'
_TO_EVERYBODY: Final = tuple(
    f'42["{event}",'.encode() for event in (ServerEvent.HEARTBEAT, ServerEvent.CONNECTION_COUNT)
)
_OWNED: Final = b'"userSeq"'
_BROADCASTS: Final = 8  # the newest are all that is asked for
_LENGTH_16: Final = 126  # RFC 6455 §5.2: the next two bytes are the length
_LONG_HEAD: Final = 4
_SHORT_HEAD: Final = 2
_MARKET: Final = frozenset(MarketEvent)
_TRADING: Final = frozenset(TradingEvent)
_NOT_SHARED: Final = ("snapshot", "replayed", "epoch", "userSeq")


class Place(NamedTuple):
    """Where an event stands: in which stream, under which number, after which one."""

    stream: str
    number: int
    previous: int


class Push:
    """What a pushed event says of itself.

    Attributes:
        slot: its stream's place in a lane.
        number: its place in the stream.
        previous: the number before it; −1 where numbers between were conflated.
        name: of the event.
        stream: id of the stream.
        ts_ns: when it was numbered, the gateway's clock.
        src_ns: when it should have been published; ``UNMEASURED`` where it does not say.
        kind: twice the event's place in :attr:`Intake.names`, one more where it is sampled.
    """

    __slots__ = ("kind", "name", "number", "previous", "slot", "src_ns", "stream", "ts_ns")

    def __init__(self, slot: int, place: Place, name: str, kind: int, data: Mapping[str, Any]):
        self.slot = slot
        self.stream, self.number, previous = place
        self.name = name
        self.kind = kind
        self.previous = previous if previous == self.number - 1 else -1
        self.ts_ns: int = data["ts"] * _NS_PER_US
        self.src_ns: int = data["srcTs"] * _NS_PER_US if "srcTs" in data else UNMEASURED


class Batch:
    """What was taken in since the last one, in columns of one length but for the shares.

    Attributes:
        stamps_ns: when each push was read.
        pushes: what its frame says.
        owners: whose it was: the number given to the lane.
        kinds: as in :class:`Push`.
        service_ns: read − numbered.
        response_ns: read − intended; meaningless where ``is_intended`` is false.
        is_intended: whether the push says when it was intended.
        others: events beside the pushes: received, and not to be timed.
        bytes_read: by all clients.
        shares_ns: the generator's own share of some reads, at ``share_stamps_ns``.
    """

    def __init__(
        self, stamps: array[int], pushes: list[Push], owners: array[int], names: tuple[str, ...]
    ) -> None:
        count = len(pushes)
        self.names = names
        self.pushes = pushes
        self.stamps_ns = np.array(stamps, dtype=np.int64)
        self.owners = np.array(owners, dtype=np.int64)
        self.kinds = _column("kind", pushes, count)
        src_ns = _column("src_ns", pushes, count)
        self.service_ns: NDArray[np.int64] = self.stamps_ns - _column("ts_ns", pushes, count)
        self.response_ns: NDArray[np.int64] = self.stamps_ns - src_ns
        self.is_intended: NDArray[np.bool_] = src_ns != UNMEASURED
        self.others = 0
        self.bytes_read = 0
        self.shares_ns: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.share_stamps_ns: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    @property
    def received(self) -> int:
        """How many events were received."""
        return len(self.pushes) + self.others

    def latencies_ns(self) -> NDArray[np.int64]:
        """Return each push's response where it has one, its service time elsewhere."""
        return np.where(self.is_intended, self.response_ns, self.service_ns)


class Intake:
    """Columns of what came in, and the memo of what its frames say. One for each environment.

    Attributes:
        memo: what frames say, for all clients.
        broadcasts: the same of frames that every client is sent, :meth:`broadcast` fills it.
        names: of the events that have come, in order.
        stamps: the column of read stamps, and beside it ``pushes`` and ``owners``.
        bytes_read: by all clients.
        others: events that came and are no line of the columns.
        is_sampled: whether (stream, number) goes into the sample.
    """

    def __init__(self) -> None:
        self.memo: Memo[Push] = Memo()
        self.names: dict[str, int] = {}
        self.stamps = array("q")
        self.pushes: list[Push] = []
        self.owners = array("I")
        self.bytes_read = 0
        self.others = 0
        self.is_sampled: Callable[[str, int], bool] = _never
        self.broadcasts: Memo[tuple[str, Any]] = Memo(_BROADCASTS)
        self._slots: dict[str, int] = {}
        self._streams: list[str] = []
        self._shares = array("q")
        self._share_stamps = array("q")

    def slot_of(self, stream: str) -> int:
        """Return a stream's place in every lane of this intake."""
        slot = self._slots.get(stream)
        if slot is None:
            slot = self._slots[stream] = len(self._streams)
            self._streams.append(stream)
        return slot

    def stream_at(self, slot: int) -> str:
        """Return the stream of a place."""
        return self._streams[slot]

    def learn(self, frame: bytes) -> Push | None:
        """Return what a whole text frame says, and remember it; None for what is no shared push.

        Shared is what many users are sent with one number and one content: market events, and
        the public form of order flow. Whoever's event carries ``userSeq`` is somebody's own.
        """
        push = self.memo.recall(frame)
        if push is not None:
            return push
        if frame.startswith(_TO_EVERYBODY, _SHORT_HEAD):
            return None
        start = _LONG_HEAD if frame[1] == _LENGTH_16 else _SHORT_HEAD
        if start == _LONG_HEAD and len(frame) < _LONG_HEAD + _LENGTH_16:
            return None  # a length that is not in its shortest form: a violation
        if not frame.startswith(_EVENT, start) or _OWNED in frame:
            return None
        try:
            push = self._read(orjson.loads(memoryview(frame)[start + 2 :]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return None  # not what the contract says: the user's own way through will judge it
        if push is not None:
            self.memo.keep(frame, push)
        return push

    def broadcast(self, frame: bytes) -> tuple[str, Any] | None:
        """Return name and payload of a whole frame that every client is sent, None of another.

        Such a frame comes to all users at once: decoded for each, the last would wait long.
        The payload is everybody's, and nobody's to change.
        """
        said = self.broadcasts.recall(frame)
        if said is not None:
            return said
        if frame[0] != WHOLE_TEXT or not frame.startswith(_TO_EVERYBODY, _SHORT_HEAD):
            return None
        try:
            name, payload = orjson.loads(memoryview(frame)[_SHORT_HEAD + 2 :])
        except ValueError:
            return None  # the user's own way through will judge it
        said = name, payload
        self.broadcasts.keep(frame, said)
        return said

    def take(self, stamp_ns: int, owner: int, name: str, data: Mapping[str, Any]) -> None:
        """Take a timed event that came on a user's own way.

        Raises:
            KeyError: it says no ``ts``, or lacks what its name promises.
        """
        place = place_of(name, data) or Place("", 0, 0)
        self.stamps.append(stamp_ns)
        self.pushes.append(Push(0, place, name, self._kind(name, place), data))
        self.owners.append(owner)

    def take_share(self, stamp_ns: int, share_ns: int) -> None:
        """Take how long a read came after the kernel's own stamp."""
        self._share_stamps.append(stamp_ns)
        self._shares.append(share_ns)

    def drain(self) -> Batch | None:
        """Return everything since the last time; None when nothing came."""
        if not (self.pushes or self.others or self.bytes_read or self._shares):
            return None
        batch = Batch(self.stamps, self.pushes, self.owners, tuple(self.names))
        batch.others, self.others = self.others, 0
        batch.bytes_read, self.bytes_read = self.bytes_read, 0
        batch.shares_ns = np.array(self._shares, dtype=np.int64)
        batch.share_stamps_ns = np.array(self._share_stamps, dtype=np.int64)
        self.stamps, self.pushes, self.owners = array("q"), [], array("I")
        self._shares, self._share_stamps = array("q"), array("q")
        return batch

    def _read(self, packet: Any) -> Push | None:
        name, data = packet
        if any(field in data for field in _NOT_SHARED) or not _is_whole(data):
            return None
        if name in _TRADING and names_a_secret(data):
            return None
        place = place_of(name, data)
        if place is None:
            return None
        return Push(self.slot_of(place.stream), place, name, self._kind(name, place), data)

    def _kind(self, name: str, place: Place) -> int:
        number = self.names.setdefault(name, len(self.names))
        return 2 * number + self.is_sampled(place.stream, place.number)


def place_of(name: str, data: Mapping[str, Any]) -> Place | None:
    """Return where an event stands; None for events that no ledger numbers.

    The owner's form of order flow stands in the user's own stream.

    Raises:
        KeyError: the event lacks its number or its symbol.
    """
    if name in _MARKET:
        stream = market_stream_of(name, data["symbol"])
    elif name == BALANCE_EVENT or (name in _TRADING and "userSeq" in data):
        return Place(USER_STREAM, data["userSeq"], data["userSeq"] - 1)
    elif name in _TRADING:
        stream = TRADING_STREAM
    else:
        return None
    return Place(stream, data["seq"], data.get("prevSeq", data["seq"] - 1))


def _is_whole(data: Mapping[str, Any]) -> bool:
    """Return whether the fields that are read as numbers are whole ones, and fit."""
    fields = [data["seq"], data["ts"], data.get("prevSeq", 0), data.get("srcTs", 0)]
    return all(type(field) is int for field in fields) and 0 < fields[0] <= MAX_NUMBER


def _column(field: str, pushes: list[Push], count: int) -> NDArray[np.int64]:
    return np.fromiter(map(attrgetter(field), pushes), dtype=np.int64, count=count)


def _never(_stream: str, _number: int) -> bool:
    return False
