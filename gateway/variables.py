"""The environment variable, default, unit and consequence of every setting."""

from __future__ import annotations

from typing import Final

from gateway import contract
from gateway.exchange_variables import EXCHANGE_SETTINGS
from gateway.market_variables import MARKET_SETTINGS
from gateway.model_settings import MODEL_SETTINGS
from gateway.node_variables import NODE_SETTINGS
from gateway.security_variables import SECURITY_SETTINGS
from gateway.setting_kinds import Setting, count, event_limit, seconds, size
from gateway.values import bearer, decimal, flag, networks, one_of, text, whole

DEFAULT_CLIENT_URL: Final = "http://localhost:5173"


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "GATEWAY_ENV",
        "environment",
        "NODE_ENV, else production",
        "name",
        "production, development (clients need no token) or test; must not contradict NODE_ENV",
    ),
    Setting(
        "CLIENT_URL",
        "client_urls",
        f"{DEFAULT_CLIENT_URL}; required in production",
        "origins",
        "comma-separated origins whose pages and apps may connect",
    ),
    Setting(
        "JWT_SECRET",
        "jwt_secret",
        "random; required in production",
        "≥ 32 bytes",
        "verifies HS256 tokens",
        has_file=True,
    ),
    Setting(
        "JWT_PUBLIC_KEY",
        "jwt_public_key",
        "",
        "PEM",
        "verifies RS256 or ES256 tokens; replaces JWT_SECRET",
        has_file=True,
    ),
    Setting(
        "JWT_JWKS_URL",
        "jwt_jwks_url",
        "",
        "URL",
        "address of a JSON Web Key Set whose keys verify RS256 and ES256 tokens by their kid; "
        "replaces JWT_SECRET",
    ),
    Setting(
        "HOST",
        "host",
        "127.0.0.1 in development, else 0.0.0.0",
        "address",
        "the gateway listens on this address; 0.0.0.0 and :: mean every address, IPv4 and IPv6",
    ),
    Setting(
        "PORT",
        "port",
        "3000",
        "port",
        "the gateway listens on this port; 0 chooses a free one",
        whole(0, 65_535),
    ),
    Setting(
        "GATEWAY_NODE",
        "node",
        "6 hexadecimal digits, from the host's name and the port",
        "name",
        "names this node in session ids, log lines and metrics; with --processes N the nodes are "
        "NAME-0, NAME-1 and so on; must differ between nodes",
    ),
    Setting(
        "GATEWAY_JWT_ISSUER", "jwt_issuer", "", "text", "a token's iss must equal this text", text
    ),
    Setting(
        "GATEWAY_JWT_AUDIENCE",
        "jwt_audience",
        "",
        "text",
        "a token's aud must contain this text",
        text,
    ),
    Setting(
        "GATEWAY_ENTITLEMENTS",
        "entitlements",
        "optional",
        "name",
        "a token without the claim entitlements may subscribe to everything (optional) or to "
        "nothing (required)",
        one_of("optional", "required"),
    ),
    Setting(
        "GATEWAY_MAX_TOKEN_HOURS",
        "max_token_hours",
        str(contract.MAX_TOKEN_HOURS),
        "h",
        "a token whose exp is further ahead is refused",
        decimal(0.001, 87_600),
    ),
    seconds(
        "TOKEN_LEEWAY_SECONDS",
        contract.TOKEN_LEEWAY_SECONDS,
        "tolerance for clock differences in exp, nbf and iat",
        least=0,
        most=600,
    ),
    seconds(
        "TOKEN_EXPIRING_SECONDS",
        contract.TOKEN_EXPIRING_SECONDS,
        "a client is warned this long before its token expires",
        least=0,
    ),
    seconds(
        "HEARTBEAT_SECONDS", contract.HEARTBEAT_SECONDS, "interval of the heartbeat to all clients"
    ),
    seconds(
        "CONNECTION_COUNT_SECONDS",
        contract.CONNECTION_COUNT_SECONDS,
        "shortest time between two connection counts; 0 turns them off",
        can_be_zero=True,
    ),
    event_limit(
        "RATE_LIMIT", contract.RATE_LIMIT, "accepted per connection in a window; more are refused"
    ),
    seconds(
        "RATE_WINDOW_SECONDS",
        contract.RATE_WINDOW_SECONDS,
        "length of the rolling window of the connection and user limits",
    ),
    event_limit(
        "USER_RATE_LIMIT",
        contract.USER_RATE_LIMIT,
        "accepted per user in a window, over all connections; more are refused",
    ),
    event_limit(
        "PING_LIMIT",
        contract.PING_LIMIT,
        "pings accepted per connection in their window; more are refused",
    ),
    seconds(
        "PING_WINDOW_SECONDS", contract.PING_WINDOW_SECONDS, "length of the rolling window of pings"
    ),
    event_limit(
        "TOKEN_REFRESH_LIMIT",
        contract.TOKEN_REFRESH_LIMIT,
        "token refreshes accepted per connection and minute; more are refused",
    ),
    event_limit(
        "LLM_STREAM_CANCEL_LIMIT",
        contract.LLM_STREAM_CANCEL_LIMIT,
        "cancels accepted per connection and minute; more are refused",
    ),
    event_limit(
        "MAX_REFUSED_EVENTS",
        contract.MAX_REFUSED_EVENTS,
        "refused events per transport and minute; one more closes the transport",
    ),
    count(
        "MAX_CONNECTIONS_PER_USER",
        contract.MAX_CONNECTIONS_PER_USER,
        "connections of a user; one more closes the longest-silent one",
    ),
    count(
        "MAX_CONNECTIONS_PER_ADDRESS",
        contract.MAX_CONNECTIONS_PER_ADDRESS,
        "sessions of an address at once; one more is refused with 429",
    ),
    count(
        "MAX_CONNECTS_PER_MINUTE_PER_ADDRESS",
        contract.MAX_CONNECTS_PER_MINUTE_PER_ADDRESS,
        "new sessions of an address per minute; one more is refused with 429",
    ),
    Setting(
        "GATEWAY_ADDRESS_LIMIT_EXEMPT",
        "address_limit_exempt",
        "127.0.0.0/8,::1/128",
        "networks",
        "exempt from the limits by address; none for no exemption",
        networks,
    ),
    Setting(
        "GATEWAY_TRUSTED_PROXIES",
        "trusted_proxies",
        "none",
        "networks",
        "proxies whose X-Forwarded-For is believed",
        networks,
    ),
    Setting(
        "GATEWAY_MAX_EVENT_BYTES",
        "max_event_bytes",
        str(contract.MAX_EVENT_BYTES),
        "bytes",
        "a larger event is refused with INVALID_PAYLOAD",
        whole(256, contract.MAX_PAYLOAD_BYTES),
    ),
    count(
        "MAX_ROOMS_PER_CLIENT",
        contract.MAX_ROOMS_PER_CLIENT,
        "rooms of a client; one more is refused with TOO_MANY_SUBSCRIPTIONS",
    ),
    count(
        "MAX_SYMBOLS_PER_PROCESS",
        contract.MAX_SYMBOLS_PER_PROCESS,
        "distinct symbols; one more is refused with TOO_MANY_SUBSCRIPTIONS",
    ),
    seconds(
        "USER_RETENTION_SECONDS",
        contract.USER_RETENTION_SECONDS,
        "a user's counter and limit, and a stream, are kept this long after the last client",
        least=0,
    ),
    Setting(
        "GATEWAY_METRICS_TOKEN",
        "metrics_token",
        "",
        "text",
        "bearer token that GET /metrics requires",
        bearer,
        has_file=True,
    ),
    Setting(
        "GATEWAY_DEVELOPMENT_ANYWHERE",
        "development_anywhere",
        "0",
        "0 or 1",
        "1 lets development listen on addresses other than loopback",
        flag,
    ),
    Setting(
        "GATEWAY_PING_INTERVAL_MS",
        "ping_interval_ms",
        str(contract.PING_INTERVAL_MS),
        "ms",
        "interval of Engine.IO pings",
        whole(100, 3_600_000),
    ),
    Setting(
        "GATEWAY_PING_TIMEOUT_MS",
        "ping_timeout_ms",
        str(contract.PING_TIMEOUT_MS),
        "ms",
        "a client that does not answer a ping within this time is closed",
        whole(100, 3_600_000),
    ),
    seconds(
        "HEAD_TIMEOUT_SECONDS",
        contract.CONNECT_TIMEOUT_SECONDS,
        "a connection that has not sent its first request within this time is closed",
    ),
    seconds(
        "KEEP_ALIVE_SECONDS",
        contract.KEEP_ALIVE_SECONDS,
        "an HTTP connection without a request is closed after this time; load balancers need "
        "more than their own, which is often 60 s",
    ),
    seconds(
        "CONNECT_TIMEOUT_SECONDS",
        contract.CONNECT_TIMEOUT_SECONDS,
        "a transport whose client has not sent CONNECT within this time is closed",
    ),
    size(
        "MAX_SEND_BYTES",
        contract.MAX_SEND_BYTES,
        "lossless bytes queued for one client; more close it",
        most=1_000_000_000,
    ),
    seconds(
        "MAX_SEND_SECONDS",
        contract.MAX_SEND_SECONDS,
        "a client whose lossless bytes are queued for longer is closed",
    ),
    size(
        "MAX_QUEUE_BYTES",
        contract.MAX_QUEUE_BYTES,
        "bytes queued for all clients; more close the clients with the longest queues",
        most=1_000_000_000_000,
    ),
    *SECURITY_SETTINGS,
    *MODEL_SETTINGS,
    Setting(
        "GATEWAY_LOG_LEVEL",
        "log_level",
        "INFO",
        "name",
        "lowest level that is logged",
        one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    ),
    Setting(
        "GATEWAY_LOG_FORMAT",
        "log_format",
        "json",
        "name",
        "json for machines, console for people",
        one_of("json", "console"),
    ),
    seconds(
        "SHUTDOWN_SECONDS",
        8.0,
        "longest time that a shutdown takes; container platforms kill after 10 s",
        most=3_600,
    ),
    *MARKET_SETTINGS,
    *EXCHANGE_SETTINGS,
    *NODE_SETTINGS,
)


def settings_table() -> str:
    """Return ``SETTINGS`` as a Markdown table for the documentation."""
    lines = ["| variable | default | unit | consequence |", "|---|---|---|---|"]
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else "–"
        names = f"`{setting.variable}`"
        if setting.has_file:
            names += f" or `{setting.file_variable}`"
        lines.append(f"| {names} | {default} | {setting.unit} | {setting.consequence} |")
    return "\n".join(lines) + "\n"
