"""Variables: every setting's name in the environment, default, unit and consequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gateway import contract
from gateway.values import decimal, flag, networks, one_of, text, whole

DEFAULT_CLIENT_URL: Final = "http://localhost:5173"


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable of the environment.

    Attributes:
        variable: its name.
        field: the field of ``Settings``.
        default: as the variable would write it; empty for none.
        unit: of the value.
        consequence: what it does.
        parse: text → value, raises ValueError saying what would be right; ``None`` where other
            variables have a say.
    """

    variable: str
    field: str
    default: str
    unit: str
    consequence: str
    parse: Callable[[str], Any] | None = None


def _event_limit(name: str, default: int, consequence: str) -> Setting:
    return Setting(f"GATEWAY_{name}", name.lower(), str(default), "events", consequence, whole(1))


def _count(name: str, default: int, consequence: str, most: int = 10_000_000) -> Setting:
    parse = whole(1, most)
    return Setting(f"GATEWAY_{name}", name.lower(), str(default), "count", consequence, parse)


def _seconds(name: str, default: float, consequence: str, least: float = 0.01) -> Setting:
    parse = decimal(least)
    return Setting(f"GATEWAY_{name}", name.lower(), f"{default:g}", "s", consequence, parse)


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "GATEWAY_ENV",
        "environment",
        "NODE_ENV, else production",
        "name",
        "production, development (no token needed) or test",
    ),
    Setting(
        "CLIENT_URL",
        "client_urls",
        f"{DEFAULT_CLIENT_URL}; required in production",
        "origins",
        "browsers from these origins, comma-separated, may connect",
    ),
    Setting(
        "JWT_SECRET",
        "jwt_secret",
        "random; required in production",
        "≥ 32 bytes",
        "verifies HS256 tokens",
    ),
    Setting(
        "JWT_PUBLIC_KEY",
        "jwt_public_key",
        "",
        "PEM",
        "verifies RS256 or ES256 tokens, in place of JWT_SECRET",
    ),
    Setting(
        "HOST",
        "host",
        "127.0.0.1 in development, else 0.0.0.0",
        "address",
        "where the gateway listens",
    ),
    Setting("PORT", "port", "3000", "port", "0 picks a free one", whole(0, 65_535)),
    Setting("GATEWAY_JWT_ISSUER", "jwt_issuer", "", "text", "a token's iss must equal it", text),
    Setting("GATEWAY_JWT_AUDIENCE", "jwt_audience", "", "text", "a token's aud must name it", text),
    Setting(
        "GATEWAY_MAX_TOKEN_HOURS",
        "max_token_hours",
        str(contract.MAX_TOKEN_HOURS),
        "h",
        "a token whose exp lies further ahead is refused",
        decimal(0.001),
    ),
    _seconds(
        "TOKEN_LEEWAY_SECONDS",
        contract.TOKEN_LEEWAY_SECONDS,
        "how far clocks may differ for exp, nbf, iat",
        0,
    ),
    _seconds(
        "TOKEN_EXPIRING_SECONDS",
        contract.TOKEN_EXPIRING_SECONDS,
        "how long before exp a client is told",
        0,
    ),
    _seconds("HEARTBEAT_SECONDS", contract.HEARTBEAT_SECONDS, "every client, one tick"),
    _seconds(
        "CONNECTION_COUNT_SECONDS",
        contract.CONNECTION_COUNT_SECONDS,
        "least time between two counts; 0 turns them off",
        0,
    ),
    _event_limit("RATE_LIMIT", contract.RATE_LIMIT, "accepted of a connection in a window"),
    _seconds(
        "RATE_WINDOW_SECONDS",
        contract.RATE_WINDOW_SECONDS,
        "length of the rolling window of connections and users",
    ),
    _event_limit(
        "USER_RATE_LIMIT",
        contract.USER_RATE_LIMIT,
        "accepted of a user in a window, over all connections",
    ),
    _event_limit("PING_LIMIT", contract.PING_LIMIT, "pings accepted of a connection"),
    _seconds("PING_WINDOW_SECONDS", contract.PING_WINDOW_SECONDS, "length of the pings' window"),
    _event_limit("TOKEN_REFRESH_LIMIT", contract.TOKEN_REFRESH_LIMIT, "refreshes a minute"),
    _event_limit("LLM_STREAM_CANCEL_LIMIT", contract.LLM_STREAM_CANCEL_LIMIT, "cancels a minute"),
    _event_limit(
        "MAX_REFUSED_EVENTS",
        contract.MAX_REFUSED_EVENTS,
        "refused in a minute; one more closes the connection",
    ),
    _count(
        "MAX_CONNECTIONS_PER_USER",
        contract.MAX_CONNECTIONS_PER_USER,
        "one more closes the user's longest-silent",
    ),
    _count(
        "MAX_CONNECTIONS_PER_ADDRESS",
        contract.MAX_CONNECTIONS_PER_ADDRESS,
        "one more is refused with 429",
    ),
    _count(
        "MAX_CONNECTS_PER_MINUTE_PER_ADDRESS",
        contract.MAX_CONNECTS_PER_MINUTE_PER_ADDRESS,
        "one more is refused with 429",
    ),
    Setting(
        "GATEWAY_ADDRESS_LIMIT_EXEMPT",
        "address_limit_exempt",
        "127.0.0.0/8,::1/128",
        "networks",
        "not limited by address; none for nobody",
        networks,
    ),
    Setting(
        "GATEWAY_TRUSTED_PROXIES",
        "trusted_proxies",
        "none",
        "networks",
        "their X-Forwarded-For is believed",
        networks,
    ),
    Setting(
        "GATEWAY_MAX_EVENT_BYTES",
        "max_event_bytes",
        str(contract.MAX_EVENT_BYTES),
        "bytes",
        "a larger event is INVALID_PAYLOAD",
        whole(256, contract.MAX_PAYLOAD_BYTES),
    ),
    _count(
        "MAX_ROOMS_PER_CLIENT", contract.MAX_ROOMS_PER_CLIENT, "one more is TOO_MANY_SUBSCRIPTIONS"
    ),
    _count(
        "MAX_SYMBOLS_PER_PROCESS",
        contract.MAX_SYMBOLS_PER_PROCESS,
        "distinct symbols; one more is TOO_MANY_SUBSCRIPTIONS",
    ),
    _seconds(
        "USER_RETENTION_SECONDS",
        contract.USER_RETENTION_SECONDS,
        "how long a user's counter and limit outlive the last connection",
        0,
    ),
    Setting(
        "GATEWAY_METRICS_TOKEN",
        "metrics_token",
        "",
        "text",
        "GET /metrics needs it as a bearer token",
        text,
    ),
    Setting(
        "GATEWAY_DEVELOPMENT_ANYWHERE",
        "development_anywhere",
        "0",
        "0 or 1",
        "development may listen on other than loopback addresses",
        flag,
    ),
    Setting(
        "GATEWAY_PING_INTERVAL_MS",
        "ping_interval_ms",
        str(contract.PING_INTERVAL_MS),
        "ms",
        "Engine.IO pings",
        whole(1),
    ),
    Setting(
        "GATEWAY_PING_TIMEOUT_MS",
        "ping_timeout_ms",
        str(contract.PING_TIMEOUT_MS),
        "ms",
        "a client that does not answer a ping for longer is closed",
        whole(1),
    ),
    _seconds(
        "HEAD_TIMEOUT_SECONDS",
        contract.CONNECT_TIMEOUT_SECONDS,
        "a connection that has not sent its first request by then is closed",
    ),
    _seconds(
        "CONNECT_TIMEOUT_SECONDS",
        contract.CONNECT_TIMEOUT_SECONDS,
        "a transport whose client has not sent CONNECT by then is closed",
    ),
    _count(
        "MAX_SEND_BYTES",
        contract.MAX_SEND_BYTES,
        "lossless bytes that may wait for one client; more close it",
        most=1_000_000_000,
    ),
    _seconds(
        "MAX_SEND_SECONDS",
        contract.MAX_SEND_SECONDS,
        "lossless bytes that wait longer for one client close it",
    ),
    _count(
        "MAX_QUEUE_BYTES",
        contract.MAX_QUEUE_BYTES,
        "bytes that may wait for all clients; then the largest waiters are closed",
        most=1_000_000_000_000,
    ),
    Setting(
        "GATEWAY_LOG_LEVEL",
        "log_level",
        "INFO",
        "name",
        "least level that is logged",
        one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    ),
    Setting(
        "GATEWAY_LOG_FORMAT",
        "log_format",
        "json",
        "name",
        "json or console",
        one_of("json", "console"),
    ),
    _seconds("SHUTDOWN_SECONDS", 30.0, "a stop takes no longer, whoever is connected"),
)


def settings_table() -> str:
    """Return ``SETTINGS`` as the Markdown table of the documentation."""
    lines = ["| variable | default | unit | consequence |", "|---|---|---|---|"]
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else "–"
        lines.append(
            f"| `{setting.variable}` | {default} | {setting.unit} | {setting.consequence} |"
        )
    return "\n".join(lines) + "\n"
