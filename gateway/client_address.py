"""The address of a client behind trusted proxies."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Network = IPv4Network | IPv6Network

_ADDRESSES_READ: Final = 4_096  # cached addresses: a client's is needed several times
_LONGEST_ADDRESS: Final = 64  # characters; IPv6 with a zone is shorter
_LONGEST_HEADER: Final = 4 * _LONGEST_ADDRESS  # characters of a cached X-Forwarded-For


def client_address(
    peer: str, forwarded_for: str | None, trusted_proxies: tuple[Network, ...]
) -> str:
    """Return the client's address: the peer, or the first untrusted hop behind trusted proxies.

    Args:
        peer: the address of the other end of the socket.
        forwarded_for: the header ``X-Forwarded-For``. Its last hop is the nearest.
        trusted_proxies: the networks of proxies whose header is believed.

    Returns:
        The nearest address outside the trusted networks, or the farthest one if all are
        trusted. A hop that is not an address ends the search: the client may have forged the
        hops behind it.
    """
    if forwarded_for is None or len(forwarded_for) <= _LONGEST_HEADER:
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


@lru_cache(maxsize=_ADDRESSES_READ)
def peer_address(peer: str) -> str:
    """Return the address of a peer that is no proxy, in its canonical form."""
    return _find_address(peer, None, ())


_remember_address = lru_cache(maxsize=_ADDRESSES_READ)(_find_address)


def is_within(address: IPv4Address | IPv6Address, networks: tuple[Network, ...]) -> bool:
    """Return whether an address is in one of the networks."""
    return any(address in network for network in networks)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address of a text, ``None`` if it is not an address."""
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
