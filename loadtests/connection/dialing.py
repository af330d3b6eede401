"""Dialing: from a target to a link that is on its way, plain or TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

import gevent.socket

from loadtests.connection.links import Link, LinkHolder
from loadtests.connection.protocol.handshake import Target
from loadtests.connection.seals import Seal


def dial(
    target: Target,
    holder: LinkHolder,
    *,
    source_address: str | None,
    is_stamped: bool,
    tls: ssl.SSLContext | None,
    clock: Callable[[], int],
    receive_buffer_bytes: int | None = None,
) -> Link | Seal:
    """Begin to connect; the holder hears when the connection stands, or of its failure.

    Args:
        target: where to.
        holder: whose the link is.
        source_address: to connect from; None lets the kernel choose.
        is_stamped: whether the kernel's receive stamps are asked for.
        tls: whom to trust; None takes the machine's authorities.
        clock: nanoseconds, monotonic.
        receive_buffer_bytes: of the socket; None leaves it to the kernel.

    Raises:
        OSError: the name is unknown, or the socket cannot even begin.
    """
    is_ipv4 = source_address is not None and ":" not in source_address
    family, address = _resolve(target.host, target.port, socket.AF_INET if is_ipv4 else 0)
    link: Link | Seal
    if target.secure:
        context = tls or _machine_authorities()
        link = Seal(
            holder,
            context,
            target.host,
            stamped=is_stamped,
            receive_buffer_bytes=receive_buffer_bytes,
            clock=clock,
        )
    else:
        link = Link(
            holder,
            stamped=is_stamped,
            receive_buffer_bytes=receive_buffer_bytes,
            clock=clock,
        )
    link.open(family, address, source_address)
    return link


@lru_cache(maxsize=64)
def _resolve(host: str, port: int, family: int) -> tuple[int, Any]:
    """Return family and address of a name, looked up once: a load goes to one machine."""
    try:
        version = ip_address(host).version
    except ValueError:
        pass  # a name, which a thread of gevent's looks up
    else:
        return (socket.AF_INET if version == 4 else socket.AF_INET6), (host, port)
    found = gevent.socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    return found[0][0], found[0][4]


@lru_cache(maxsize=1)
def _machine_authorities() -> ssl.SSLContext:
    return ssl.create_default_context()
