"""``Broker``: what the gateway needs of the part that numbers publications and remembers them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from gateway.streams import Streams


class Broker(Protocol):
    """Numbers publications, and remembers what returning clients need.

    Numbering and remembering a publication is one step that never awaits.

    Attributes:
        streams: the last number of every stream, as this process has applied them.
    """

    streams: Streams

    def may_return(self, user_id: str) -> bool:
        """Return whether a user has a client, or had one within the retention."""

    def remember_private(self, user_id: str, number: int, packet: bytes) -> None:
        """Keep a private event for the user's clients that return.

        Args:
            user_id: the user.
            number: the event's number in the user's stream.
            packet: the event, encoded.
        """

    def missed(self, user_id: str, number: int) -> list[bytes] | None:
        """Return a user's private events after a number, in order.

        Returns:
            The encoded events, ``None`` if they cannot all be returned.
        """

    def forget_user(self, user_id: str) -> None:
        """Forget the private events of a user whose retention has passed."""

    def remember_value(self, stream: str, packet: bytes) -> None:
        """Keep the newest event of a symbol's stream for snapshots.

        Args:
            stream: the stream's id.
            packet: the event, encoded.
        """

    def last_value(self, stream: str) -> bytes | None:
        """Return the last event of a symbol's stream, encoded; ``None`` if none is kept."""

    def receipt(self, publication_id: str, now_ns: int) -> dict[str, Any] | None:
        """Return the receipt of a publication of the last minute, ``None`` if there is none.

        Args:
            publication_id: the ``id`` that its publisher gave it.
            now_ns: the time, monotonic ns.
        """

    def can_keep_receipts(self, publication_ids: Collection[str], now_ns: int) -> bool:
        """Return whether the receipts of all these publications can be kept.

        Args:
            publication_ids: their ids.
            now_ns: the time, monotonic ns.
        """

    def keep_receipt(self, publication_id: str, receipt: dict[str, Any], now_ns: int) -> None:
        """Keep the receipt of a publication for a minute.

        Args:
            publication_id: its id.
            receipt: its receipt.
            now_ns: the time, monotonic ns.
        """

    def sweep(self, now_ns: int) -> int:
        """Forget streams and receipts whose retention has passed.

        Returns:
            How many streams were forgotten early since the last sweep.
        """

    def entries(self) -> dict[str, int]:
        """Return the number of entries of each table."""
