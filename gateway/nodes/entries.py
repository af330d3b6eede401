"""Entries of the log: what a publication or a message between nodes looks like in Redis.

An entry has these fields, in this order::

    n  its number in the log, seq, userSeq (0: none) and ts (µs), separated by spaces
    h  header: who gets it, a JSON array; equal for all publications to the same recipients
    t  tail: what follows ``ts`` in each payload, ``"timestamp":"…"}`` and so on
    b  body: the payload's own fields, ``{"symbol":"A",``; one ``b`` for each frame

A frame's packet is its body, its numbers, ``ts`` and the tail, joined: nobody decodes a payload.
The header of a message between nodes is ``["name"]``, and its only body is JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from gateway import strict_json
from gateway.contract import EVENTS, UNLISTED
from gateway.routing import Outline

_MOST_ROUTES: Final = 65_536  # headers that are kept decoded
_PLACES: Final = {"seq": 1, "prevSeq": 2, "userSeq": 3}
_SPACES: Final = 6  # of a record, before its header
_FIELDS: Final = 8  # names and values of an entry with one body


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


def numbers_of(fields: Sequence[bytes]) -> tuple[int, ...] | None:
    """Return the four numbers of an entry, the one in the log first, or ``None``.

    Args:
        fields: its names and values, as Redis returns them.

    Returns:
        ``None`` if another program wrote it.
    """
    if len(fields) < _FIELDS or fields[0] != b"n":
        return None
    try:
        number, seq, user_seq, ts_us = map(int, fields[1].split())
    except ValueError:
        return None
    return number, seq, user_seq, ts_us


def entry_of(fields: Sequence[bytes], numbers: tuple[int, ...] | None = None) -> Entry:
    """Return an entry from its names and values, as Redis returns them.

    Args:
        fields: the names and values.
        numbers: ``numbers_of`` them, where they are known.

    Raises:
        Malformed: another program, or another version, wrote it.
    """
    numbers = numbers or numbers_of(fields)
    if numbers is None:
        raise Malformed("an entry of the log has other fields than n, h, t, b")
    number, seq, user_seq, ts_us = numbers
    return Entry(number, seq, user_seq, ts_us, route_of(fields[3]), fields[5], fields[7::2])


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
        raise Malformed("field h of an entry is no header") from None


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


def packet_of(entry: Entry, index: int, ts_us: int) -> bytes:
    """Return a frame of a publication as the packet's text.

    Args:
        entry: the publication.
        index: the number of the frame, from 0.
        ts_us: ``ts`` for this node's clients, µs.
    """
    frame = entry.route.frames[index]
    body, seq = entry.bodies[index], entry.seq
    return frame.form % frame.fill((body, seq, seq - 1, entry.user_seq, ts_us, entry.tail))


def entry_of_record(record: bytes) -> Entry:
    """Return what Redis keeps of a publication for snapshots and replay: its first frame.

    Args:
        record: the numbers, the lengths of header and tail, header, tail and body.

    Raises:
        Malformed: another program, or another version, wrote it.
    """
    try:
        *numbers, header_size, tail_size, rest = record.split(b" ", _SPACES)
        header, tail = int(header_size), int(header_size) + int(tail_size)
    except ValueError:
        raise Malformed("a kept event has no six numbers before it") from None
    fields = (b"n", b" ".join(numbers), b"h", rest[:header], b"t", rest[header:tail])
    return entry_of((*fields, b"b", rest[tail:]))
