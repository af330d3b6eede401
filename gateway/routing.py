"""Routing: turns a publication into frames, each with its recipients, form and numbers.

The owner of an order, position or trade gets the whole event, the room its public form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.contract import Audience, Subject, room_stream, symbol_room, user_stream
from gateway.publication import Publication
from gateway.streams import Streams

_OWN_FIELDS: Final = frozenset(
    {"seq", "prevSeq", "userSeq", "ts", "timestamp", "replayed", "snapshot"}
)
"""Fields that the gateway sets; those of a publisher are dropped."""
_ID_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Delivery:
    """One frame and its recipients: one client, or the members of the rooms and the user's clients.

    Attributes:
        event: its name.
        payload: complete, as it goes on the wire.
        rooms: their members get it, one copy a client.
        user_id: the user whose clients get it.
        client_id: the client that gets it.
        except_user: the user whose clients do not get it, because they get another form.
        stream: id of the stream that numbers it; ``None`` when it has no number.
        seq: its number there, where the stream is not a user's.
        user_seq: its number in the user's stream.
    """

    event: str
    payload: dict[str, Any]
    rooms: tuple[str, ...] = ()
    user_id: str | None = None
    client_id: str | None = None
    except_user: str | None = None
    stream: str | None = None
    seq: int | None = None
    user_seq: int | None = None


def plan(
    publication: Publication,
    streams: Streams,
    *,
    now_ns: int,
    timestamp: str,
    key: bytes,
) -> list[Delivery]:
    """Number a publication once, and return the frames that it becomes, in order.

    Args:
        publication: a valid one.
        streams: gives the numbers.
        now_ns: now, monotonic ns.
        timestamp: now, on the wall clock.
        key: for the public form's ids.
    """
    stamps: dict[str, Any] = {"ts": now_ns // 1_000, "timestamp": timestamp}
    if publication.src_ts is not None:
        stamps["srcTs"] = publication.src_ts
    if publication.client_id is not None:
        payload = _stamped(publication.data, {}, stamps)
        return [Delivery(publication.event, payload, client_id=publication.client_id)]
    audience, rule = publication.row.audience, publication.row.stream
    if audience is _SYMBOL_ROOMS:
        return [_to_symbol_rooms(publication, streams, stamps, now_ns)]
    if audience is _OWNER_AND_PUBLIC and publication.rooms:
        return _to_owner_and_public(publication, streams, stamps, key, now_ns)
    if rule.by:
        stream = f"{rule.kind}:{publication.data[rule.by]}"
        return [_in_stream(publication, stream, streams, stamps, now_ns)]
    if publication.user_id is not None:
        return [_to_user(publication, publication.user_id, streams, stamps, now_ns)]
    (room,) = publication.rooms
    return [_in_stream(publication, rule.kind or room_stream(room), streams, stamps, now_ns)]


_SYMBOL_ROOMS: Final = Audience.SYMBOL_ROOMS
_OWNER_AND_PUBLIC: Final = Audience.OWNER_AND_PUBLIC


def _to_symbol_rooms(
    publication: Publication, streams: Streams, stamps: dict[str, Any], now_ns: int
) -> Delivery:
    symbol, channel = publication.data["symbol"], publication.row.channel
    stream = f"{publication.row.stream.kind}:{symbol}"
    seq = streams.next(stream, now_ns)
    return Delivery(
        publication.event,
        _stamped(publication.data, {"seq": seq, "prevSeq": seq - 1}, stamps),
        rooms=(channel, symbol_room(symbol, channel)),
        stream=stream,
        seq=seq,
    )


def _to_owner_and_public(
    publication: Publication, streams: Streams, stamps: dict[str, Any], key: bytes, now_ns: int
) -> list[Delivery]:
    """Return the public form, and before it the owner's where an owner is named."""
    event, row, user_id = publication.event, publication.row, publication.user_id
    if row.subject is None:
        raise ValueError(f"{event} has no subject, so it has no public form")
    stream = row.stream.kind
    seq = streams.next(stream, now_ns)
    public = Delivery(
        event,
        _stamped(public_form(row.subject, publication.data, key=key), {"seq": seq}, stamps),
        rooms=(row.channel,),
        except_user=user_id,
        stream=stream,
        seq=seq,
    )
    if user_id is None:
        return [public]
    user_seq = streams.next(user_stream(user_id), now_ns)
    owner = Delivery(
        event,
        _stamped(publication.data, {"seq": seq, "userSeq": user_seq}, stamps),
        user_id=user_id,
        stream=stream,
        seq=seq,
        user_seq=user_seq,
    )
    return [owner, public]


def _in_stream(
    publication: Publication,
    stream: str,
    streams: Streams,
    stamps: dict[str, Any],
    now_ns: int,
) -> Delivery:
    seq = streams.next(stream, now_ns)
    return Delivery(
        publication.event,
        _stamped(publication.data, {"seq": seq}, stamps),
        rooms=publication.rooms,
        user_id=publication.user_id,
        stream=stream,
        seq=seq,
    )


def _to_user(
    publication: Publication,
    user_id: str,
    streams: Streams,
    stamps: dict[str, Any],
    now_ns: int,
) -> Delivery:
    stream = user_stream(user_id)
    user_seq = streams.next(stream, now_ns)
    return Delivery(
        publication.event,
        _stamped(publication.data, {"userSeq": user_seq}, stamps),
        user_id=user_id,
        stream=stream,
        user_seq=user_seq,
    )


def _stamped(
    data: Mapping[str, Any], numbers: dict[str, int], stamps: dict[str, Any]
) -> dict[str, Any]:
    own = {field: value for field, value in data.items() if field not in _OWN_FIELDS}
    return own | numbers | stamps


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
