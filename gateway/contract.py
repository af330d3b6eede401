"""The wire contract: every name, code, text and limit that a client can meet.

The gateway and the load laboratory import them from here. ``scenarios`` imports no sibling, so
``scenarios/model.py`` repeats the publishable names, and a test holds it to this module. The
module uses the standard library alone. ``docs/events.md`` shows CHANNELS and EVENTS.

Times on the wire are integers. ``ts``, ``srcTs``, ``received`` and ``sent`` are
microseconds of the gateway's monotonic clock, which ``clock`` in the welcome
event identifies; ``retryAfter`` and ``reconnectAfter`` are milliseconds;
``timestamp`` and ``expiresAt`` are ISO 8601 UTC with milliseconds and ``Z``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache, partial
from typing import Final, Literal

SOCKETIO_PATH: Final = "/socket.io/"
NAMESPACE: Final = "/"
API_PREFIX: Final = "/api/v1"
PUBLISH_PATH: Final = f"{API_PREFIX}/publish"
STREAMS_PATH: Final = f"{API_PREFIX}/streams"
ORDERS_PATH: Final = f"{API_PREFIX}/orders"
DISCONNECT_PATH: Final = f"{API_PREFIX}/disconnect"
REVOKE_PATH: Final = f"{API_PREFIX}/revoke"
DRAIN_PATH: Final = f"{API_PREFIX}/drain"
HEALTH_PATH: Final = "/health"
METRICS_PATH: Final = "/metrics"

WELCOME_TEXT: Final = "Connected to Tidegate"
LISTENING_LINE: Final = "listening on "  # followed by http://HOST:PORT, on standard output


class ClientEvent(StrEnum):
    """Events that a client may send."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    GET_SUBSCRIPTIONS = "get-subscriptions"
    PING = "ping"
    TOKEN_REFRESH = "token:refresh"  # noqa: S105 - an event's name
    LLM_CHAT_STREAM = "llm:chat:stream"
    LLM_STREAM_REQUEST = "llm:stream:request"  # alias of LLM_CHAT_STREAM
    LLM_STREAM_CANCEL = "llm:stream:cancel"


class ServerEvent(StrEnum):
    """Events of the gateway's own protocol. A publisher may not use these names."""

    CONNECTED = "connected"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    SUBSCRIPTIONS = "subscriptions"
    PONG = "pong"
    HEARTBEAT = "heartbeat"
    CONNECTION_COUNT = "connection-count"
    TOKEN_EXPIRING = "token:expiring"  # noqa: S105 - an event's name
    TOKEN_REFRESHED = "token:refreshed"  # noqa: S105 - an event's name
    ERROR = "error"
    SERVER_DRAINING = "server:draining"
    RESYNC = "resync"
    LLM_ACKNOWLEDGED = "llm:chat:stream:acknowledged"
    LLM_CANCEL_ACKNOWLEDGED = "llm:stream:cancel:acknowledged"


class ResyncReason(StrEnum):
    """Why a returning client does not get the private events that it missed."""

    EPOCH = "epoch"
    NOT_HELD = "not-held"
    INVALID = "invalid"


RESYNC_REASONS: Final[Mapping[ResyncReason, str]] = {
    ResyncReason.EPOCH: "its numbers are of another epoch, or it names none",
    ResyncReason.NOT_HELD: "the gateway does not hold all that it missed",
    ResyncReason.INVALID: "`lastUserSeq` is no number that the user's stream has had",
}


# The publisher events that code refers to by name; EVENTS has them all.
PRICE_EVENT: Final = "price:update"
TICKER_EVENT: Final = "ticker:update"
ORDER_BOOK_EVENT: Final = "orderbook:update"
LLM_START_EVENT: Final = "llm:stream:start"
LLM_TOKEN_EVENT: Final = "llm:stream:token"  # noqa: S105 - an event's name
LLM_DONE_EVENT: Final = "llm:stream:done"
LLM_CANCELLED_EVENT: Final = "llm:stream:cancelled"
LLM_ERROR_EVENT: Final = "llm:stream:error"
LLM_CHUNK_EVENT: Final = "llm:stream"

PROTOCOL_NAMES: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Names that Socket.IO reserves: they never reach a handler, and a publisher may not use them."""


class Channel(StrEnum):
    """The names that a client may subscribe to. CHANNELS has a row for each."""

    TRADING = "trading"
    MARKET_DATA = "market-data"
    LLM = "llm"


LaneName = Literal["LOSSLESS", "MARKET"]
"""A queue of the transport, as it is named there. Market data wait behind everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """One channel. The room of the whole channel has the channel's name.

    Attributes:
        name: what a client subscribes to.
        takes_symbols: whether a client may name symbols, each with a room of its own.
        lane: the lane of the channel's numbered streams.
    """

    name: Channel
    takes_symbols: bool = False
    lane: LaneName = "LOSSLESS"


CHANNELS: Final[Mapping[Channel, ChannelRow]] = {
    row.name: row
    for row in (
        ChannelRow(name=Channel.TRADING),
        ChannelRow(name=Channel.MARKET_DATA, takes_symbols=True, lane="MARKET"),
        ChannelRow(name=Channel.LLM),
    )
}


class Direction(StrEnum):
    """Which way an event goes."""

    TO_GATEWAY = "client → gateway"
    TO_CLIENT = "gateway → client"


class Family(StrEnum):
    """The group that an event is counted in: the label ``kind`` of a metric."""

    MARKET = "market"
    TRADING = "trading"
    BALANCE = "balance"
    LLM = "llm"
    CONTROL = "control"
    OTHER = "other"


class Audience(StrEnum):
    """Who gets an event."""

    GATEWAY = "the gateway"
    ASKER = "one client"  # the one that asked, or whose connection the event is about
    EVERYONE = "every client"
    SYMBOL_ROOMS = "symbol rooms"  # the room of its symbol, and the room of the whole channel
    OWNER_AND_PUBLIC = "owner and public"  # the user gets it whole, the room its public form
    USER = "user"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class StreamRule:
    """How the id of an event's stream is made: ``kind``, or ``kind:value``.

    Attributes:
        kind: the id's first part. Empty: the event is numbered in its room, or not at all.
        by: the field of the payload whose value is the second part. Empty: all events of the
            kind are one stream.
    """

    kind: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about, and which of its fields only the owner may see.

    Attributes:
        key: the field of the payload that holds it.
        public: fields of the public form. Every other field is private.
        private: fields that only the owner sees. The first holds a text that the publisher
            chose, so an oracle can mark it. ``id`` is public as a keyed hash.
        is_payload: whether the fields are the payload's own, not those of an object in it.
    """

    key: str
    public: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    is_payload: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event: everything that differs between it and the others.

    Attributes:
        name: as on the wire.
        direction: client to gateway, or gateway to client.
        family: the group that metrics count it in.
        audience: who gets it.
        stream: where it is numbered.
        channel: the channel that delivers it, and its room; empty when none does.
        lane: the lane that it waits in.
        conflated_by: a slow client gets only the newest event of those that agree in these
            fields. Empty: the newest of the name. None: every one.
        publishable: whether a publisher may send it.
        subject: what it is about.
    """

    name: str
    direction: Direction = Direction.TO_CLIENT
    family: Family = Family.CONTROL
    audience: Audience
    stream: StreamRule = StreamRule()
    channel: str = ""
    lane: LaneName = "LOSSLESS"
    conflated_by: tuple[str, ...] | None = None
    publishable: bool = False
    subject: Subject | None = None


USER_STREAM: Final = "user"
_SYMBOL: Final = "symbol"

_request = partial(EventRow, direction=Direction.TO_GATEWAY, audience=Audience.GATEWAY)
_reply = partial(EventRow, audience=Audience.ASKER)
_by_symbol = partial(
    EventRow,
    family=Family.MARKET,
    audience=Audience.SYMBOL_ROOMS,
    channel=Channel.MARKET_DATA.value,
    lane="MARKET",
    conflated_by=(_SYMBOL,),
    publishable=True,
)
_of_owner = partial(
    EventRow,
    family=Family.TRADING,
    audience=Audience.OWNER_AND_PUBLIC,
    stream=StreamRule("trading"),
    channel=Channel.TRADING.value,
    publishable=True,
)
_of_model = partial(
    EventRow,
    family=Family.LLM,
    audience=Audience.ASKER,
    stream=StreamRule("llm", by="sessionId"),
    channel=Channel.LLM.value,
    publishable=True,
)
# fmt: off
ORDER: Final = Subject(
    "order",
    public=(
        "id", "symbol", "side", "type", "quantity", "price", "status", "filledQuantity",
        "averagePrice", "timeInForce",
    ),
    private=(
        "clientOrderId", "stopPrice", "exchangeOrderId", "rejectReason", "createdAt",
        "submittedAt", "filledAt", "cancelledAt",
    ),
)
POSITION: Final = Subject(
    "position",
    public=("id", "symbol", "side", "quantity", "status"),
    private=(
        "id", "entryPrice", "currentPrice", "unrealizedPnL", "unrealizedPnLPercent",
        "realizedPnL", "totalPnL", "stopLoss", "takeProfit", "openedAt", "closedAt", "lastUpdated",
    ),
)
TRADE: Final = Subject(
    "trade",
    public=("id", "symbol", "side", "quantity", "price", "value", "executedAt"),
    private=("orderId", "type", "fee", "exchangeOrderId"),
)
BALANCE: Final = Subject(
    "balance", private=("reference", "balance", "currency", "balances"), is_payload=True
)
# fmt: on

EVENTS: Final[Mapping[str, EventRow]] = {
    str(row.name): row
    for row in (
        *(_request(name=name) for name in ClientEvent),
        *(_reply(name=name) for name in ServerEvent),
        # Three of these go to every client: their rows replace the ones above.
        EventRow(name=ServerEvent.SERVER_DRAINING, audience=Audience.EVERYONE),
        # Only the newest matters: a client that missed an older one is not disconnected.
        EventRow(
            name=ServerEvent.HEARTBEAT,
            audience=Audience.EVERYONE,
            stream=StreamRule("heartbeat"),
            conflated_by=(),
        ),
        EventRow(name=ServerEvent.CONNECTION_COUNT, audience=Audience.EVERYONE, conflated_by=()),
        _by_symbol(name=PRICE_EVENT, stream=StreamRule("price", _SYMBOL), subject=Subject("price")),
        _by_symbol(
            name=TICKER_EVENT, stream=StreamRule("ticker", _SYMBOL), subject=Subject("ticker")
        ),
        _by_symbol(
            name=ORDER_BOOK_EVENT, stream=StreamRule("book", _SYMBOL), subject=Subject("orderBook")
        ),
        _of_owner(name="order:created", subject=ORDER),
        _of_owner(name="order:submitted", subject=ORDER),
        _of_owner(name="order:partially-filled", subject=ORDER),
        _of_owner(name="order:filled", subject=ORDER),
        _of_owner(name="order:cancelled", subject=ORDER),
        _of_owner(name="order:rejected", subject=ORDER),
        _of_owner(name="position:opened", subject=POSITION),
        _of_owner(name="position:updated", subject=POSITION),
        _of_owner(name="position:closed", subject=POSITION),
        _of_owner(name="trade:executed", subject=TRADE),
        EventRow(
            name="balance:updated",
            family=Family.BALANCE,
            audience=Audience.USER,
            stream=StreamRule(USER_STREAM),
            publishable=True,
            subject=BALANCE,
        ),
        _of_model(name=LLM_START_EVENT),
        _of_model(name=LLM_TOKEN_EVENT),
        _of_model(name=LLM_DONE_EVENT),
        _of_model(name=LLM_CANCELLED_EVENT),
        _of_model(name=LLM_ERROR_EVENT),
        _of_model(
            name=LLM_CHUNK_EVENT,
            audience=Audience.ROOM,
            stream=StreamRule("llm-chunk", by="sessionId"),
        ),
    )
}
"""Every event of the contract, by name: the only list of events."""

UNLISTED: Final = EventRow(name="", family=Family.OTHER, audience=Audience.ROOM, publishable=True)
"""The row of an event that EVENTS does not have: a publisher may use any name of its own."""


class Side(StrEnum):
    """Sides of an order and of a trade."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """Types of an order."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"


class TimeInForce(StrEnum):
    """How long an order waits for a fill."""

    GTC = "GTC"  # until it is filled or cancelled
    IOC = "IOC"  # not at all: what is not filled at once is cancelled
    FOK = "FOK"  # not at all: it is filled whole at once, or cancelled


class OrderStatus(StrEnum):
    """States of an order. ORDER_STEPS says which follows which."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


_LAST: Final = (
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.REJECTED,
    OrderStatus.EXPIRED,
)
ORDER_STEPS: Final[Mapping[OrderStatus, tuple[OrderStatus, ...]]] = {
    OrderStatus.PENDING: (OrderStatus.SUBMITTED, OrderStatus.REJECTED),
    OrderStatus.SUBMITTED: (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, *_LAST),
    OrderStatus.OPEN: (OrderStatus.PARTIALLY_FILLED, *_LAST),
    OrderStatus.PARTIALLY_FILLED: (
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.EXPIRED,
    ),
    **dict.fromkeys(_LAST, ()),
}
"""The states that may follow each state of an order. After the last ones nothing follows."""


def user_room(user_id: str) -> str:
    """Return the room of one user's connections. Only the gateway joins it; it is not listed."""
    return f"user:{user_id}"


def symbol_room(symbol: str, channel: str = Channel.MARKET_DATA.value) -> str:
    """Return the room that carries one symbol of a channel."""
    return f"{channel}:{symbol}"


_SYMBOL_PART = r"[A-Z0-9][A-Za-z0-9]*(?:[._-][A-Za-z0-9]+)*"
SYMBOL_PATTERN: Final = re.compile(rf"{_SYMBOL_PART}(?:/{_SYMBOL_PART})?", re.ASCII)
"""A symbol is a whole match of this, case-sensitive, of at most ``MAX_SYMBOL_LENGTH``."""
LEAST_SECRET_BYTES: Final = 32  # RFC 7518 §3.2: as long as HS256's output
USER_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9._@|+=-]{1,128}", re.ASCII)
"""A token's ``sub`` is a whole match of this."""


def symbol_stream(event: str, symbol: str) -> str:
    """Return the id of a market event's stream, such as ``price:BTC/USDT``."""
    return f"{EVENTS[event].stream.kind}:{symbol}"


def room_stream(room: str) -> str:
    """Return the id of the stream of a room's unlisted events."""
    return f"room:{room}"


def _kinds(channel: str, by: str) -> tuple[str, ...]:
    rules = [row.stream for row in EVENTS.values() if row.channel == channel and row.stream.kind]
    return tuple(dict.fromkeys(rule.kind for rule in rules if rule.by == by))


_SYMBOL_KINDS: Final = {name.value: _kinds(name, _SYMBOL) for name in CHANNELS}
_CHANNEL_KINDS: Final = {name.value: _kinds(name, "") for name in CHANNELS}


def named_streams(room: str) -> tuple[str, ...]:
    """Return the ids of the streams that a subscription's room delivers, as its name tells them.

    The room of a whole channel does not tell the streams of its symbols.
    """
    channel, _, symbol = room.partition(":")
    if symbol:
        return tuple(f"{kind}:{symbol}" for kind in _SYMBOL_KINDS.get(channel, ()))
    return _CHANNEL_KINDS.get(channel, ())


def user_stream(user_id: str) -> str:
    """Return one user's stream as ``GET /api/v1/streams`` lists it; its owner calls it ``user``."""
    return f"{USER_STREAM}:{user_id}"


class ErrorCode(StrEnum):
    """Codes of ``error`` events, error acknowledgements and connect refusals."""

    AUTH_MISSING = "AUTH_MISSING"
    AUTH_FAILED = "AUTH_FAILED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - an error code
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    INVALID_PAYLOAD = "INVALID_PAYLOAD"
    INVALID_CHANNEL = "INVALID_CHANNEL"
    INVALID_SYMBOL = "INVALID_SYMBOL"
    NOT_ALLOWED = "NOT_ALLOWED"
    TOO_MANY_SUBSCRIPTIONS = "TOO_MANY_SUBSCRIPTIONS"
    TOO_MANY_CONNECTIONS = "TOO_MANY_CONNECTIONS"
    UNKNOWN_EVENT = "UNKNOWN_EVENT"
    PROVIDER_NOT_FOUND = "PROVIDER_NOT_FOUND"
    PROVIDER_ERROR = "PROVIDER_ERROR"
    TOO_MANY_STREAMS = "TOO_MANY_STREAMS"
    SESSION_EXISTS = "SESSION_EXISTS"
    SLOW_CONSUMER = "SLOW_CONSUMER"
    SERVER_DRAINING = "SERVER_DRAINING"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class Text:
    """The texts that clients of the ancestor system may compare with."""

    AUTH_MISSING: Final = "Authentication token missing"
    AUTH_FAILED: Final = "Authentication failed"
    RATE_LIMIT_EXCEEDED: Final = "Rate limit exceeded"
    CHANNEL_REQUIRED: Final = "Channel name required"
    INVALID_CHANNEL: Final = f"Invalid channel. Valid channels: {', '.join(Channel)}"
    SESSION_ID_REQUIRED: Final = "sessionId is required"
    LLM_FIELDS_REQUIRED: Final = "sessionId, provider, and messages are required"


class LimitName(StrEnum):
    """Which rolling limit a breach belongs to: the ``limit`` of a rate-limit error."""

    CONNECTION = "connection"
    USER = "user"
    PING = "ping"
    TOKEN_REFRESH = "token:refresh"  # noqa: S105 - a limit's name
    LLM_STREAM_CANCEL = "llm:stream:cancel"


class ModelProvider(StrEnum):
    """The model providers that a client may name, where the gateway has them configured."""

    OPENAI = "openai"
    CLAUDE = "claude"
    GEMINI = "gemini"
    DEEPSEEK = "deepseek"
    SCRIPTED = "scripted"


PROVIDER_ALIASES: Final[Mapping[str, ModelProvider]] = {
    "anthropic": ModelProvider.CLAUDE,
    "google": ModelProvider.GEMINI,
}


class Scope(StrEnum):
    """Scopes of a token that open the HTTP routes."""

    PUBLISH = "publish"
    STATS = "stats"
    ADMIN = "admin"


# Sizes and counts. Those that an operator may change are defaults of the settings; the
# welcome announces them in ``limits``.
PING_INTERVAL_MS: Final = 25_000
PING_TIMEOUT_MS: Final = 20_000
MAX_PAYLOAD_BYTES: Final = 262_144
MAX_EVENT_BYTES: Final = 65_536
MAX_LLM_EVENT_BYTES: Final = 262_144
MAX_TOKEN_BYTES: Final = 4_096
MAX_SYMBOL_LENGTH: Final = 32
MAX_SYMBOLS_PER_CALL: Final = 64
CONNECT_TIMEOUT_SECONDS: Final = 10.0
KEEP_ALIVE_SECONDS: Final = 75.0
"""Load balancers keep idle connections for 60 s by default, and must be the ones to close them."""
MAX_CONNECTS: Final = 3
"""CONNECT packets of one transport. The gateway closes a transport that sends more."""
MAX_SEND_BYTES: Final = 1_048_576
"""Lossless bytes that may wait for one client. The gateway closes a client that exceeds it."""
MAX_SEND_SECONDS: Final = 5.0
MAX_QUEUE_BYTES: Final = 268_435_456
"""Bytes that may wait for all clients together."""
CLOSE_TIMEOUT_SECONDS: Final = 2.0
MAX_ROOMS_PER_CLIENT: Final = 128
MAX_RATES: Final = (1, 2, 5, 10, 20)
"""What ``maxRate`` of a subscription may be: events a second, of each stream of a symbol."""
MAX_SYMBOLS_PER_PROCESS: Final = 10_000
MAX_STREAMS: Final = 100
"""Model streams of a process at once; ``MAX_STREAMS_PER_USER`` of one user."""
MAX_STREAMS_PER_USER: Final = 3
MAX_ANSWER_BYTES: Final = 262_144
"""UTF-8 bytes of a model's answer. ``llm:stream:done`` carries the whole."""
MAX_SESSION_ID_LENGTH: Final = 256
SCRIPTED_TOKENS: Final = 20
"""Tokens of an answer of the provider ``scripted``, each a word of the last message in turn."""
MODEL_SILENCE_SECONDS: Final = 30.0
MODEL_TOTAL_SECONDS: Final = 300.0
MAX_PUBLISH_ITEMS: Final = 1_000
MAX_PUBLISH_BYTES: Final = 1_048_576
MAX_PUBLISH_ITEM_BYTES: Final = 65_536
MAX_PUBLISH_ID_LENGTH: Final = 64
PUBLISH_ID_SECONDS: Final = 60.0
"""How long an item's ``id`` is remembered: within it, no item with the same one is published."""
HEARTBEAT_SECONDS: Final = 30.0
CONNECTION_COUNT_SECONDS: Final = 5.0
RATE_LIMIT: Final = 60
RATE_WINDOW_SECONDS: Final = 60.0
USER_RATE_LIMIT: Final = 300
PING_LIMIT: Final = 10
PING_WINDOW_SECONDS: Final = 10.0
TOKEN_REFRESH_LIMIT: Final = 10
LLM_STREAM_CANCEL_LIMIT: Final = 10
MAX_REFUSED_EVENTS: Final = 600
MAX_CONNECTIONS_PER_USER: Final = 20
MAX_CONNECTIONS_PER_ADDRESS: Final = 200
MAX_CONNECTS_PER_MINUTE_PER_ADDRESS: Final = 100
TOKEN_LEEWAY_SECONDS: Final = 30
TOKEN_EXPIRING_SECONDS: Final = 60
MAX_TOKEN_HOURS: Final = 24
USER_RETENTION_SECONDS: Final = 900.0
MAX_REPLAY_EVENTS: Final = 256
"""Private events that are kept for a user's returning clients; ``MAX_REPLAY_BYTES`` at most."""
MAX_REPLAY_BYTES: Final = 65_536
MAX_REPLAYS_BYTES: Final = 67_108_864
"""Memory for the kept private events of all users together."""
MAX_VALUES_BYTES: Final = 67_108_864
"""Memory for the last values of all symbols together."""


def clock_id(boot_id: str, time_namespace: str) -> str:
    """Return the id of a monotonic clock. Two processes with equal ids read one clock.

    Args:
        boot_id: the kernel's ``/proc/sys/kernel/random/boot_id``.
        time_namespace: the target of the link ``/proc/self/ns/time``.
    """
    digest = hashlib.sha256(f"{boot_id.strip()} {time_namespace.strip()}".encode())
    return digest.hexdigest()[:16]


def iso_timestamp(unix_seconds: float) -> str:
    """Return wall-clock seconds as ISO 8601 UTC with milliseconds and ``Z``."""
    second, rest_us = divmod(round(unix_seconds * 1_000_000), 1_000_000)
    return f"{_iso_second(second)}.{rest_us // 1_000:03d}Z"


@lru_cache(maxsize=8)  # many timestamps share a second
def _iso_second(unix_second: int) -> str:
    return datetime.fromtimestamp(unix_second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
