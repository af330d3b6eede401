"""How many sessions an address may open in a minute, and hold at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_network
from typing import Final

from gateway.client_address import is_within, parse_address
from gateway.limits.quota import Quota
from gateway.limits.rolling_window import RollingWindow
from gateway.settings import Settings

_MINUTE_S: Final = 60.0
_NS_PER_S: Final = 1e9
_RETRY_WHEN_FULL_S: Final = 5.0  # nobody knows when a place becomes free
_IPV6_PREFIX: Final = 64  # what one customer is given
_ADDRESSES_READ: Final = 4_096  # remembered as read: a client's is asked for again and again


class AddressLimit(StrEnum):
    """Why an address was refused a session."""

    CONNECTS_PER_MINUTE = "connects_per_minute"
    CONNECTIONS = "connections_per_address"


@dataclass(frozen=True, slots=True)
class AddressRefusal:
    """Why an address gets no session now.

    Attributes:
        limit: the limit, for answer, log and metrics.
        retry_after_s: when to come back, s.
    """

    limit: AddressLimit
    retry_after_s: float


class AddressAdmission:
    """Counts Engine.IO sessions by address; IPv6 by /64.

    Args:
        settings: sessions a minute, sessions at once, and the networks that are exempt.
    """

    def __init__(self, settings: Settings) -> None:
        self._quota = Quota.of(settings.max_connects_per_minute_per_address, _MINUTE_S)
        self._at_once = settings.max_connections_per_address
        self._exempt = settings.address_limit_exempt
        self._windows: dict[str, RollingWindow] = {}
        self._open: dict[str, int] = {}
        self._key = lru_cache(maxsize=_ADDRESSES_READ)(self._find_key)

    def __len__(self) -> int:
        return len(self._windows.keys() | self._open.keys())

    def admit(self, address: str, now_ns: int) -> AddressRefusal | None:
        """Give an address a place, which ``release`` returns, or say why not.

        Returns:
            ``None`` when it was admitted. A refused one is charged nothing.
        """
        key = self._key(address)
        if key is None:
            return None
        if self._open.get(key, 0) >= self._at_once:
            return AddressRefusal(AddressLimit.CONNECTIONS, _RETRY_WHEN_FULL_S)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = RollingWindow(*self._quota)
        wait_ns = window.admit(now_ns)
        if wait_ns:
            return AddressRefusal(AddressLimit.CONNECTS_PER_MINUTE, wait_ns / _NS_PER_S)
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
        ip = parse_address(address)
        if ip is None:
            return address  # a peer without an address, such as a Unix socket's: one for all
        if is_within(ip, self._exempt):
            return None
        if isinstance(ip, IPv6Address):
            return str(ip_network((ip, _IPV6_PREFIX), strict=False))
        return str(ip)
