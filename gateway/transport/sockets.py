"""Facts and options of the socket under an asyncio transport."""

from __future__ import annotations

import asyncio
import errno
import socket
from ipaddress import ip_address
from typing import Final

_NOTSENT_LOWAT: Final = 16_384
_TCP_NOTSENT_LOWAT: Final = 25  # Linux, <netinet/tcp.h>; the socket module of 3.11 has no name
_NO_IPV6: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_MAPPED: Final = "::ffff:"  # an IPv4 peer of a socket that listens on both families
BACKLOG: Final = 4_096


def listen(host: str, port: int, *, shares_port: bool = False) -> socket.socket:
    """Return a listening socket. A wildcard of either family listens on both.

    Args:
        host: an address or the name of a host.
        port: the port, 0 for a free one.
        shares_port: whether other processes of the user may listen on the port too.

    Raises:
        OSError: the address is in use, or not one of this machine.
    """
    if is_wildcard(host) and socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("::", port),
                family=socket.AF_INET6,
                backlog=BACKLOG,
                reuse_port=shares_port,
                dualstack_ipv6=True,
            )
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
    if is_wildcard(host):  # this machine has no IPv6
        host = "0.0.0.0"  # noqa: S104 - as the caller says
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server(
        (host, port), family=family, backlog=BACKLOG, reuse_port=shares_port
    )


def hold_port(host: str, port: int) -> socket.socket:
    """Return a socket that holds a port for processes that share it, and gets no connection.

    Args:
        host: an address or the name of a host.
        port: the port, 0 for a free one.

    Raises:
        OSError: the address is in use, also by processes that share it, or not one of this
            machine.
    """
    with listen(host, port) as probe:  # alone, so a second supervisor finds the port in use
        held = socket.socket(probe.family, socket.SOCK_STREAM)
        if probe.family == socket.AF_INET6:
            only = probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        address = probe.getsockname()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(address)
    return held


def url_of(host: str, listener: socket.socket, *, is_secure: bool) -> str:
    """Return the URL of a listener, with its real port.

    Args:
        host: the host that it was told to listen on.
        listener: the listening socket.
        is_secure: whether it speaks TLS.
    """
    address, port = listener.getsockname()[:2]
    if not is_wildcard(host):
        host = address
    scheme = "https" if is_secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_wildcard(host: str) -> bool:
    """Return whether a host means every address of the machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def peer_of(transport: asyncio.BaseTransport) -> str:
    """Return the address of the other end, "" if it has none."""
    peer = transport.get_extra_info("peername")
    return unmapped(str(peer[0])) if isinstance(peer, tuple) and peer else ""


def accept_waiting(listener: socket.socket) -> list[socket.socket]:
    """Accept the connections in a listener's queue; its close would reset them.

    Args:
        listener: the listening socket, not blocking.

    Returns:
        The connections, not blocking.
    """
    waiting: list[socket.socket] = []
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:  # the queue is empty
            return waiting
        accepted.setblocking(False)
        waiting.append(accepted)


def unmapped(address: str) -> str:
    """Return an address; that of an IPv4 peer without the prefix of a socket of both families."""
    return address.removeprefix(_MAPPED) if "." in address else address


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
