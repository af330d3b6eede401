"""Entries of the log: what a publication or a message between nodes looks like in Redis.

An entry has a field ``e``, its record, and a field ``b`` for the body of each frame but the first.
A record is a head of 41 bytes and three texts::

    head    ``FORMAT``, its number in the log, seq, userSeq (0: none), ts (µs), the bytes of header
            and of tail, each an unsigned integer, big-endian; see ``_HEAD``
    header  who gets it, a JSON array; equal for all publications to the same recipients
    tail    what follows ``ts`` in each payload, ``"timestamp":"…"}`` and so on
    body    of the first frame: the payload's own fields, ``{"symbol":"A",``

A frame's packet is its body, its numbers, ``ts`` and the tail, joined: nobody decodes a payload.
Redis keeps the record alone for snapshots and replay. The header of a message between nodes is
``["name"]``, and its only body is JSON.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple, cast

from gateway import strict_json
from gateway.contract import EVENTS, UNLISTED
from gateway.routing import Outline

FORMAT: Final = 1
"""Of entries and records. Nodes that read another one do not share a log."""
_HEAD: Final = struct.Struct(">BQQQQII")
_TS: Final = struct.Struct(">Q")
_TS_AT: Final = 25
_MOST_ROUTES: Final = 65_536  # headers that are kept decoded
_PLACES: Final = {"seq": 1, "prevSeq": 2, "userSeq": 3}


class Malformed(ValueError):  # noqa: N818 - the name says what it is
    """An entry that this version did not write."""


class Draft(NamedTuple):
    """A publication that is to be numbered and appended.

    Attributes:
        stream: id of the stream of a room that numbers it, empty for none.
        user_id: the user whose stream numbers it too, empty for none.
        id: the publisher's name for it, empty for none.
        is_value: whether it is the newest value of its stream, for snapshots.
        ts_us: its time, µs of the node's clock.
        header: who gets it.
        tail: what follows ``ts``.
        bodies: the payload of each frame, up to the numbers.
    """

    stream: str
    user_id: str
    id: str
    is_value: bool
    ts_us: int
    header: bytes
    tail: bytes
    bodies: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.header) + len(self.tail) + sum(map(len, self.bodies))


@dataclass(frozen=True, slots=True)
class FrameRoute:
    """Who gets a frame; see ``routing.Delivery``."""

    event: str
    rooms: tuple[str, ...]
    user_id: str | None
    client_id: str | None
    except_user: str | None
    form: bytes
    """Its packet, without body, numbers, ``ts`` and tail."""
    fill: Callable[[tuple[object, ...]], tuple[object, ...]]
    """Picks what the form takes of body, ``seq``, ``prevSeq``, ``userSeq``, ``ts`` and tail."""
    names_rooms: bool
    """Whether the publisher chose the rooms' names, which might be a client's id."""


@dataclass(frozen=True, slots=True)
class Route:
    """A header, decoded.

    Attributes:
        name: the name of a message between nodes, ``None`` for a publication.
        clock: the id of the clock of ``ts``.
        stream: id of the stream of a room, ``None`` for none.
        user_id: the user whose stream numbers it, ``None`` for none.
        frames: its frames.
        symbol: the symbol of a market event, ``None`` for other events.
    """

    name: str | None = None
    clock: str = ""
    stream: str | None = None
    user_id: str | None = None
    frames: tuple[FrameRoute, ...] = ()
    symbol: str | None = None


class Entry(NamedTuple):
    """An entry of the log.

    Attributes:
        number: its number in the log.
        seq: the number of the publication in its room's stream, 0 for none.
        user_seq: its number in its user's stream, 0 for none.
        ts_us: its time, µs.
        route: who gets it.
        tail: what follows ``ts`` in each payload.
        bodies: the payload of each frame, up to the numbers.
    """

    number: int
    seq: int
    user_seq: int
    ts_us: int
    route: Route
    tail: bytes
    bodies: Sequence[bytes]


def draft_of(
    outline: Outline,
    *,
    publication_id: str | None,
    is_value: bool,
    ts_us: int,
    stamps: dict[str, Any],
    clock: str,
) -> Draft:
    """Return what is appended for a publication.

    Args:
        outline: what the publication becomes.
        publication_id: the publisher's name for it, ``None`` for none.
        is_value: whether it is the newest value of its stream.
        ts_us: its time, µs.
        stamps: the fields that follow ``ts`` in each payload.
        clock: the id of the clock of ``ts``.

    Raises:
        NotStrictJson: JSON cannot hold a payload.
    """
    frames = [
        [d.event, d.shows, d.rooms, d.user_id, d.client_id, d.except_user]
        for d in outline.deliveries
    ]
    header = strict_json.dumps([None, clock, outline.stream, outline.user_id, frames])
    return Draft(
        outline.stream or "",
        outline.user_id or "",
        publication_id or "",
        is_value,
        ts_us,
        header.encode(),
        f",{strict_json.dumps(stamps)[1:]}".encode(),
        tuple(_body(delivery.payload) for delivery in outline.deliveries),
    )


def message_of(name: str, facts: Any) -> Draft:
    """Return a message to all nodes.

    Args:
        name: its name.
        facts: its body, a JSON value.
    """
    header = strict_json.dumps([name]).encode()
    return Draft("", "", "", False, 0, header, b"", (strict_json.dumps(facts).encode(),))


def arrival_of(user_id: str) -> Draft:
    """Return the note that clients of a user may return from now on. It becomes no entry."""
    return Draft("", user_id, "", False, 0, b"", b"", ())


def _body(own: dict[str, Any]) -> bytes:
    text = strict_json.dumps(own)
    return b"{" if text == "{}" else f"{text[:-1]},".encode()


Head = tuple[int, int, int, int, int, int, int]
"""``FORMAT``, the entry's number, seq, userSeq, ts, and the bytes of header and of tail."""


def head_of(record: bytes) -> Head | None:
    """Return the head of a record, ``None`` if it is no record of this version."""
    if len(record) < _HEAD.size or record[0] != FORMAT:
        return None
    return cast("Head", _HEAD.unpack_from(record))


def restamped(record: bytes, ts_us: int) -> bytes:
    """Return a record with another ``ts``.

    Args:
        record: the record.
        ts_us: the time, µs.
    """
    return record[:_TS_AT] + _TS.pack(ts_us) + record[_TS_AT + _TS.size :]


def route_in(record: bytes, head: Head) -> Route:
    """Return the decoded header of a record.

    Args:
        record: the record.
        head: its head.

    Raises:
        Malformed: it is no header.
    """
    return route_of(record[_HEAD.size : _HEAD.size + head[5]])


def entry_of(record: bytes, more_bodies: Sequence[bytes] = ()) -> Entry:
    """Return an entry.

    Args:
        record: its record.
        more_bodies: of its frames but the first.

    Raises:
        Malformed: another program, or another version, wrote it.
    """
    head = head_of(record)
    if head is None:
        raise Malformed("it is no record of this version")
    _, number, seq, user_seq, ts_us, _, _ = head
    tail = _HEAD.size + head[5]
    body = tail + head[6]
    bodies = (record[body:], *more_bodies)
    return Entry(number, seq, user_seq, ts_us, route_in(record, head), record[tail:body], bodies)


@lru_cache(maxsize=_MOST_ROUTES)
def route_of(header: bytes) -> Route:
    """Return a header, decoded.

    Raises:
        Malformed: it is no header.
    """
    try:
        name, *rest = strict_json.loads(header)
        if not rest:
            return Route(name=name)
        clock, stream, user_id, frames = rest
        return Route(None, clock, stream, user_id, tuple(map(_frame, frames)), _symbol(rest))
    except (ValueError, TypeError, KeyError):
        raise Malformed("the header of an entry is no header of this version") from None


def _frame(fields: list[Any]) -> FrameRoute:
    event, shows, rooms, user_id, client_id, except_user = fields
    quoted = strict_json.dumps(event).replace("%", "%%")
    numbers = "".join(f'"{name}":%d,' for name in shows)
    return FrameRoute(
        event,
        tuple(rooms),
        user_id,
        client_id,
        except_user,
        form=f'2[{quoted},%b{numbers}"ts":%d%b]'.encode(),
        fill=itemgetter(0, *(_PLACES[name] for name in shows), 4, 5),
        names_rooms=EVENTS.get(event, UNLISTED) is UNLISTED,
    )


def _symbol(rest: list[Any]) -> str | None:
    _, stream, _, frames = rest
    shows_previous = any("prevSeq" in shows for _, shows, *_ in frames)
    return str(stream).partition(":")[2] if shows_previous else None


def packet_of(entry: Entry, index: int) -> bytes:
    """Return a frame of a publication as the packet's text.

    Args:
        entry: the publication.
        index: the number of the frame, from 0.
    """
    frame = entry.route.frames[index]
    body, seq = entry.bodies[index], entry.seq
    return frame.form % frame.fill((body, seq, seq - 1, entry.user_seq, entry.ts_us, entry.tail))
