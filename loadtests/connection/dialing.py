"""Start a connection to a target, plain or TLS."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Any

import gevent.socket

from loadtests.connection.links import Link, LinkHolder
from loadtests.connection.protocol.handshake import Target
from loadtests.connection.seals import Seal
from loadtests.connection.trust import machine_authorities


def dial(
    target: Target,
    holder: LinkHolder,
    *,
    source_address: str | None,
    tls: ssl.SSLContext | None,
    is_stamped: bool = False,
    receive_buffer_bytes: int | None = None,
    clock: Callable[[], int] = time.monotonic_ns,
) -> Link:
    """Begin to connect; the holder is told of the connection or of its failure.

    Args:
        target: host, port and whether to use TLS.
        holder: receives the link's callbacks.
        source_address: the local address; None lets the kernel choose.
        tls: the trust settings; None uses the machine's authorities.
        is_stamped: whether to ask for the kernel's receive stamps.
        receive_buffer_bytes: of the socket; None leaves it to the kernel.
        clock: the monotonic clock, ns.

    Raises:
        OSError: the host name is unknown, or the connection cannot begin.
    """
    is_ipv4 = source_address is not None and ":" not in source_address
    family, address = _resolve(target.host, target.port, socket.AF_INET if is_ipv4 else 0)
    kind: Callable[..., Link] = Link
    if target.secure:
        kind = partial(Seal, context=tls or machine_authorities(), host=target.host)
    link = kind(holder, stamped=is_stamped, receive_buffer_bytes=receive_buffer_bytes, clock=clock)
    link.open(family, address, source_address)
    return link


@lru_cache(maxsize=64)
def _resolve(host: str, port: int, family: int) -> tuple[int, Any]:
    """Return family and address of a host; cached, as a load has one target."""
    try:
        version = ip_address(host).version
    except ValueError:
        pass  # a host name: gevent looks it up in a thread
    else:
        return (socket.AF_INET if version == 4 else socket.AF_INET6), (host, port)
    found = gevent.socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    return found[0][0], found[0][4]
