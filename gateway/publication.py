"""Publications: checks all that a publisher sent before any of it is numbered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway import strict_json
from gateway.channels import SYMBOL_RULE, is_symbol
from gateway.contract import (
    EVENTS,
    MAX_PUBLISH_BYTES,
    MAX_PUBLISH_ID_LENGTH,
    MAX_PUBLISH_ITEM_BYTES,
    MAX_PUBLISH_ITEMS,
    PROTOCOL_NAMES,
    UNLISTED,
    USER_ID_PATTERN,
    Audience,
    ErrorCode,
    EventRow,
    symbol_room,
    user_room,
)
from gateway.errors import (
    InvalidPayload,
    InvalidSymbol,
    NotAllowed,
    NotStrictJson,
    PublicationRejected,
    WireError,
)

_LONGEST_NAME: Final = 256  # characters of an event's name, a room, an id
_RESERVED: Final = PROTOCOL_NAMES | {name for name, row in EVENTS.items() if not row.publishable}
_USER_ROOM_PREFIX: Final = user_room("")


@dataclass(frozen=True, slots=True)
class Publication:
    """One valid publication, not numbered yet.

    Attributes:
        event: its name.
        row: what the contract says of the event.
        data: the payload's own fields.
        rooms: rooms that it names, each once.
        user_id: the user that it names.
        client_id: the client that it names. Then it names nothing else.
        src_ts: the publisher's time, µs.
        id: the publisher's name for it, by which it is published once.
    """

    event: str
    row: EventRow
    data: Mapping[str, Any]
    rooms: tuple[str, ...]
    user_id: str | None
    client_id: str | None
    src_ts: int | None
    id: str | None = None


def parse_publications(body: bytes) -> list[Publication]:
    """Return the publications in the body of a publish request: one item or a list.

    Raises:
        PublicationRejected: at least one item is wrong. The status is 413 when something is
            too large, else 400. ``errors`` has an entry for each wrong item.
    """
    if len(body) > MAX_PUBLISH_BYTES:
        raise _rejected(413, 0, f"the body has {len(body)} bytes, at most {MAX_PUBLISH_BYTES}")
    try:
        document = strict_json.loads(body)
    except NotStrictJson as error:
        raise _rejected(400, 0, str(error)) from None
    items = document if isinstance(document, list) else [document]
    if len(items) > MAX_PUBLISH_ITEMS:
        raise _rejected(413, MAX_PUBLISH_ITEMS, f"at most {MAX_PUBLISH_ITEMS} items a request")
    publications: list[Publication] = []
    errors: list[dict[str, Any]] = []
    status = 400
    for index, item in enumerate(items):
        try:
            publications.append(_parse(item))
        except WireError as error:
            if isinstance(error, _ItemTooLarge):
                status = 413
            errors.append(_entry(index, error))
    if errors:
        raise PublicationRejected(status, errors)
    return publications


def parse_publication(item: object) -> Publication:
    """Return the publication in one item, which has the shape that the publish route takes.

    Raises:
        PublicationRejected: the item is wrong. The status is 413 when it is too large, else 400.
    """
    try:
        return _parse(item)
    except WireError as error:
        status = 413 if isinstance(error, _ItemTooLarge) else 400
        raise PublicationRejected(status, [_entry(0, error)]) from None


class _ItemTooLarge(InvalidPayload):
    """An item is over its limit. HTTP has a status of its own for this error alone."""


def _entry(index: int, error: WireError) -> dict[str, Any]:
    return {"index": index, "message": error.message, "code": error.code}


def _rejected(status: int, index: int, message: str) -> PublicationRejected:
    entry = {"index": index, "message": message, "code": ErrorCode.INVALID_PAYLOAD}
    return PublicationRejected(status, [entry])


def _parse(item: object) -> Publication:
    if not isinstance(item, Mapping):
        raise InvalidPayload("an item must be an object {room|rooms|userId|clientId, event, data}")
    _check_encoding(item)
    event = _parse_event(item.get("event"))
    data = item.get("data")
    if not isinstance(data, Mapping):
        raise InvalidPayload("data must be an object; send {} when it has no fields")
    publication = Publication(
        event=event,
        row=EVENTS.get(event, UNLISTED),
        data=data,
        rooms=_parse_rooms(item),
        user_id=_parse_user(item.get("userId")),
        client_id=_parse_client(item.get("clientId")),
        src_ts=_parse_src_ts(item.get("srcTs")),
        id=_parse_id(item.get("id")),
    )
    _check_targets(publication)
    return publication


def _check_encoding(item: Mapping[str, Any]) -> None:
    """Refuse an item that cannot be sent, before it gets a number that no client would receive."""
    try:
        size = len(strict_json.dumps(dict(item)).encode())
    except NotStrictJson as error:
        raise InvalidPayload(str(error)) from None
    if size > MAX_PUBLISH_ITEM_BYTES:
        raise _ItemTooLarge(f"the item has {size} bytes, at most {MAX_PUBLISH_ITEM_BYTES}")


def _parse_event(event: object) -> str:
    if not isinstance(event, str) or not 0 < len(event) <= _LONGEST_NAME:
        raise InvalidPayload(f"event must be a name of 1 to {_LONGEST_NAME} characters")
    if event in _RESERVED:
        raise NotAllowed(f"{str(event)!r} is a name of the gateway's own protocol; use another")
    return str(event)


def _parse_rooms(item: Mapping[str, Any]) -> tuple[str, ...]:
    room, rooms = item.get("room"), item.get("rooms")
    if room is not None and rooms is not None:
        raise InvalidPayload("give room or rooms, not both")
    named = rooms if rooms is not None else [] if room is None else [room]
    if not isinstance(named, list | tuple) or (rooms is not None and not named):
        raise InvalidPayload("rooms must be a list of at least one room")
    for name in named:
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
            raise InvalidPayload(f"a room must be a name of 1 to {_LONGEST_NAME} characters")
        if name.startswith(_USER_ROOM_PREFIX):
            raise NotAllowed("a user's room belongs to the gateway; name the user by userId")
    return tuple(dict.fromkeys(str(name) for name in named))


def _parse_user(user_id: object) -> str | None:
    if user_id is None:
        return None
    if not isinstance(user_id, str) or not USER_ID_PATTERN.fullmatch(user_id):
        raise InvalidPayload("userId must be 1 to 128 of A-Z a-z 0-9 . _ @ | + = -")
    return user_id


def _parse_client(client_id: object) -> str | None:
    if client_id is None:
        return None
    if not isinstance(client_id, str) or not 0 < len(client_id) <= _LONGEST_NAME:
        raise InvalidPayload("clientId must be a client's id")
    return client_id


def _parse_src_ts(src_ts: object) -> int | None:
    if src_ts is None:
        return None
    if isinstance(src_ts, bool) or not isinstance(src_ts, int) or src_ts < 0:
        raise InvalidPayload("srcTs must be whole microseconds")
    return src_ts


def _parse_id(publication_id: object) -> str | None:
    if publication_id is None:
        return None
    if not isinstance(publication_id, str) or not 0 < len(publication_id) <= MAX_PUBLISH_ID_LENGTH:
        raise InvalidPayload(f"id must be a text of 1 to {MAX_PUBLISH_ID_LENGTH} characters")
    return publication_id


def _check_targets(publication: Publication) -> None:
    """Refuse targets that an event of this audience does not go to."""
    rooms, user_id, client_id = publication.rooms, publication.user_id, publication.client_id
    if not rooms and user_id is None and client_id is None:
        raise InvalidPayload("a target is required: room, rooms, userId or clientId")
    if client_id is not None and (rooms or user_id is not None):
        raise InvalidPayload("clientId goes alone")
    _CHECKS[publication.row.audience](publication)


def _check_symbol_rooms(publication: Publication) -> None:
    symbol = publication.data.get("symbol")
    if not is_symbol(symbol):
        raise InvalidSymbol(f"a market event needs its symbol in data: {SYMBOL_RULE}")
    if publication.user_id is not None:
        raise InvalidPayload("market events go to rooms, not to a user")
    channel = publication.row.channel
    allowed = (channel, symbol_room(str(symbol), channel))
    for room in publication.rooms:
        if room not in allowed:
            raise InvalidPayload(f"this event goes to {' and '.join(allowed)}, not to {room!r}")


def _check_owner_and_public(publication: Publication) -> None:
    subject, channel = publication.row.subject, publication.row.channel
    if subject is not None and not isinstance(publication.data.get(subject.key), Mapping):
        raise InvalidPayload(f"data must carry an object {subject.key!r}")
    if publication.rooms not in ((), (channel,)):
        raise InvalidPayload(f"this event goes to userId, to the room {channel}, or to both")


def _check_user(publication: Publication) -> None:
    if publication.user_id is None or publication.rooms:
        raise InvalidPayload("this event goes to its owner alone: userId")


def _check_room(publication: Publication) -> None:
    row, rooms = publication.row, publication.rooms
    if row.stream.by:
        value = publication.data.get(row.stream.by)
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME:
            raise InvalidPayload(f"{row.stream.by} is required")
    if row.channel and rooms not in ((), (row.channel,)):
        raise InvalidPayload(f"this event goes to clientId, to userId or to the room {row.channel}")
    if len(rooms) > 1:
        raise InvalidPayload("such an event goes to one room at a time")
    if rooms and publication.user_id is not None:
        raise InvalidPayload("such an event goes to one room or to one user, not to both")


_CHECKS: Final = {
    Audience.SYMBOL_ROOMS: _check_symbol_rooms,
    Audience.OWNER_AND_PUBLIC: _check_owner_and_public,
    Audience.USER: _check_user,
    Audience.ASKER: _check_room,
    Audience.ROOM: _check_room,
}
