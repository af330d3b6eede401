"""Routing: turns a publication into frames, each with its recipients, form and numbers.

The owner of an order, position or trade gets the whole event, the room its public form. What a
publication becomes is known before its numbers are: the broker may give them elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway.contract import Audience, Subject, room_stream, symbol_room, user_stream
from gateway.publication import Publication
from gateway.streams import Streams

_OWN_FIELDS: Final = frozenset(
    {"seq", "prevSeq", "userSeq", "ts", "timestamp", "replayed", "snapshot"}
)
"""Fields that the gateway sets; those of a publisher are dropped."""
_ID_BYTES: Final = 12


@dataclass(slots=True)
class Delivery:
    """One frame and its recipients: one client, or the members of the rooms and the user's clients.

    Attributes:
        event: its name.
        payload: the publisher's fields; complete, as it goes on the wire, once it is numbered.
        shows: the numbers that its payload has: of ``seq``, ``prevSeq`` and ``userSeq``.
        rooms: their members get it, one copy a client.
        user_id: the user whose clients get it.
        client_id: the client that gets it.
        except_user: the user whose clients do not get it, because they get another form.
    """

    event: str
    payload: dict[str, Any]
    shows: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    user_id: str | None = None
    client_id: str | None = None
    except_user: str | None = None


class Outline(NamedTuple):
    """What a publication becomes, before it is numbered.

    Attributes:
        deliveries: its frames, in the order in which they are sent.
        stream: id of the stream of a room that gives ``seq``, ``None`` for none.
        user_id: the user whose stream gives ``userSeq``, ``None`` for none.
    """

    deliveries: tuple[Delivery, ...]
    stream: str | None = None
    user_id: str | None = None

    @property
    def first_stream(self) -> str | None:
        """The stream that the receipt names."""
        if self.stream is None and self.user_id is not None:
            return user_stream(self.user_id)
        return self.stream


class Numbers(NamedTuple):
    """The numbers of a publication, ``None`` where it has none."""

    seq: int | None
    user_seq: int | None

    def shown(self, shows: tuple[str, ...]) -> dict[str, int]:
        """Return the fields of a payload that shows some of them.

        Args:
            shows: the names of the fields.
        """
        values = {"seq": self.seq, "userSeq": self.user_seq}
        if self.seq is not None:
            values["prevSeq"] = self.seq - 1
        return {name: value for name in shows if (value := values[name]) is not None}


def plan(
    publication: Publication,
    streams: Streams,
    *,
    now_ns: int,
    timestamp: str,
    key: bytes,
) -> tuple[Outline, Numbers]:
    """Number a publication once, and return the frames that it becomes, in order.

    Args:
        publication: a valid one.
        streams: gives the numbers.
        now_ns: now, monotonic ns.
        timestamp: now, on the wall clock.
        key: for the public form's ids.
    """
    outline = outline_of(publication, key=key)
    stream, user_id = outline.stream, outline.user_id
    numbers = Numbers(
        None if stream is None else streams.next(stream, now_ns),
        None if user_id is None else streams.next(user_stream(user_id), now_ns),
    )
    stamps = {"ts": now_ns // 1_000, **stamps_of(publication, timestamp)}
    for delivery in outline.deliveries:
        delivery.payload |= numbers.shown(delivery.shows)
        delivery.payload |= stamps
    return outline, numbers


def stamps_of(publication: Publication, timestamp: str) -> dict[str, Any]:
    """Return the fields that follow ``ts`` in each payload of a publication.

    Args:
        publication: the publication.
        timestamp: now, on the wall clock.
    """
    if publication.src_ts is None:
        return {"timestamp": timestamp}
    return {"timestamp": timestamp, "srcTs": publication.src_ts}


def outline_of(publication: Publication, *, key: bytes) -> Outline:
    """Return what a valid publication becomes.

    Args:
        publication: the publication.
        key: for the public form's ids.
    """
    if publication.client_id is not None:
        whole = Delivery(publication.event, _own(publication.data), client_id=publication.client_id)
        return Outline((whole,))
    audience, rule = publication.row.audience, publication.row.stream
    if audience is _SYMBOL_ROOMS:
        symbol, channel = publication.data["symbol"], publication.row.channel
        rooms = (channel, symbol_room(symbol, channel))
        return _in_stream(publication, f"{rule.kind}:{symbol}", rooms, _SEQ_AND_PREVIOUS)
    if audience is _OWNER_AND_PUBLIC and publication.rooms:
        return _to_owner_and_public(publication, key)
    if rule.by:
        return _in_stream(publication, f"{rule.kind}:{publication.data[rule.by]}")
    if publication.user_id is not None:
        delivery = Delivery(
            publication.event, _own(publication.data), _USER_SEQ, user_id=publication.user_id
        )
        return Outline((delivery,), user_id=publication.user_id)
    (room,) = publication.rooms
    return _in_stream(publication, rule.kind or room_stream(room))


_SYMBOL_ROOMS: Final = Audience.SYMBOL_ROOMS
_OWNER_AND_PUBLIC: Final = Audience.OWNER_AND_PUBLIC
_SEQ: Final = ("seq",)
_SEQ_AND_PREVIOUS: Final = ("seq", "prevSeq")
_SEQ_AND_USER_SEQ: Final = ("seq", "userSeq")
_USER_SEQ: Final = ("userSeq",)


def _in_stream(
    publication: Publication,
    stream: str,
    rooms: tuple[str, ...] | None = None,
    shows: tuple[str, ...] = _SEQ,
) -> Outline:
    delivery = Delivery(
        publication.event,
        _own(publication.data),
        shows,
        rooms=publication.rooms if rooms is None else rooms,
        user_id=publication.user_id,
    )
    return Outline((delivery,), stream)


def _to_owner_and_public(publication: Publication, key: bytes) -> Outline:
    """Return the public form, and before it the owner's where an owner is named."""
    event, row, user_id = publication.event, publication.row, publication.user_id
    if row.subject is None:
        raise ValueError(f"{event} has no subject, so it has no public form")
    stream = row.stream.kind
    public = Delivery(
        event,
        _own(public_form(row.subject, publication.data, key=key)),
        _SEQ,
        rooms=(row.channel,),
        except_user=user_id,
    )
    if user_id is None:
        return Outline((public,), stream)
    owner = Delivery(event, _own(publication.data), _SEQ_AND_USER_SEQ, user_id=user_id)
    return Outline((owner, public), stream, user_id)


def _own(data: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in data.items() if field not in _OWN_FIELDS}


def public_form(subject: Subject, data: Mapping[str, Any], *, key: bytes) -> dict[str, Any]:
    """Return the part of an event that everybody may see (contract: public form).

    Args:
        subject: what the event is about.
        data: the owner's form.
        key: 1 to 64 bytes, new for each process. Within a process equal ids have equal hashes;
            nobody can tell the id from the hash.

    Returns:
        The subject with its public fields, as far as the owner's form has them.

    Raises:
        KeyError: the data do not carry the subject.
    """
    private: Mapping[str, Any] = data[subject.key]
    public = {field: private[field] for field in subject.public if field in private}
    private_id = public.pop("id", None)
    if private_id is not None:
        public = {"id": _public_id(subject.key, private_id, key), **public}
    return {subject.key: public}


def _public_id(subject: str, private_id: object, key: bytes) -> str:
    digest = hashlib.blake2b(
        str(private_id).encode(), key=key, person=subject.encode(), digest_size=_ID_BYTES
    )
    return digest.hexdigest()
