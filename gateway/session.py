"""``Sessions``: the connected clients, each with its identity and its limits."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gateway.auth import Identity
from gateway.limits.event_limiter import EventLimiter


class Returning(NamedTuple):
    """What a returning client says, of any JSON type: its last number and the epoch of it."""

    number: object
    epoch: object


@dataclass(slots=True)
class Session:
    """One connected client.

    Attributes:
        sid: its id, the client's ``socket.id``.
        identity: the identity of its token.
        address: the client's address, as the front door found it.
        connected_at_ns: the time of its connection, monotonic ns.
        limiter: the limits of its events.
        expiring_told: it was told that this token expires soon.
        closing_reason: why the gateway is closing it, ``None`` if it is not.
        returning: what it said of an earlier connection, until it has been welcomed.
    """

    sid: str
    identity: Identity
    address: str
    connected_at_ns: int
    limiter: EventLimiter
    expiring_told: bool = False
    closing_reason: str | None = None
    returning: Returning | None = None


class Sessions:
    """The connected clients by id. ``UserConnections`` has them by user."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    def add(self, session: Session) -> None:
        """Add a client.

        Raises:
            ValueError: its id is in the table already.
        """
        if session.sid in self._sessions:
            raise ValueError(f"the client {session.sid} is in the table already")
        self._sessions[session.sid] = session

    def get(self, sid: str) -> Session | None:
        """Return a client, ``None`` if it is not connected."""
        return self._sessions.get(sid)

    def remove(self, sid: str) -> Session | None:
        """Remove a client and return it, ``None`` if it was not connected."""
        return self._sessions.pop(sid, None)

    def page(self, limit: int, cursor: str | None = None) -> tuple[list[Session], str | None]:
        """Return a page of clients in the order of their ids, and the cursor of the next page.

        A client that stays connected while all pages are read is on exactly one of them.

        Args:
            limit: how many clients, at least 1.
            cursor: the cursor that the previous page returned, ``None`` for the first page.

        Returns:
            The page, and the cursor of the next one, ``None`` after the last page.
        """
        after = cursor or ""
        sids = heapq.nsmallest(limit + 1, (sid for sid in self._sessions if sid > after))
        page = [self._sessions[sid] for sid in sids[:limit]]
        return page, sids[limit - 1] if len(sids) > limit else None
