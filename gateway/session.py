"""Sessions: the connected clients, each with its identity and its limits."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.auth import Identity
from gateway.limits.event_limiter import EventLimiter


@dataclass(slots=True)
class Session:
    """One connected client.

    Attributes:
        sid: its id, which the client knows as ``socket.id``.
        identity: who it is; a refreshed token replaces it.
        address: the client's, as the front door found it.
        connected_at_ns: monotonic, ns.
        limiter: decides about its events.
        expiring_told: it was told that this token is about to expire.
        closing_reason: why the gateway is closing it, once it is.
    """

    sid: str
    identity: Identity
    address: str
    connected_at_ns: int
    limiter: EventLimiter
    expiring_told: bool = False
    closing_reason: str | None = None


class Sessions:
    """The table of connected clients. ``UserConnections`` knows them by user."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    def add(self, session: Session) -> None:
        """Enter a client.

        Raises:
            ValueError: its id is in the table already.
        """
        if session.sid in self._sessions:
            raise ValueError(f"the client {session.sid} is in the table already")
        self._sessions[session.sid] = session

    def get(self, sid: str) -> Session | None:
        """Return a client, ``None`` when it is not connected."""
        return self._sessions.get(sid)

    def remove(self, sid: str) -> Session | None:
        """Take a client out and return it, ``None`` when it was not there."""
        return self._sessions.pop(sid, None)

    def page(self, limit: int, cursor: str | None = None) -> tuple[list[Session], str | None]:
        """Return clients in the order of their ids, and where the next page begins.

        Who stays connected while the pages are read is on exactly one of them.

        Args:
            limit: clients a page, at least 1.
            cursor: what the page before returned; ``None`` for the first.

        Returns:
            The page, and the cursor of the next one, ``None`` after the last.
        """
        after = cursor or ""
        sids = heapq.nsmallest(limit + 1, (sid for sid in self._sessions if sid > after))
        page = [self._sessions[sid] for sid in sids[:limit]]
        return page, sids[limit - 1] if len(sids) > limit else None
