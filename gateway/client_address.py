"""Where a request comes from, when proxies stand between."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Network = IPv4Network | IPv6Network

_ADDRESSES_READ: Final = 4_096  # remembered as read: a client's is asked for again and again
_LONGEST_ADDRESS: Final = 64  # characters, of IPv6 with a zone
_LONGEST_WAY: Final = 4 * _LONGEST_ADDRESS  # of a header that is remembered: clients invent more


def client_address(
    peer: str, forwarded_for: str | None, trusted_proxies: tuple[Network, ...]
) -> str:
    """Return the client's address: the peer, or the first untrusted hop behind trusted ones.

    Args:
        peer: who holds the other end of the socket.
        forwarded_for: the header ``X-Forwarded-For``; its last hop is the nearest.
        trusted_proxies: whose word counts.

    Returns:
        The nearest address that no trusted proxy has; when all are trusted, the farthest one. A
        hop that is no address ends the walk: what lies behind it is anybody's invention.
    """
    if forwarded_for is None or len(forwarded_for) <= _LONGEST_WAY:
        return _remember_address(peer, forwarded_for, trusted_proxies)
    return _find_address(peer, forwarded_for, trusted_proxies)


def _find_address(
    peer: str, forwarded_for: str | None, trusted_proxies: tuple[Network, ...]
) -> str:
    current = parse_address(peer)
    if current is None:
        return peer
    for hop in reversed((forwarded_for or "").split(",")):
        if not is_within(current, trusted_proxies):
            break
        behind = parse_address(_without_port(hop.strip()))
        if behind is None:
            break
        current = behind
    return str(current)


_remember_address = lru_cache(maxsize=_ADDRESSES_READ)(_find_address)


def is_within(address: IPv4Address | IPv6Address, networks: tuple[Network, ...]) -> bool:
    """Return whether an address lies in one of the networks."""
    return any(address in network for network in networks)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text holds; ``None`` when it holds none."""
    return _read_address(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=_ADDRESSES_READ)
def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
