"""``AddressAdmission``: limits the sessions of an address, per minute and at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_network
from typing import Final

from gateway.client_address import is_within, parse_address
from gateway.limits.quota import Quota
from gateway.limits.rolling_window import RollingWindow
from gateway.retention import Retention
from gateway.settings import Settings

_MINUTE_S: Final = 60.0
_NS_PER_S: Final = 1e9
_RETRY_WHEN_FULL_S: Final = 5.0  # a guess: the end of a session cannot be foreseen
_IPV6_PREFIX: Final = 64  # the prefix length of one customer
_ADDRESSES_READ: Final = 4_096  # cached addresses
_LOOKS_A_SWEEP: Final = 2_000  # 1 ms


class AddressLimit(StrEnum):
    """The limit that refused a session."""

    CONNECTS_PER_MINUTE = "connects_per_minute"
    CONNECTIONS = "connections_per_address"


@dataclass(frozen=True, slots=True)
class AddressRefusal:
    """An address gets no session now.

    Attributes:
        limit: the exceeded limit, for the answer, the log and the metrics.
        retry_after_s: seconds until the client should try again.
    """

    limit: AddressLimit
    retry_after_s: float


class AddressAdmission:
    """Counts Engine.IO sessions by address, IPv6 by /64.

    Args:
        settings: the limits, and the exempt networks.

    Attributes:
        key: returns the key that an address is counted by, ``None`` if it is exempt.
    """

    def __init__(self, settings: Settings) -> None:
        self._quota = Quota.of(settings.max_connects_per_minute_per_address, _MINUTE_S)
        self._at_once = settings.max_connections_per_address
        self._exempt = settings.address_limit_exempt
        self._windows: dict[str, RollingWindow] = {}
        self._retention = Retention(self._quota.window_ns)
        self._open: dict[str, int] = {}
        self.key = lru_cache(maxsize=_ADDRESSES_READ)(self._find_key)

    def __len__(self) -> int:
        return len(self._windows.keys() | self._open.keys())

    def admit(self, address: str, now_ns: int) -> AddressRefusal | None:
        """Count a new session of an address. ``release`` must be called at its end.

        Returns:
            ``None`` if it is admitted. A refused session is not counted.
        """
        key = self.key(address)
        if key is None:
            return None
        if self._open.get(key, 0) >= self._at_once:
            return AddressRefusal(AddressLimit.CONNECTIONS, _RETRY_WHEN_FULL_S)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = RollingWindow(*self._quota)
            self._retention.add(key, now_ns + self._quota.window_ns)
        wait_ns = window.admit(now_ns)
        if wait_ns:
            return AddressRefusal(AddressLimit.CONNECTS_PER_MINUTE, wait_ns / _NS_PER_S)
        self._open[key] = self._open.get(key, 0) + 1
        return None

    def release(self, address: str) -> None:
        """Count the end of a session.

        Raises:
            KeyError: the address has no session.
        """
        key = self.key(address)
        if key is None:
            return
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]

    def sweep(self, now_ns: int) -> None:
        """Forget addresses that opened no session within the last minute."""
        for key in self._retention.take_due(now_ns, _LOOKS_A_SWEEP):
            due_ns = self._windows[key].empty_from_ns()
            if due_ns > now_ns:
                self._retention.add(key, due_ns)
            else:
                del self._windows[key]

    def _find_key(self, address: str) -> str | None:
        """Return the key that an address is counted by, ``None`` if it is exempt."""
        ip = parse_address(address)
        if ip is None:
            return address  # peers without an address, such as Unix sockets, share one key
        if is_within(ip, self._exempt):
            return None
        if isinstance(ip, IPv6Address):
            return str(ip_network((ip, _IPV6_PREFIX), strict=False))
        return str(ip)
