"""``Broker``: what the gateway needs of the part that numbers publications and remembers them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from gateway.channels import SubscriptionRequest


class AppliedNumbers(Protocol):
    """The last number of every stream, and the rooms that clients of this process hold.

    Attributes:
        epoch: numbers compare only within an epoch.
    """

    epoch: str

    def last(self, stream: str) -> int:
        """Return a stream's last number, 0 when it has none."""

    def last_user(self, user_id: str) -> int:
        """Return the last number of a user's stream."""

    def hold_user(self, user_id: str, now_ns: int) -> None:
        """Note that a client has entered its user's room, which it must ``release``."""

    def hold(self, rooms: Iterable[str]) -> None:
        """Note that a client has entered rooms; it must ``release`` them."""

    def release(self, rooms: Iterable[str], now_ns: int) -> None:
        """Note that a client has left rooms that it held."""

    def held_rooms(self) -> int:
        """Return how many rooms clients hold."""

    def marks(self, request: SubscriptionRequest) -> dict[str, int]:
        """Return ``at`` of a subscription: the last number of each of its streams."""

    def pages(self, size: int) -> Iterator[dict[str, int]]:
        """Yield the last number of every stream, so many a page."""


class Broker(Protocol):
    """Numbers publications, and remembers what returning clients need.

    Applying and remembering a publication is one step that never awaits.
    """

    @property
    def streams(self) -> AppliedNumbers:
        """The last number of every stream, as this process has applied them."""

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

    def last_value(self, stream: str) -> bytes | None:
        """Return the last event of a symbol's stream, encoded; ``None`` if none is kept."""

    def sweep(self, now_ns: int) -> int:
        """Forget streams and receipts whose retention has passed.

        Returns:
            How many streams were forgotten early since the last sweep.
        """

    def entries(self) -> dict[str, int]:
        """Return the number of entries of each table."""
