"""``MemoryBroker``: the broker of one process, which keeps everything in its memory."""

from __future__ import annotations

from collections.abc import Callable

from gateway.brokers.private_events import PrivateEvents
from gateway.streams import Streams


class MemoryBroker:
    """Numbers and remembers in this process. Another process has another epoch.

    Args:
        streams: gives the numbers.
        may_return: returns whether a user has a client, or had one within the retention.

    Attributes:
        streams: the same.
        may_return: the same. Nobody can return to the events of other users.
    """

    def __init__(self, streams: Streams, may_return: Callable[[str], bool]) -> None:
        self.streams = streams
        self.may_return = may_return
        self._private = PrivateEvents()
        self.remember_private = self._private.keep
        self.forget_user = self._private.forget

    def missed(self, user_id: str, number: int) -> list[bytes] | None:
        """Return a user's private events after a number, ``None`` if not all are kept."""
        return self._private.after(user_id, number, self.streams.last_user(user_id))

    def entries(self) -> dict[str, int]:
        """Return the number of entries of each table."""
        return {"streams": len(self.streams), "private_events": len(self._private)}
