"""Channels that clients subscribe to, and the rooms and streams behind each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.contract import (
    CHANNELS,
    EVENTS,
    MAX_RATES,
    MAX_SYMBOL_LENGTH,
    MAX_SYMBOLS_PER_CALL,
    SYMBOL_PATTERN,
    Audience,
    Channel,
    Text,
    named_streams,
    room_stream,
    symbol_room,
    user_room,
    user_stream,
)
from gateway.errors import InvalidChannel, InvalidPayload, InvalidSymbol

SYMBOL_RULE: Final = (
    f"a symbol is at most {MAX_SYMBOL_LENGTH} characters, such as BTC/USDT, BTC-USD or AAPL"
)
_SYMBOL_CHANNELS: Final = tuple(row.name.value for row in CHANNELS.values() if row.takes_symbols)
_SYMBOL_ROOM_PREFIXES: Final = tuple(symbol_room("", channel) for channel in _SYMBOL_CHANNELS)
_SYMBOL_CHANNEL_OF_KIND: Final = {
    row.stream.kind: row.channel for row in EVENTS.values() if row.audience is Audience.SYMBOL_ROOMS
}
_CHANNEL_OF_KIND: Final = {
    row.stream.kind: row.channel
    for row in EVENTS.values()
    if row.channel and row.stream.kind and not row.stream.by
}
_ROOM_STREAM_PREFIX: Final = room_stream("")
_USER_STREAM_PREFIX: Final = user_stream("")
_USER_ROOM_PREFIX: Final = user_room("")


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """The payload of a ``subscribe`` or ``unsubscribe``.

    Attributes:
        channel: the channel.
        symbols: the symbols, each once and in their order; empty for the whole channel.
        max_rate: the most events a second of each stream; ``None`` for every event.
    """

    channel: Channel
    symbols: tuple[str, ...] = ()
    max_rate: int | None = None

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms of the subscription."""
        if self.symbols:
            return tuple(symbol_room(symbol, self.channel.value) for symbol in self.symbols)
        return (self.channel.value,)


def is_symbol(value: object) -> bool:
    """Return whether a value is a valid symbol (contract: rooms)."""
    return (
        isinstance(value, str)
        and len(value) <= MAX_SYMBOL_LENGTH
        and SYMBOL_PATTERN.fullmatch(value) is not None
    )


def parse_subscription(payload: object) -> SubscriptionRequest:
    """Return the subscription of a payload ``{channel, symbols?, maxRate?}``.

    Raises:
        InvalidPayload: the channel is missing, the symbols are not a list or not allowed, or the
            rate is none of ``MAX_RATES`` or not allowed.
        InvalidChannel: the channel does not exist.
        InvalidSymbol: a symbol is invalid.
    """
    name = payload.get("channel") if isinstance(payload, dict) else None
    if not name:
        raise InvalidPayload(Text.CHANNEL_REQUIRED)
    if not isinstance(name, str) or name not in CHANNELS:
        raise InvalidChannel
    channel = Channel(name)
    assert isinstance(payload, dict)  # noqa: S101 - a name came out of it; for the type checker
    return SubscriptionRequest(
        channel,
        _parse_symbols(channel, payload.get("symbols")),
        _parse_max_rate(channel, payload.get("maxRate")),
    )


def _parse_max_rate(channel: Channel, rate: object) -> int | None:
    if rate is None:
        return None
    if not CHANNELS[channel].takes_symbols:
        raise InvalidPayload(f"maxRate belongs to the channel {' or '.join(_SYMBOL_CHANNELS)} only")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate not in MAX_RATES:
        raise InvalidPayload(f"maxRate must be one of {', '.join(map(str, MAX_RATES))} a second")
    return int(rate)


def _parse_symbols(channel: Channel, symbols: object) -> tuple[str, ...]:
    if symbols is None or symbols == []:
        return ()
    if not isinstance(symbols, list):
        raise InvalidPayload("symbols must be a list of strings")
    if not CHANNELS[channel].takes_symbols:
        raise InvalidPayload(f"symbols belong to the channel {' or '.join(_SYMBOL_CHANNELS)} only")
    for position, symbol in enumerate(symbols):
        if not is_symbol(symbol):
            raise InvalidSymbol(f"Invalid symbol at position {position}: {SYMBOL_RULE}")
    unique = tuple(dict.fromkeys(symbols))
    if len(unique) > MAX_SYMBOLS_PER_CALL:
        raise InvalidPayload(f"at most {MAX_SYMBOLS_PER_CALL} symbols a call, not {len(unique)}")
    return unique


def subscriptions_of(rooms: Iterable[str]) -> list[SubscriptionRequest]:
    """Return the subscriptions that have these rooms: whole channels, and symbols of a channel.

    Raises:
        ValueError: clients cannot subscribe to a room.
    """
    symbols: dict[Channel, list[str]] = {}
    whole = []
    for room in rooms:
        channel = channel_of_room(room)
        if is_symbol_room(room):
            symbols.setdefault(channel, []).append(room.partition(":")[2])
        else:
            whole.append(SubscriptionRequest(channel))
    return whole + [SubscriptionRequest(name, tuple(of)) for name, of in symbols.items()]


def channel_of_room(room: str) -> Channel:
    """Return the channel of a room.

    Raises:
        ValueError: clients cannot subscribe to the room.
    """
    return Channel(room.partition(":")[0] if is_symbol_room(room) else room)


def is_symbol_room(room: str) -> bool:
    """Return whether a room is that of a symbol."""
    return room.startswith(_SYMBOL_ROOM_PREFIXES)


def streams_of_room(room: str) -> tuple[str, ...]:
    """Return the ids of the streams that a room delivers, as its name tells them.

    The room of a whole channel does not tell the streams of its symbols.
    """
    if room.startswith(_USER_ROOM_PREFIX):
        return (user_stream(room.removeprefix(_USER_ROOM_PREFIX)),)
    return (*named_streams(room), room_stream(room))


def rooms_of(stream: str) -> tuple[str, ...]:
    """Return the rooms that deliver a stream, its own last; none for that of a model session."""
    if stream.startswith(_USER_STREAM_PREFIX):
        return (user_room(stream.removeprefix(_USER_STREAM_PREFIX)),)
    if stream.startswith(_ROOM_STREAM_PREFIX):
        return (stream.removeprefix(_ROOM_STREAM_PREFIX),)
    kind, _, symbol = stream.partition(":")
    channel = _SYMBOL_CHANNEL_OF_KIND.get(kind)
    if channel is not None:
        return (channel, symbol_room(symbol, channel))
    channel = _CHANNEL_OF_KIND.get(kind)
    return () if channel is None else (channel,)


def symbol_channel_of(stream: str) -> str | None:
    """Return the channel that delivers a stream of a symbol, ``None`` for any other stream."""
    return _SYMBOL_CHANNEL_OF_KIND.get(stream.partition(":")[0])
