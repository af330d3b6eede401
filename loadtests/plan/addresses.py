"""Source addresses: on loopback, one address for each 50 virtual users.

A gateway counts connections by address. On Linux all of 127.0.0.0/8 is loopback, so the users
of one machine need not share an address. A user's address follows from its index alone, and
stays the same after a reconnection.
"""

from __future__ import annotations

import ipaddress
from typing import Final

USERS_PER_ADDRESS: Final = 50
_FIRST: Final = int(ipaddress.IPv4Address("127.1.0.1"))
_LAST_OCTETS: Final = 254  # .1 to .254
MAX_ADDRESSES: Final = 254 * 256 * _LAST_OCTETS  # 127.1.0.1 to 127.254.255.254


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's. No name is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def source_address(host: str, index: int) -> str | None:
    """Return the address that the user of this index connects from.

    Args:
        host: of the target.
        index: of the user, from 0.

    Returns:
        An address in 127.1.0.1 to 127.254.255.254, never 127.0.0.1; None for a
        target that is not on loopback, and for ``::1``, which is a single address.

    Raises:
        ValueError: the index is negative, or beyond the last address.
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
    """Return how many of the users connect from the busiest source address."""
    return users if source_address(host, 0) is None else min(users, USERS_PER_ADDRESS)
