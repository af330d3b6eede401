"""``DescriptorReserve``: the last descriptors of the process, kept for health and metrics."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Final, Protocol

_STANDARD_ERROR: Final = 2
_MOST_RESERVED: Final = 64
_SHARE: Final = 8  # at most an eighth of all descriptors
_NS_PER_MINUTE: Final = 60_000_000_000


class _Waiting(Protocol):
    """A connection whose first request head is incomplete."""

    def abort(self) -> None: ...


class DescriptorReserve:
    """Tells which connections got one of the last descriptors, and which requests may use them.

    The kernel gives a connection the lowest free number, so a number in the reserve means that
    all numbers below are in use.

    Args:
        limit: descriptors that the process may open.
        paths: beginnings of the paths that are served from the reserve.
        now_ns: the clock, monotonic ns.
        warn: told the limit and the refused connections since it was told last, at most once a
            minute.
    """

    def __init__(
        self,
        limit: int,
        *,
        paths: Iterable[str],
        now_ns: Callable[[], int],
        warn: Callable[[int, int], None],
    ) -> None:
        self._limit = limit
        self._size = min(_MOST_RESERVED, limit // _SHARE)
        self._begins = limit - self._size
        self._paths = tuple(paths)
        self._now_ns = now_ns
        self._warn = warn
        self._waiting: dict[_Waiting, None] = {}
        self._refused = 0
        self._warn_from_ns = 0
        self._unlooked = 0  # connections that may come before the next look

    def holds(self, connection: _Waiting, transport: asyncio.BaseTransport) -> bool:
        """Return whether a new connection has a descriptor of the reserve.

        The connection that has been waiting longest is aborted for it if the reserve is half
        full, so silent connections do not use it up.
        """
        if self._unlooked:
            self._unlooked -= 1
            return False
        # The transport keeps the socket object that it makes, so it is asked only when it matters.
        free = _lowest_free(self._begins)
        if free < self._begins:
            self._unlooked = (self._begins - free) // 2  # the other half is for other descriptors
            return False
        if transport.get_extra_info("socket").fileno() < self._begins:
            return False
        if len(self._waiting) >= max(1, self._size // 2):
            oldest = next(iter(self._waiting))
            self.forget(oldest)
            oldest.abort()
            self.refused()
        self._waiting[connection] = None
        return True

    def forget(self, connection: _Waiting) -> None:
        """Forget a connection whose head is complete, or that is closed."""
        self._waiting.pop(connection, None)

    def serves(self, path: str) -> bool:
        """Return whether a request for this path may use a descriptor of the reserve."""
        return path.startswith(self._paths)

    def refused(self) -> None:
        """Count a refused connection."""
        self._refused += 1
        now_ns = self._now_ns()
        if now_ns >= self._warn_from_ns:
            self._warn(self._limit, self._refused)
            self._refused = 0
            self._warn_from_ns = now_ns + _NS_PER_MINUTE


def _lowest_free(otherwise: int) -> int:
    """Return the lowest free descriptor, ``otherwise`` if that cannot be told."""
    try:
        descriptor = os.dup(_STANDARD_ERROR)
    except OSError:  # all are in use
        return otherwise
    os.close(descriptor)
    return descriptor
