"""``Backlog``: the parcels that are queued for one client.

Lossless parcels are queued in order, and their bytes are counted. A conflated stream keeps
only its newest parcel and the number of the last one that the client received. Pure.
"""

from __future__ import annotations

from collections import deque

from gateway.transport.parcels import Parcel


class Backlog:
    """The parcels that are queued for one client.

    Attributes:
        lossless_bytes: queued bytes that must reach the client.
        market_bytes: queued bytes that newer ones may replace.
        conflated: parcels replaced by newer ones so far.
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
        """Queued bytes of both kinds."""
        return self.lossless_bytes + self.market_bytes

    def add(self, parcel: Parcel, now_ns: int) -> None:
        """Queue a parcel, in place of the older one of its stream if there is one."""
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
        """Make the conflated parcels lossless, so that the next parcel cannot overtake them."""
        for parcel, previous in self._latest.values():
            final = parcel.after(previous)
            self._lossless.append((final, now_ns))
            self.lossless_bytes += len(final.frame)
        self._latest.clear()
        self.market_bytes = 0

    def since_ns(self) -> int | None:
        """Return when the oldest lossless parcel was queued, ``None`` when there is none."""
        return self._lossless[0][1] if self._lossless else None

    def take(self, most_bytes: int) -> list[Parcel]:
        """Return the next parcels, lossless first; at least one unless the queue is empty.

        Args:
            most_bytes: bytes of frames after which to stop.
        """
        taken: list[Parcel] = []
        size = 0
        while self._lossless and (not taken or size < most_bytes):
            parcel, _ = self._lossless.popleft()
            self.lossless_bytes -= len(parcel.frame)
            size += len(parcel.frame)
            taken.append(parcel)
        gone: list[tuple[object, ...]] = []
        for key, (parcel, previous) in self._latest.items():
            if taken and size >= most_bytes:
                break
            gone.append(key)
            self.market_bytes -= len(parcel.frame)
            final = parcel.after(previous)
            size += len(final.frame)
            taken.append(final)
        for key in gone:  # not one by one: finding the first key scans all that were removed
            del self._latest[key]
        return taken
