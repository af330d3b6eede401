"""``Backlog``: what one client has not taken yet, and how much of it that may be.

Lossless parcels wait in order and are counted; of a stream that may be conflated only the
newest waits, with the number of the last one that the client did get. Pure.
"""

from __future__ import annotations

from collections import deque

from gateway.transport.parcels import Parcel


class Backlog:
    """The parcels that wait for one client.

    Attributes:
        lossless_bytes: of what must reach it.
        conflated: how many parcels were replaced by newer ones.
    """

    __slots__ = ("_latest", "_lossless", "conflated", "lossless_bytes", "market_bytes")

    def __init__(self) -> None:
        self._lossless: deque[tuple[Parcel, int]] = deque()
        self._latest: dict[tuple[object, ...], tuple[Parcel, object]] = {}
        self.lossless_bytes = 0
        self.market_bytes = 0
        self.conflated = 0

    def __bool__(self) -> bool:
        return bool(self._lossless or self._latest)

    @property
    def size(self) -> int:
        """Bytes that wait, of either kind."""
        return self.lossless_bytes + self.market_bytes

    def add(self, parcel: Parcel, now_ns: int) -> None:
        """Let a parcel wait, in place of an older one of its stream where it has one."""
        key = parcel.key
        if key is None:
            self._lossless.append((parcel, now_ns))
            self.lossless_bytes += len(parcel.frame)
            return
        waiting = self._latest.get(key)
        if waiting is None:
            self._latest[key] = (parcel, parcel.previous)
        else:
            self._latest[key] = (parcel, waiting[1])
            self.market_bytes -= len(waiting[0].frame)
            self.conflated += 1
        self.market_bytes += len(parcel.frame)

    def settle(self, now_ns: int) -> None:
        """Make what may be conflated lossless, so that a parcel added next comes behind it."""
        for parcel, previous in self._latest.values():
            final = parcel.after(previous)
            self._lossless.append((final, now_ns))
            self.lossless_bytes += len(final.frame)
        self._latest.clear()
        self.market_bytes = 0

    def since_ns(self) -> int | None:
        """Return since when the oldest lossless parcel waits, ``None`` when none does."""
        return self._lossless[0][1] if self._lossless else None

    def take(self, most_bytes: int) -> list[Parcel]:
        """Return what is next, lossless first, at least one parcel where one waits.

        Args:
            most_bytes: of frames, together.
        """
        taken: list[Parcel] = []
        size = 0
        while self._lossless and (not taken or size < most_bytes):
            parcel, _ = self._lossless.popleft()
            self.lossless_bytes -= len(parcel.frame)
            size += len(parcel.frame)
            taken.append(parcel)
        while self._latest and (not taken or size < most_bytes):
            key = next(iter(self._latest))
            parcel, previous = self._latest.pop(key)
            self.market_bytes -= len(parcel.frame)
            final = parcel.after(previous)
            size += len(final.frame)
            taken.append(final)
        return taken
