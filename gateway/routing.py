"""Routing: where a publication goes, in which form, under which numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gateway.contract import (
    TRADING_STREAM,
    Channel,
    LlmEvent,
    MarketEvent,
    TradingEvent,
    market_stream,
    room_stream,
    symbol_room,
    user_stream,
)
from gateway.forms import public_form
from gateway.streams import Streams

if TYPE_CHECKING:
    from gateway.publication import Publication

_OWN_FIELDS: Final = frozenset({"seq", "prevSeq", "userSeq", "ts", "timestamp"})
"""Fields that the gateway alone sets; a publisher's are dropped."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One frame and whom it is for: the union of rooms and user, or one client.

    Attributes:
        event: its name.
        payload: complete, as it goes on the wire.
        rooms: rooms that get it, one copy a client.
        user_id: the user whose clients get it.
        client_id: the client that gets it.
        except_user: the user whose clients do not get it, for they get another form.
        stream: id of the stream that it was numbered in; ``None`` for an unnumbered one.
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


def llm_stream(event: str, session_id: str) -> str:
    """Return the id of a model session's stream: each event family has numbers of its own."""
    family = "llm-chunk" if event == LlmEvent.CHUNK else "llm"
    return f"{family}:{session_id}"


def plan(
    publication: Publication,
    streams: Streams,
    *,
    ts_us: int,
    timestamp: str,
    key: bytes,
    now_ns: int,
) -> list[Delivery]:
    """Number a publication, once, and return the frames that it becomes, in order.

    Args:
        publication: a valid one.
        streams: gives the numbers.
        ts_us: the moment, µs of the monotonic clock.
        timestamp: the moment on the wall clock.
        key: for the public form's ids.
        now_ns: the moment, ns, for the retention of a user's counter.
    """
    stamps: dict[str, Any] = {"ts": ts_us, "timestamp": timestamp}
    if publication.src_ts is not None:
        stamps["srcTs"] = publication.src_ts
    event = publication.event
    if publication.client_id is not None:
        payload = _stamped(publication.data, {}, stamps)
        return [Delivery(event, payload, client_id=publication.client_id)]
    if event in _MARKET_EVENTS:
        return [_market(publication, streams, stamps)]
    if event in _TRADING_EVENTS and publication.rooms:
        return _trading(publication, streams, stamps, key, now_ns)
    if event in _LLM_EVENTS:
        return [_llm(publication, streams, stamps)]
    if publication.user_id is not None:
        return [_to_user(publication, streams, stamps, now_ns)]
    (room,) = publication.rooms
    stream = room_stream(room)
    seq = streams.next(stream)
    payload = _stamped(publication.data, {"seq": seq}, stamps)
    return [Delivery(event, payload, rooms=publication.rooms, stream=stream, seq=seq)]


_MARKET_EVENTS: Final = frozenset(MarketEvent)
_TRADING_EVENTS: Final = frozenset(TradingEvent)
_LLM_EVENTS: Final = frozenset(LlmEvent)


def _market(publication: Publication, streams: Streams, stamps: dict[str, Any]) -> Delivery:
    symbol = publication.data["symbol"]
    stream = market_stream(MarketEvent(publication.event), symbol)
    seq = streams.next(stream)
    return Delivery(
        publication.event,
        _stamped(publication.data, {"seq": seq, "prevSeq": seq - 1}, stamps),
        rooms=(Channel.MARKET_DATA.value, symbol_room(symbol)),
        stream=stream,
        seq=seq,
    )


def _trading(
    publication: Publication, streams: Streams, stamps: dict[str, Any], key: bytes, now_ns: int
) -> list[Delivery]:
    """Return the public form, and before it the owner's where an owner is named."""
    event, user_id = publication.event, publication.user_id
    seq = streams.next(TRADING_STREAM)
    public = Delivery(
        event,
        _stamped(public_form(event, publication.data, key=key), {"seq": seq}, stamps),
        rooms=(Channel.TRADING.value,),
        except_user=user_id,
        stream=TRADING_STREAM,
        seq=seq,
    )
    if user_id is None:
        return [public]
    user_seq = streams.next_user(user_id, now_ns)
    owner = Delivery(
        event,
        _stamped(publication.data, {"seq": seq, "userSeq": user_seq}, stamps),
        user_id=user_id,
        stream=TRADING_STREAM,
        seq=seq,
        user_seq=user_seq,
    )
    return [owner, public]


def _llm(publication: Publication, streams: Streams, stamps: dict[str, Any]) -> Delivery:
    stream = llm_stream(publication.event, publication.data["sessionId"])
    seq = streams.next(stream)
    return Delivery(
        publication.event,
        _stamped(publication.data, {"seq": seq}, stamps),
        rooms=publication.rooms,
        user_id=publication.user_id,
        stream=stream,
        seq=seq,
    )


def _to_user(
    publication: Publication, streams: Streams, stamps: dict[str, Any], now_ns: int
) -> Delivery:
    user_id = publication.user_id
    assert user_id is not None  # noqa: S101 - the caller asked; for the type checker
    user_seq = streams.next_user(user_id, now_ns)
    return Delivery(
        publication.event,
        _stamped(publication.data, {"userSeq": user_seq}, stamps),
        user_id=user_id,
        stream=user_stream(user_id),
        user_seq=user_seq,
    )


def _stamped(
    data: Mapping[str, Any], numbers: dict[str, int], stamps: dict[str, Any]
) -> dict[str, Any]:
    own = {field: value for field, value in data.items() if field not in _OWN_FIELDS}
    return own | numbers | stamps
