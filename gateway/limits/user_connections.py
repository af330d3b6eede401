"""``UserConnections``: limits the connections of a user, and chooses which one to close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LEAVING: Final = -1


class UserConnections:
    """The connections of each user, and the time of each one's last event.

    Args:
        most: how many connections a user may have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._heard_ns: dict[str, dict[str, int]] = {}
        self._user_of: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._user_of)

    def add(self, user_id: str, sid: str, now_ns: int, elsewhere: int = 0) -> str | None:
        """Add a connection.

        Args:
            user_id: the user.
            sid: the connection.
            now_ns: the time, monotonic ns.
            elsewhere: the user's connections to other nodes.

        Returns:
            The connection to close instead, the longest-silent one of the user here; ``None`` if
            there is room, or no other one here. It stays in the table until it is removed, but
            is not returned again.
        """
        heard_ns = self._heard_ns.setdefault(user_id, {})
        staying = sum(at_ns != _LEAVING for at_ns in heard_ns.values()) if heard_ns else 0
        surplus = None if staying + elsewhere < self._most else self.give_way(user_id)
        heard_ns[sid] = now_ns
        self._user_of[sid] = user_id
        return surplus

    def give_way(self, user_id: str) -> str | None:
        """Return a user's longest-silent connection, to be closed; ``None`` if there is none."""
        heard_ns = self._heard_ns.get(user_id, {})
        staying = {sid: at_ns for sid, at_ns in heard_ns.items() if at_ns != _LEAVING}
        if not staying:
            return None
        surplus = min(staying, key=staying.__getitem__)
        heard_ns[surplus] = _LEAVING
        return surplus

    def by_user(self) -> Mapping[str, Mapping[str, int]]:
        """Return the connections of each user, each with its last event, monotonic ns."""
        return self._heard_ns

    def touch(self, sid: str, now_ns: int) -> None:
        """Note an event of a connection, unless it is closing or removed."""
        user_id = self._user_of.get(sid)
        if user_id is not None and self._heard_ns[user_id][sid] != _LEAVING:
            self._heard_ns[user_id][sid] = now_ns

    def remove(self, sid: str) -> None:
        """Remove a connection, if it is there."""
        user_id = self._user_of.pop(sid, None)
        if user_id is None:
            return
        heard_ns = self._heard_ns[user_id]
        del heard_ns[sid]
        if not heard_ns:
            del self._heard_ns[user_id]

    def of(self, user_id: str) -> tuple[str, ...]:
        """Return the ids of a user's connections, oldest first."""
        return tuple(self._heard_ns.get(user_id, ()))
