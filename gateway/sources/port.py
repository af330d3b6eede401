"""``EventSource``: what the gateway needs of a part that publishes events by itself."""

from __future__ import annotations

from typing import Protocol


class EventSource(Protocol):
    """Publishes events like any other publisher, from ``start`` until ``stop``.

    Attributes:
        name: its name in the log.
    """

    name: str

    async def start(self) -> None:
        """Begin. The gateway listens by then.

        Raises:
            SourceFailed: it cannot begin. The message says what to change.
        """

    async def stop(self) -> None:
        """End every task and close every connection. Nothing is published afterwards."""
