"""Strict parsers of environment variables.

Every parser takes a text and returns a value, or raises ValueError with what would be right.
No message quotes the text: it may be a secret in the wrong variable.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def whole(least: int, most: int = 10_000_000) -> Callable[[str], int]:
    """Return a parser of whole numbers within bounds, both included."""

    def read(value: str) -> int:
        number = int(value) if value.isascii() and value.isdecimal() else least - 1
        if not least <= number <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return number

    return read


def decimal(least: float, most: float = 10_000_000) -> Callable[[str], float]:
    """Return a parser of decimal numbers within bounds, both included."""

    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise ValueError(f"must be a number from {least:g} to {most:.0f}")
        return number

    return read


def one_of(*names: str) -> Callable[[str], str]:
    """Return a parser of names, in upper or lower case."""
    by_lower = {name.lower(): name for name in names}

    def read(value: str) -> str:
        if value.lower() not in by_lower:
            raise ValueError(f"must be one of {', '.join(names)}")
        return by_lower[value.lower()]

    return read


def flag(value: str) -> bool:
    """Return whether the text is 1.

    Raises:
        ValueError: it is neither 0 nor 1.
    """
    if value not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return value == "1"


def text(value: str) -> str | None:
    """Return the text, ``None`` if it is empty."""
    return value or None


def networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return comma-separated addresses and networks; ``none`` is no network.

    Raises:
        ValueError: a part is neither an address nor a network.
    """
    if value.lower() == "none":
        return ()
    try:
        return tuple(ip_network(part.strip()) for part in value.split(","))
    except ValueError:
        raise ValueError(
            "must be addresses or networks, comma-separated, such as 10.0.0.0/8,::1, or none"
        ) from None


def origins(value: str) -> tuple[str, ...]:
    """Return comma-separated origins, in the form that browsers send.

    Raises:
        ValueError: a part is not an origin.
    """
    return tuple(dict.fromkeys(_origin(part.strip()) for part in value.split(",")))


def _origin(value: str) -> str:
    refusal = ValueError(
        "must be comma-separated origins of scheme, host and optional port, such as "
        "https://app.example.com; * is not allowed, because credentials are"
    )
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise refusal from None
    host = url.hostname or ""
    if url.scheme not in _DEFAULT_PORTS or not host or "*" in host:
        raise refusal
    if url.path not in ("", "/") or url.query or url.fragment or url.username is not None:
        raise refusal
    shown = f"[{host}]" if ":" in host else host
    suffix = "" if port in (None, _DEFAULT_PORTS[url.scheme]) else f":{port}"
    return f"{url.scheme}://{shown}{suffix}"
