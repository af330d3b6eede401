"""Admission: how many sessions an address may open, how many connections a user may hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from gateway.ratelimit import RollingWindow
from gateway.settings import Settings

Network = IPv4Network | IPv6Network

_MINUTE_NS: Final = 60_000_000_000
_NS_PER_S: Final = 1e9
_RETRY_WHEN_FULL_S: Final = 5.0  # nobody knows when a place becomes free
_IPV6_PREFIX: Final = 64  # what one customer is given
_LEAVING: Final = -1
_ADDRESSES_READ: Final = 4_096  # remembered as read: a client's is asked for again and again
_LONGEST_ADDRESS: Final = 64  # characters, of IPv6 with a zone
_LONGEST_WAY: Final = 4 * _LONGEST_ADDRESS  # of a header that is remembered: clients invent more


class AddressLimit(StrEnum):
    """Why an address was refused a session."""

    CONNECTS_PER_MINUTE = "connects_per_minute"
    CONNECTIONS = "connections_per_address"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer in place of a session.

    Attributes:
        status: HTTP status.
        retry_after_s: when to come back, s.
        reason: the limit, for answer, log and metrics.
    """

    status: int
    retry_after_s: float
    reason: AddressLimit


class AddressAdmission:
    """Counts Engine.IO sessions by address; IPv6 by /64.

    Args:
        settings: sessions a minute, sessions at once, and the networks that are exempt.
    """

    def __init__(self, settings: Settings) -> None:
        self._per_minute = settings.max_connects_per_minute_per_address
        self._at_once = settings.max_connections_per_address
        self._exempt = settings.address_limit_exempt
        self._windows: dict[str, RollingWindow] = {}
        self._open: dict[str, int] = {}
        self._key = lru_cache(maxsize=_ADDRESSES_READ)(self._find_key)

    def __len__(self) -> int:
        return len(self._windows.keys() | self._open.keys())

    def admit(self, address: str, now_ns: int) -> Refusal | None:
        """Give an address a place, which ``release`` returns, or say why not.

        Returns:
            ``None`` when it was admitted. A refused one is charged nothing.
        """
        key = self._key(address)
        if key is None:
            return None
        if self._open.get(key, 0) >= self._at_once:
            return Refusal(429, _RETRY_WHEN_FULL_S, AddressLimit.CONNECTIONS)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = RollingWindow(self._per_minute, _MINUTE_NS)
        wait_ns = window.admit(now_ns)
        if wait_ns:
            return Refusal(429, wait_ns / _NS_PER_S, AddressLimit.CONNECTS_PER_MINUTE)
        self._open[key] = self._open.get(key, 0) + 1
        return None

    def release(self, address: str) -> None:
        """Return the place of a session that has ended.

        Raises:
            KeyError: the address holds none.
        """
        key = self._key(address)
        if key is None:
            return
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]

    def sweep(self, now_ns: int) -> None:
        """Forget the minutes of addresses that opened nothing in them."""
        for key in [k for k, window in self._windows.items() if window.empty_at(now_ns)]:
            del self._windows[key]

    def _find_key(self, address: str) -> str | None:
        """Return what an address is counted under, ``None`` when it is exempt."""
        ip = _parse_address(address)
        if ip is None:
            return address  # a peer without an address, such as a Unix socket's: one for all
        if is_within(ip, self._exempt):
            return None
        if isinstance(ip, IPv6Address):
            return str(ip_network((ip, _IPV6_PREFIX), strict=False))
        return str(ip)


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
    current = _parse_address(peer)
    if current is None:
        return peer
    for hop in reversed((forwarded_for or "").split(",")):
        if not is_within(current, trusted_proxies):
            break
        behind = _parse_address(_without_port(hop.strip()))
        if behind is None:
            break
        current = behind
    return str(current)


_remember_address = lru_cache(maxsize=_ADDRESSES_READ)(_find_address)


def is_within(address: IPv4Address | IPv6Address, networks: tuple[Network, ...]) -> bool:
    """Return whether an address lies in one of the networks."""
    return any(address in network for network in networks)


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
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


class UserConnections:
    """The connections of each user, and when each was last heard.

    Args:
        most: connections that a user may hold.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._heard_ns: dict[str, dict[str, int]] = {}
        self._user_of: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._user_of)

    def add(self, user_id: str, sid: str, now_ns: int) -> str | None:
        """Enter a connection.

        Returns:
            The connection to close in its place: the user's longest-silent one. It stays in the
            table until it is removed, but is not named again.
        """
        heard_ns = self._heard_ns.setdefault(user_id, {})
        staying = {other: at_ns for other, at_ns in heard_ns.items() if at_ns != _LEAVING}
        heard_ns[sid] = now_ns
        self._user_of[sid] = user_id
        if len(staying) < self._most:
            return None
        surplus = min(staying, key=staying.__getitem__)
        heard_ns[surplus] = _LEAVING
        return surplus

    def touch(self, sid: str, now_ns: int) -> None:
        """Note that a connection was heard; one that is leaving or gone is not."""
        user_id = self._user_of.get(sid)
        if user_id is not None and self._heard_ns[user_id][sid] != _LEAVING:
            self._heard_ns[user_id][sid] = now_ns

    def remove(self, sid: str) -> None:
        """Take a connection out; one that is not there is fine."""
        user_id = self._user_of.pop(sid, None)
        if user_id is None:
            return
        heard_ns = self._heard_ns[user_id]
        del heard_ns[sid]
        if not heard_ns:
            del self._heard_ns[user_id]

    def of(self, user_id: str) -> tuple[str, ...]:
        """Return the ids of a user's connections, the oldest first."""
        return tuple(self._heard_ns.get(user_id, ()))
