"""Source addresses: on loopback each 50 virtual users come from one of their own.

A gateway counts connections by address. All of 127.0.0.0/8 is loopback on
Linux, so users on one machine need not look like one visitor. A user's address
follows from its index alone: it is the same after a reconnect.
"""

from __future__ import annotations

import ipaddress
from typing import Final

USERS_PER_ADDRESS: Final = 50
_FIRST: Final = int(ipaddress.IPv4Address("127.1.0.1"))
_LAST_OCTETS: Final = 254  # .1 to .254
MAX_ADDRESSES: Final = 254 * 256 * _LAST_OCTETS  # 127.1.0.1 to 127.254.255.254


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine by its name or address; no name is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def source_address(host: str, index: int) -> str | None:
    """Return where the user of this index connects from.

    Args:
        host: the target's.
        index: the user's, from 0.

    Returns:
        An address in 127.1.0.1 to 127.254.255.254, never 127.0.0.1; None for a
        target that is not on loopback, and for ``::1``, which is a single address.

    Raises:
        ValueError: the index is negative or there is no such address.
    """
    number = index // USERS_PER_ADDRESS
    if not 0 <= number < MAX_ADDRESSES:
        raise ValueError(
            f"user {index} has no source address; 0 to {MAX_ADDRESSES * USERS_PER_ADDRESS - 1} have"
        )
    if not is_loopback(host) or ":" in host:
        return None
    block, octet = divmod(number, _LAST_OCTETS)
    return str(ipaddress.IPv4Address(_FIRST + (block << 8) + octet))


def users_by_address(host: str, users: int) -> int:
    """Return how many of so many users the busiest source address carries."""
    return users if source_address(host, 0) is None else min(users, USERS_PER_ADDRESS)
