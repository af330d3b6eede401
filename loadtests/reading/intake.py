"""Column store for pushes that need no handling per user.

Each push that continues its stream appends one row: read stamp, decoded frame (shared) and user
number. The hot path does nothing else. :meth:`Intake.drain` makes arrays of the
columns a few times a second, for the code that records and shows them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from gateway.contract import EVENTS, USER_STREAM, Audience
from loadtests.oracles.canaries import private_field_of
from loadtests.oracles.checksums import is_altered
from loadtests.oracles.ledger import ACCOUNTED, BY_SYMBOL, market_stream_of
from loadtests.oracles.snapshots import SharedContents
from loadtests.reading.batches import UNSHARED, Batch, Place, Push, Share, family_of
from loadtests.reading.memo import Memo

MAX_NUMBER: Final = 0xFFFF_FFFE
"""The last number that a fast path's array can hold. The ledger takes later ones one by one."""
WHOLE_TEXT: Final = 0x81
"""First byte of a text message in one frame (RFC 6455 §5.2)."""

_EVENT: Final = b'42["'
# Encoded once for all clients. A client's own form of an event is never conflated.
_TO_EVERYBODY: Final = tuple(
    f'42["{name}",'.encode()
    for name, row in EVENTS.items()
    if row.audience is Audience.EVERYONE and row.conflated_by is not None
)
_OWNED: Final = b'"userSeq"'
_BROADCASTS: Final = 8  # only the newest are looked up
_LENGTH_16: Final = 126  # RFC 6455 §5.2: the next two bytes are the length
_LONG_HEAD: Final = 4
_SHORT_HEAD: Final = 2
_PUBLIC_FORMS: Final = frozenset(
    name for name, row in ACCOUNTED.items() if row.audience is Audience.OWNER_AND_PUBLIC
)
_NOT_SHARED: Final = ("snapshot", "replayed", "epoch", "userSeq")


class Intake:
    """Columns of received pushes, and a memo of what their frames say. One for each environment.

    Attributes:
        memo: what a frame says, for all clients.
        broadcasts: the same for frames that every client gets; :meth:`broadcast` fills it.
        names: the name and family of each event that came, in the order of the first of each.
        stamps: the column of read stamps; the columns ``pushes`` and ``owners`` are as long.
        bytes_read: bytes that all clients read.
        others: number of events that came and are in no column.
        is_sampled: whether (stream, number) goes into the sample.
        contents: what each number of a shared stream says.
        offset_ns: the gateway's clock minus ours, ns; 0 where they are one, None when unknown.
    """

    def __init__(self) -> None:
        self.memo: Memo[Push] = Memo()
        self.names: dict[tuple[str, str], int] = {}
        self.stamps = array("q")
        self.pushes: list[Push] = []
        self.owners = array("I")
        self.bytes_read = 0
        self.others = 0
        self.is_sampled: Callable[[str, int], bool] = _never
        self.broadcasts: Memo[tuple[str, Any]] = Memo(_BROADCASTS)
        self._numbers: dict[tuple[str, str], int] = {}  # by name and stream
        self._slots: dict[str, int] = {}
        self._streams: list[str] = []
        self.contents = SharedContents()
        self.offset_ns: int | None = None
        self._shares: list[Share] = []

    def slot_of(self, stream: str) -> int:
        """Return a stream's slot: its place in every fast path of this intake."""
        slot = self._slots.get(stream)
        if slot is None:
            slot = self._slots[stream] = len(self._streams)
            self._streams.append(stream)
        return slot

    def stream_at(self, slot: int) -> str:
        """Return the stream of a slot."""
        return self._streams[slot]

    def learn(self, frame: bytes) -> Push | None:
        """Return what a whole text frame says, and remember it; None when it is no shared push.

        A shared push goes to many users with one number and one content: a market event, or a
        public form. An event with ``userSeq`` belongs to one user.
        """
        push = self.memo.recall(frame)
        if push is not None:
            return push
        if frame.startswith(_TO_EVERYBODY, _SHORT_HEAD):
            return None
        start = _LONG_HEAD if frame[1] == _LENGTH_16 else _SHORT_HEAD
        if start == _LONG_HEAD and len(frame) < _LONG_HEAD + _LENGTH_16:
            return None  # RFC 6455 §5.2 requires the shortest form of the length
        if not frame.startswith(_EVENT, start) or _OWNED in frame:
            return None
        try:
            push = self._read(orjson.loads(memoryview(frame)[start + 2 :]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return None  # it breaks the contract: the user's own way judges it
        if push is not None:
            self.memo.keep(frame, push)
        return push

    def broadcast(self, frame: bytes) -> tuple[str, Any] | None:
        """Return name and payload of a frame that every client gets; None for any other frame.

        Such a frame reaches all users at once. Decoding it for each would delay the last. All
        users share the payload, so none may change it.
        """
        said = self.broadcasts.recall(frame)
        if said is not None:
            return said
        if frame[0] != WHOLE_TEXT or not frame.startswith(_TO_EVERYBODY, _SHORT_HEAD):
            return None
        try:
            name, payload = orjson.loads(memoryview(frame)[_SHORT_HEAD + 2 :])
        except ValueError:
            return None  # the user's own way judges it
        said = name, payload
        self.broadcasts.keep(frame, said)
        return said

    def take(self, stamp_ns: int, owner: int, name: str, data: Mapping[str, Any]) -> None:
        """Add a timed event that came on a user's own way.

        Args:
            stamp_ns: when it was read, ns.
            owner: the user's number in the columns.
            name: of the event.
            data: its payload.

        Raises:
            KeyError: the payload has no ``ts``, or lacks its number or symbol.
        """
        place = place_of(name, data) or Place("", 0, 0)
        is_shared = place.stream not in ("", USER_STREAM)
        slot = self.slot_of(place.stream) if is_shared else UNSHARED
        self.stamps.append(stamp_ns)
        self.pushes.append(Push(slot, place, name, self._kind(name, place), data))
        self.owners.append(owner)

    def take_share(self, stamp_ns: int, share_ns: int, owner: int) -> None:
        """Add the time between the kernel's stamp of a read and our own.

        Call it before the read's pushes are added: the next push is taken as that read's first.

        Args:
            stamp_ns: when we read, ns.
            share_ns: our stamp minus the kernel's, ns.
            owner: the user's number in the columns.
        """
        self._shares.append(Share(stamp_ns, share_ns, owner, len(self.pushes)))

    def drain(self) -> Batch | None:
        """Return everything since the last call; None when nothing came."""
        if not (self.pushes or self.others or self.bytes_read or self._shares):
            return None
        batch = Batch(
            self.stamps,
            self.pushes,
            self.owners,
            tuple(self.names),
            self._shares,
            self.offset_ns or 0,
        )
        batch.others, self.others = self.others, 0
        batch.bytes_read, self.bytes_read = self.bytes_read, 0
        self.stamps, self.pushes, self.owners = array("q"), [], array("I")
        self._shares = []
        return batch

    def _read(self, packet: Any) -> Push | None:
        name, data = packet
        if any(field in data for field in _NOT_SHARED) or not _is_whole(data):
            return None
        if name in _PUBLIC_FORMS and private_field_of(name, data) is not None:
            return None
        if is_altered(name, data):
            return None  # the user's own way reports it, once for each receiver
        place = place_of(name, data)
        if place is None:
            return None
        if not self.contents.agrees(place.stream, place.number, data):
            return None  # reported by the user's own way too
        return Push(self.slot_of(place.stream), place, name, self._kind(name, place), data)

    def _kind(self, name: str, place: Place) -> int:
        known = name, place.stream
        number = self._numbers.get(known)
        if number is None:
            named = name, family_of(name, place.stream)
            number = self._numbers[known] = self.names.setdefault(named, len(self.names))
        return 2 * number + self.is_sampled(place.stream, place.number)


def place_of(name: str, data: Mapping[str, Any]) -> Place | None:
    """Return an event's place in its stream; None for an event that no ledger accounts for.

    An owner's form has its place in the user's own stream.

    Raises:
        KeyError: the event lacks its number or its symbol.
    """
    if name in BY_SYMBOL:
        stream = market_stream_of(name, data["symbol"])
    elif name not in ACCOUNTED:
        return None
    else:
        stream = ACCOUNTED[name].stream.kind
        if stream == USER_STREAM or "userSeq" in data:
            return Place(USER_STREAM, data["userSeq"], data["userSeq"] - 1)
    return Place(stream, data["seq"], data.get("prevSeq", data["seq"] - 1))


def _is_whole(data: Mapping[str, Any]) -> bool:
    """Return whether the fields that are read as numbers are integers of the right size."""
    fields = [data["seq"], data["ts"], data.get("prevSeq", 0), data.get("srcTs", 0)]
    return all(type(field) is int for field in fields) and 0 < fields[0] <= MAX_NUMBER


def _never(_stream: str, _number: int) -> bool:
    return False
