"""``SessionOwner``: what a session needs from its engine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from gateway.transport import frames
from gateway.transport.liveness import LivenessOwner


class SessionOwner(LivenessOwner, Protocol):
    """What a session needs from its engine."""

    frame_limits: frames.FrameLimits

    def receive(self, session: Any, data: str | bytes) -> None:
        """Hand a message to the application."""

    def breach(self, session: Any, what: str, code: int = ...) -> None:
        """Close a session whose client broke the protocol.

        Args:
            session: the session.
            what: what the client did, for the log.
            code: status code of the WebSocket close frame.
        """

    def close(self, session: Any, reason: str) -> None:
        """Close a session and its socket, for a reason that handlers and metrics are told."""

    def held(self, session: Any, added_bytes: int) -> None:
        """Note that a session's queued bytes have changed."""

    def evict(self, session: Any) -> None:
        """Close a client that does not read."""

    def lost(self, session: Any) -> None:
        """Note that a session has lost its socket."""

    def dismiss(self, transport: asyncio.Transport) -> None:
        """Close a socket that belongs to no session."""

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine."""
