"""``MemoryBroker``: the broker of one process, which keeps everything in its memory."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from gateway.brokers.last_values import LastValues
from gateway.brokers.private_events import PrivateEvents
from gateway.brokers.receipts import Receipts
from gateway.streams import Streams


class MemoryBroker:
    """Numbers and remembers in this process. Another process has another epoch.

    Args:
        epoch: random for each process.
        retention_ns: how long a stream that nobody receives is kept, ns.
        may_return: returns whether a user has a client, or had one within the retention.

    Attributes:
        streams: gives the numbers.
        key: the hash key of the public form's ids, new for each process.
        may_return: the same. Nobody can return to the events of other users.
    """

    def __init__(self, epoch: str, retention_ns: int, may_return: Callable[[str], bool]) -> None:
        self.key = secrets.token_bytes(16)
        self.may_return = may_return
        self._private = PrivateEvents()
        self._values = LastValues()
        self.streams = Streams(epoch, retention_ns, on_symbol_forgotten=self._values.forget)
        self.remember_value = self._values.keep
        self.last_value = self._values.of
        self._receipts = Receipts()
        self.receipt = self._receipts.of
        self.can_keep_receipts = self._receipts.can_keep
        self.keep_receipt = self._receipts.keep
        self.remember_private = self._private.keep
        self.forget_user = self._private.forget

    def missed(self, user_id: str, number: int) -> list[bytes] | None:
        """Return a user's private events after a number, ``None`` if not all are kept."""
        return self._private.after(user_id, number, self.streams.last_user(user_id))

    def sweep(self, now_ns: int) -> int:
        """Forget streams and receipts whose retention has passed."""
        self._receipts.sweep(now_ns)
        return self.streams.sweep(now_ns)

    def entries(self) -> dict[str, int]:
        """Return the number of entries of each table."""
        return {
            "streams": len(self.streams),
            "private_events": len(self._private),
            "last_values": len(self._values),
            "receipts": len(self._receipts),
        }
