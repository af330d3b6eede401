"""Strict parsers of environment variables.

Every parser takes a text and returns a value, or raises ValueError with what would be right.
No message quotes the text: it may be a secret in the wrong variable.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final
from urllib.parse import urlsplit

import idna

from gateway.contract import MAX_SYMBOL_LENGTH, SYMBOL_PATTERN

_BROWSERS_PORTS: Final = {"http": 80, "https": 443}  # which browsers leave out; apps may not
_WEB_SCHEMES: Final = ("http", "https", "ws", "wss")
_MOST_PORT: Final = 65_535
_MOST_DIGITS: Final = 20
_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]{1,253}")
_URL: Final = re.compile(r"[!-~]{1,2048}")
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_BEARER: Final = re.compile(r"[!-~]+")
_ORIGIN: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/?#@:*\[\]\\]*)"
    r"(:(?P<port>[0-9]{1,5}))?/?"
)
MOST_MARKET_SYMBOLS: Final = 1_000
MOST_NODE_LENGTH: Final = 32
_NODE: Final = re.compile(rf"(?=.{{1,{MOST_NODE_LENGTH}}}$)[a-z0-9]+(-[a-z0-9]+)*")
_WEB_HOST: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


def whole(least: int, most: int = 10_000_000) -> Callable[[str], int]:
    """Return a parser of whole numbers within bounds, both included."""

    def read(value: str) -> int:
        is_number = value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS
        number = int(value) if is_number else least - 1
        if not least <= number <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return number

    return read


def decimal(least: float, most: float, *, can_be_zero: bool = False) -> Callable[[str], float]:
    """Return a parser of decimal numbers within bounds, both included.

    Args:
        least: the smallest number.
        most: the largest number.
        can_be_zero: whether 0 is a number too, although it is less than the least.
    """
    bounds = f"{'0, or ' if can_be_zero else ''}a number from {least:g} to {most:.0f}"

    def read(value: str) -> float:
        number = float(value) if _NUMBER.fullmatch(value) else -1.0
        if not (least <= number <= most or (can_be_zero and number == 0)):
            raise ValueError(f"must be {bounds}")
        return number

    return read


def node_name(value: str) -> str:
    """Return a name for a node: it appears in session ids, log lines and metric labels.

    Raises:
        ValueError: it is not such a name.
    """
    if not _NODE.fullmatch(value):
        raise ValueError(
            f"must have 1 to {MOST_NODE_LENGTH} letters a–z, digits and inner hyphens, such as eu-1"
        )
    return value


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


def host(value: str) -> str:
    """Return an address or the name of a host.

    Raises:
        ValueError: it has characters that neither has.
    """
    if not _HOST.fullmatch(value):
        raise ValueError("must be an address or the name of a host, such as 127.0.0.1, :: or web-1")
    return value


def issuer_url(value: str) -> str:
    """Return the URL of a key set.

    Raises:
        ValueError: it is neither https nor on loopback, or has a user or a fragment.
    """
    return _secure_url(value, "https://issuer.example.com/jwks.json")


def api_url(value: str) -> str:
    """Return the URL of an API that gets a key.

    Raises:
        ValueError: it is neither https nor on loopback, or has a user or a fragment.
    """
    return _secure_url(value, "https://api.example.com/v1")


def _secure_url(value: str, example: str) -> str:
    refusal = f"must be an https URL, such as {example}"
    try:
        parts = urlsplit(value)
        is_odd = parts.port == 0 or parts.username is not None or bool(parts.fragment)
    except ValueError:
        raise ValueError(refusal) from None
    is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if is_odd or not parts.hostname or not _URL.fullmatch(value):
        raise ValueError(refusal)
    if parts.scheme != "https" and not is_local:
        raise ValueError(refusal)
    return value


def bearer(value: str) -> str | None:
    """Return a bearer token, ``None`` if it is empty.

    Raises:
        ValueError: a client cannot send it in a header.
    """
    if value and not _BEARER.fullmatch(value):
        raise ValueError("must be visible ASCII characters without blanks")
    return value or None


def networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return comma-separated addresses and networks; ``none`` is no network.

    Raises:
        ValueError: a part is neither an address nor a network.
    """
    if value.lower() == "none":
        return ()
    refusal = "must be addresses or networks, comma-separated, such as 10.0.0.0/8,::1, or none"
    try:
        return tuple(ip_network(part) for part in _parts(value, refusal))
    except ValueError:
        raise ValueError(refusal) from None


def origins(value: str) -> tuple[str, ...]:
    """Return comma-separated origins, in the form that browsers and apps send.

    Raises:
        ValueError: a part is not an origin.
    """
    refusal = (
        "must be comma-separated origins of scheme, host and optional port, such as "
        "https://app.example.com or capacitor://localhost; * is not allowed, because "
        "credentials are"
    )
    return tuple(dict.fromkeys(_origin(part, refusal) for part in _parts(value, refusal)))


def _parts(value: str, refusal: str) -> list[str]:
    """Return the parts of a comma-separated list. An empty part, as after a last comma, is none."""
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts:
        raise ValueError(refusal)
    return parts


def _origin(value: str, refusal: str) -> str:
    found = _ORIGIN.fullmatch(value)
    if found is None:
        raise ValueError(refusal)
    scheme = found["scheme"].lower()
    port = None if found["port"] is None else int(found["port"])
    is_page_of_a_file = scheme == "file" and port is None
    is_port = port is None or 0 < port <= _MOST_PORT
    if not is_port or not (found["host"] or is_page_of_a_file):
        raise ValueError(refusal)
    suffix = "" if port in (None, _BROWSERS_PORTS.get(scheme)) else f":{port}"
    return f"{scheme}://{_host_of_origin(found['host'].lower(), scheme, refusal)}{suffix}"


def _host_of_origin(name: str, scheme: str, refusal: str) -> str:
    """Return a host as browsers write it: an international name in its ASCII form (UTS 46)."""
    try:
        if name.startswith("["):
            return f"[{IPv6Address(name[1:-1]).compressed}]"
        if not name.isascii():
            name = idna.encode(name, uts46=True).decode("ascii")
    except ValueError:  # a UnicodeError is one
        raise ValueError(refusal) from None
    if scheme in _WEB_SCHEMES and not _WEB_HOST.fullmatch(name):
        raise ValueError(refusal)
    return name


def market_symbols(value: str) -> tuple[str, ...]:
    """Return comma-separated symbols, each once; a number stands for SYM000/USDT, SYM001/USDT, ….

    Raises:
        ValueError: a part is not a symbol, or there are too many.
    """
    refusal = (
        f"must be 1 to {MOST_MARKET_SYMBOLS} comma-separated symbols, such as BTC/USDT,ETH/USDT, "
        "or a number of symbols to invent"
    )
    if value.isascii() and value.isdecimal():
        symbols = tuple(f"SYM{index:03d}/USDT" for index in range(min(int(value), 10_000)))
    else:
        symbols = tuple(dict.fromkeys(_parts(value, refusal)))
    is_symbol = all(
        len(symbol) <= MAX_SYMBOL_LENGTH and SYMBOL_PATTERN.fullmatch(symbol) for symbol in symbols
    )
    if not is_symbol or not 1 <= len(symbols) <= MOST_MARKET_SYMBOLS:
        raise ValueError(refusal)
    return symbols


def feed_url(value: str) -> str | None:
    """Return the URL of a host, ``None`` if the text is empty.

    Raises:
        ValueError: it is no such URL, or has a user, a path or a query.
    """
    if not value:
        return None
    refusal = "must be the http or https URL of a host, such as https://mirror.example.com"
    try:
        parts = urlsplit(value)
        is_odd = parts.port == 0 or parts.username is not None
    except ValueError:
        raise ValueError(refusal) from None
    is_longer = parts.path not in ("", "/") or parts.query or parts.fragment
    if is_odd or is_longer or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(refusal)
    if not _URL.fullmatch(value):
        raise ValueError(refusal)
    return value
