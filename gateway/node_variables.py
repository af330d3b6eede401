"""The settings of a gateway that is one of several nodes."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from gateway.setting_kinds import Setting, count, seconds
from gateway.values import text

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_DATABASE: Final = re.compile(r"/[0-9]{0,3}|")
_MOST_PORT: Final = 65_535


def redis_url(value: str) -> str | None:
    """Return the address of Redis, ``None`` if it is empty.

    Errors do not quote it: it may hold a password.

    Raises:
        ValueError: it has another form.
    """
    if not value:
        return None
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(f"the port must be a number up to {_MOST_PORT}") from None
    if parts.scheme not in ("redis", "rediss"):
        raise ValueError("must begin with redis:// or, for TLS, with rediss://")
    if not parts.hostname:
        raise ValueError("has no host; use redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]")
    if port == 0 or not _DATABASE.fullmatch(parts.path) or parts.query or parts.fragment:
        raise ValueError("use redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]")
    return value


def name(value: str) -> str:
    """Return a name that is safe in ids, keys, logs and labels.

    Raises:
        ValueError: it has other characters, or too many.
    """
    if not _NAME.fullmatch(value):
        raise ValueError("must be 1 to 32 letters, digits, - or _")
    return value


NODE_SETTINGS: Final = (
    Setting(
        "REDIS_URL",
        "redis_url",
        "",
        "URL",
        "the log that several nodes share, such as redis://:PASSWORD@HOST:6379/0 or rediss:// "
        "for TLS; without it the gateway is one process",
        redis_url,
        has_file=True,
    ),
    Setting(
        "GATEWAY_REDIS_CA",
        "redis_ca",
        "",
        "path",
        "PEM file with the authorities that may sign the certificate of rediss://, besides those "
        "of the system",
        text,
    ),
    Setting(
        "GATEWAY_REDIS_PREFIX",
        "redis_prefix",
        "tidegate",
        "name",
        "the gateways that share a log have the same; it begins the names of all keys",
        name,
    ),
    count(
        "REDIS_LOG_ENTRIES",
        500_000,
        "entries of the log; a node that was cut off for longer loses some, and says so",
    ),
    seconds(
        "REDIS_LOG_SECONDS",
        120,
        "entries of the log that are older are removed",
        least=1,
    ),
)


def node_problems(redis: object, market: object, exchange: object) -> list[str]:
    """Return what cannot go together with several nodes.

    Args:
        redis: the address of Redis, ``None`` without it.
        market: the market source.
        exchange: the exchange.
    """
    if redis is None:
        return []
    problems = []
    if market not in (None, "off"):
        problems.append(
            "GATEWAY_MARKET: a source on each of several nodes would publish everything twice; "
            "unset REDIS_URL, or publish by POST /api/v1/publish"
        )
    if exchange not in (None, "off"):
        problems.append(
            "GATEWAY_EXCHANGE: the paper exchange keeps its orders in one process; unset REDIS_URL"
        )
    return problems
