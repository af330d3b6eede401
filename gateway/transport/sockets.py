"""Facts and options of the socket under an asyncio transport."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

_NOTSENT_LOWAT: Final = 16_384
_TCP_NOTSENT_LOWAT: Final = 25  # Linux, <netinet/tcp.h>; the socket module of 3.11 has no name


def peer_of(transport: asyncio.BaseTransport) -> str:
    """Return the address of the other end, "" if it has none."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


def scheme_of(transport: asyncio.BaseTransport) -> str:
    """Return ``https`` for a TLS transport, else ``http``."""
    return "http" if transport.get_extra_info("sslcontext") is None else "https"


def bound_accepted(listener: socket.socket) -> bool:
    """Bound the unsent bytes in the kernel for every socket that a listener accepts.

    Returns:
        Whether the sockets inherit the option. Otherwise each needs ``bound_kernel``.
    """
    try:
        listener.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _NOTSENT_LOWAT)
    except OSError:  # not TCP, or not Linux
        return False
    return True


def bound_kernel(transport: asyncio.BaseTransport) -> None:
    """Bound the unsent bytes in the kernel. The rest is queued, and bounded, in this process."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    try:
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _NOTSENT_LOWAT)
    except OSError:  # not TCP, or not Linux: a small send buffer has nearly the same effect
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _NOTSENT_LOWAT)
