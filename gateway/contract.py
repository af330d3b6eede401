"""The wire contract: every name, code, text and limit that a client can meet.

This module is the one place where they are declared; the gateway and the load
laboratory import them from here. It uses the standard library alone.

Times on the wire are integers. ``ts``, ``srcTs``, ``received`` and ``sent`` are
microseconds of the gateway's monotonic clock, which ``clock`` in the welcome
event identifies; ``retryAfter`` and ``reconnectAfter`` are milliseconds;
``timestamp`` and ``expiresAt`` are ISO 8601 UTC with milliseconds and ``Z``.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

SOCKETIO_PATH: Final = "/socket.io/"
NAMESPACE: Final = "/"
API_PREFIX: Final = "/api/v1"
PUBLISH_PATH: Final = f"{API_PREFIX}/publish"
STREAMS_PATH: Final = f"{API_PREFIX}/streams"
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
    """Events of the gateway's own protocol; nobody may publish under these names."""

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


class MarketEvent(StrEnum):
    """Market data: routed by symbol, numbered for each symbol and event name."""

    PRICE = "price:update"
    TICKER = "ticker:update"
    ORDER_BOOK = "orderbook:update"


class TradingEvent(StrEnum):
    """Order flow: owner's form to the user, public form to the trading room."""

    ORDER_CREATED = "order:created"
    ORDER_SUBMITTED = "order:submitted"
    ORDER_PARTIALLY_FILLED = "order:partially-filled"
    ORDER_FILLED = "order:filled"
    ORDER_CANCELLED = "order:cancelled"
    ORDER_REJECTED = "order:rejected"
    POSITION_OPENED = "position:opened"
    POSITION_UPDATED = "position:updated"
    POSITION_CLOSED = "position:closed"
    TRADE_EXECUTED = "trade:executed"


BALANCE_EVENT: Final = "balance:updated"  # to the owner only


class LlmEvent(StrEnum):
    """Events of a model's answer."""

    START = "llm:stream:start"
    TOKEN = "llm:stream:token"  # noqa: S105 - an event's name
    DONE = "llm:stream:done"
    CANCELLED = "llm:stream:cancelled"
    ERROR = "llm:stream:error"
    CHUNK = "llm:stream"


PROTOCOL_NAMES: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Names that Socket.IO itself reserves: they never reach a handler, and nobody publishes them."""


class Channel(StrEnum):
    """What a client asks for; a room is how it is delivered."""

    TRADING = "trading"
    MARKET_DATA = "market-data"
    LLM = "llm"


def user_room(user_id: str) -> str:
    """Return the room of one user's connections: joined by the gateway alone, never listed."""
    return f"user:{user_id}"


def symbol_room(symbol: str) -> str:
    """Return the room that carries one symbol's market data."""
    return f"{Channel.MARKET_DATA}:{symbol}"


_SYMBOL_PART = r"[A-Z0-9][A-Za-z0-9]*(?:[._-][A-Za-z0-9]+)*"
SYMBOL_PATTERN: Final = re.compile(rf"{_SYMBOL_PART}(?:/{_SYMBOL_PART})?", re.ASCII)
"""A symbol is a whole match of this, case-sensitive, of at most ``MAX_SYMBOL_LENGTH``."""
LEAST_SECRET_BYTES: Final = 32  # RFC 7518 §3.2: as long as HS256's output
USER_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9._@|+=-]{1,128}", re.ASCII)
"""A token's ``sub`` is a whole match of this."""

STREAM_PREFIXES: Final = {
    MarketEvent.PRICE: "price",
    MarketEvent.TICKER: "ticker",
    MarketEvent.ORDER_BOOK: "book",
}
TRADING_STREAM: Final = "trading"
USER_STREAM: Final = "user"
HEARTBEAT_STREAM: Final = "heartbeat"


def market_stream(event: MarketEvent, symbol: str) -> str:
    """Return a market stream's id, such as ``price:BTC/USDT``."""
    return f"{STREAM_PREFIXES[event]}:{symbol}"


def room_stream(room: str) -> str:
    """Return the id of the stream of a room's other events."""
    return f"room:{room}"


def user_stream(user_id: str) -> str:
    """Return one user's stream as ``GET /api/v1/streams`` lists it; to its owner it is ``user``."""
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


class Scope(StrEnum):
    """Scopes of a token that open the HTTP routes."""

    PUBLISH = "publish"
    STATS = "stats"


# Sizes and counts. Each is a bound of the wire; those that an operator may move
# are defaults of the settings and are announced in the welcome's ``limits``.
PING_INTERVAL_MS: Final = 25_000
PING_TIMEOUT_MS: Final = 20_000
MAX_PAYLOAD_BYTES: Final = 262_144
MAX_EVENT_BYTES: Final = 65_536
MAX_LLM_EVENT_BYTES: Final = 262_144
MAX_TOKEN_BYTES: Final = 4_096
MAX_SYMBOL_LENGTH: Final = 32
MAX_SYMBOLS_PER_CALL: Final = 64
CONNECT_TIMEOUT_SECONDS: Final = 10.0
MAX_SEND_BYTES: Final = 1_048_576
"""Lossless bytes that may wait for one client; more of them, or older ones, close it."""
MAX_SEND_SECONDS: Final = 5.0
MAX_QUEUE_BYTES: Final = 268_435_456
"""Bytes that may wait for all clients together."""
CLOSE_TIMEOUT_SECONDS: Final = 2.0
MAX_ROOMS_PER_CLIENT: Final = 128
MAX_SYMBOLS_PER_PROCESS: Final = 10_000
MAX_PUBLISH_ITEMS: Final = 1_000
MAX_PUBLISH_BYTES: Final = 1_048_576
MAX_PUBLISH_ITEM_BYTES: Final = 65_536
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


def clock_id(boot_id: str, time_namespace: str) -> str:
    """Return the id of a monotonic clock: equal ids, one clock, no offset to estimate.

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
