"""``LastValues``: the last event of each stream of a symbol, in bytes, for snapshots."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gateway.contract import MAX_VALUES_BYTES

_OVERHEAD: Final = 256  # bytes of memory of a stream beside its event


class LastValues:
    """The last event of each stream of a symbol.

    Args:
        most_bytes: memory for all of them. Above it, the streams that have been silent longest
            are forgotten.
    """

    def __init__(self, most_bytes: int = MAX_VALUES_BYTES) -> None:
        self._most_bytes = most_bytes
        self._events: OrderedDict[str, bytes] = OrderedDict()
        self._memory = 0

    def __len__(self) -> int:
        return len(self._events)

    @property
    def memory(self) -> int:
        """Bytes of memory of all that is kept, estimated."""
        return self._memory

    def keep(self, stream: str, event: bytes) -> None:
        """Keep a stream's newest event in place of the one before.

        Args:
            stream: the stream's id.
            event: the event, in the form in which ``of`` returns it.
        """
        events = self._events
        former = events.get(stream)
        events[stream] = event
        if former is None:
            self._memory += len(event) + _OVERHEAD
        else:
            self._memory += len(event) - len(former)
            events.move_to_end(stream)
        while self._memory > self._most_bytes:
            self.forget(next(iter(events)))

    def streams(self) -> list[str]:
        """Return the streams whose last event is kept."""
        return list(self._events)

    def of(self, stream: str) -> bytes | None:
        """Return a stream's last event, ``None`` if none is kept."""
        return self._events.get(stream)

    def forget(self, stream: str) -> None:
        """Forget a stream's event, if one is kept."""
        event = self._events.pop(stream, None)
        if event is not None:
            self._memory -= len(event) + _OVERHEAD
