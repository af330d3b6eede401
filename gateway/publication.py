"""Publications: what a publisher may say, checked whole before anything of it is numbered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway import strict_json
from gateway.channels import SYMBOL_RULE, is_symbol
from gateway.contract import (
    BALANCE_EVENT,
    MAX_PUBLISH_BYTES,
    MAX_PUBLISH_ITEM_BYTES,
    MAX_PUBLISH_ITEMS,
    PROTOCOL_NAMES,
    USER_ID_PATTERN,
    Channel,
    ClientEvent,
    ErrorCode,
    LlmEvent,
    MarketEvent,
    ServerEvent,
    Text,
    TradingEvent,
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
from gateway.forms import subject_of
from gateway.routing import Delivery, plan

__all__ = ["Delivery", "Kind", "Publication", "parse_publication", "parse_publications", "plan"]

_LONGEST_NAME: Final = 256  # characters of an event's name, a room, an id
_RESERVED: Final = PROTOCOL_NAMES | frozenset(ServerEvent) | frozenset(ClientEvent)
_USER_ROOM_PREFIX: Final = user_room("")


class Kind(StrEnum):
    """How a publication is routed and numbered."""

    MARKET = "market"
    TRADING = "trading"
    BALANCE = "balance"
    LLM = "llm"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Publication:
    """One valid publication, not numbered yet.

    Attributes:
        event: its name.
        data: the payload's own fields.
        rooms: rooms that it names, each once.
        user_id: the user that it names.
        client_id: the client that it names, then alone.
        src_ts: the publisher's time, µs.
        kind: how it is routed.
    """

    event: str
    data: Mapping[str, Any]
    rooms: tuple[str, ...]
    user_id: str | None
    client_id: str | None
    src_ts: int | None
    kind: Kind


def kind_of(event: str) -> Kind:
    """Return how an event of this name is routed."""
    return _KINDS.get(event, Kind.OTHER)


_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(MarketEvent, Kind.MARKET),
    **dict.fromkeys(TradingEvent, Kind.TRADING),
    **dict.fromkeys(LlmEvent, Kind.LLM),
    BALANCE_EVENT: Kind.BALANCE,
}


def parse_publications(body: bytes) -> list[Publication]:
    """Read the body of a publish request: one item or a list, all of it or nothing.

    Raises:
        PublicationRejected: 413 when something is too large, otherwise 400; with every item's
            error.
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
    """Read one item of the shape that the publish route takes.

    Raises:
        PublicationRejected: 413 when it is too large, otherwise 400; with what is wrong.
    """
    try:
        return _parse(item)
    except WireError as error:
        status = 413 if isinstance(error, _ItemTooLarge) else 400
        raise PublicationRejected(status, [_entry(0, error)]) from None


class _ItemTooLarge(InvalidPayload):
    """An item over its bound: the one error that HTTP has a status of its own for."""


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
        raise InvalidPayload("data must be there, and an object: {} when there is nothing to say")
    publication = Publication(
        event=event,
        data=data,
        rooms=_parse_rooms(item),
        user_id=_parse_user(item.get("userId")),
        client_id=_parse_client(item.get("clientId")),
        src_ts=_parse_src_ts(item.get("srcTs")),
        kind=kind_of(event),
    )
    _check_targets(publication)
    return publication


def _check_encoding(item: Mapping[str, Any]) -> None:
    """Refuse what could not be sent, before it is given a number that nobody would receive."""
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


def _check_targets(publication: Publication) -> None:
    """Refuse targets that an event of this kind has no meaning for."""
    rooms, user_id, client_id = publication.rooms, publication.user_id, publication.client_id
    if not rooms and user_id is None and client_id is None:
        raise InvalidPayload("a target is required: room, rooms, userId or clientId")
    if client_id is not None and (rooms or user_id is not None):
        raise InvalidPayload("clientId goes alone")
    _CHECKS[publication.kind](publication)


def _check_market(publication: Publication) -> None:
    symbol = publication.data.get("symbol")
    if not is_symbol(symbol):
        raise InvalidSymbol(f"a market event needs its symbol in data: {SYMBOL_RULE}")
    if publication.user_id is not None:
        raise InvalidPayload("market events go to rooms, not to a user")
    allowed = (Channel.MARKET_DATA.value, symbol_room(str(symbol)))
    for room in publication.rooms:
        if room not in allowed:
            raise InvalidPayload(f"this event goes to {' and '.join(allowed)}, not to {room!r}")


def _check_trading(publication: Publication) -> None:
    subject = subject_of(TradingEvent(publication.event))
    if not isinstance(publication.data.get(subject), Mapping):
        raise InvalidPayload(f"data must carry an object {subject!r}")
    if publication.rooms not in ((), (Channel.TRADING.value,)):
        raise InvalidPayload("this event goes to userId, to the room trading, or to both")


def _check_balance(publication: Publication) -> None:
    if publication.user_id is None or publication.rooms:
        raise InvalidPayload("a balance goes to its owner alone: userId")


def _check_llm(publication: Publication) -> None:
    session_id = publication.data.get("sessionId")
    if not isinstance(session_id, str) or not 0 < len(session_id) <= _LONGEST_NAME:
        raise InvalidPayload(Text.SESSION_ID_REQUIRED)
    if publication.rooms not in ((), (Channel.LLM.value,)):
        raise InvalidPayload("this event goes to clientId, to userId or to the room llm")
    _check_other(publication)


def _check_other(publication: Publication) -> None:
    if len(publication.rooms) > 1:
        raise InvalidPayload("such an event goes to one room at a time")
    if publication.rooms and publication.user_id is not None:
        raise InvalidPayload("such an event goes to one room or to one user, not to both")


_CHECKS: Final = {
    Kind.MARKET: _check_market,
    Kind.TRADING: _check_trading,
    Kind.BALANCE: _check_balance,
    Kind.LLM: _check_llm,
    Kind.OTHER: _check_other,
}
