"""``UserConnections``: limits the connections of a user, and chooses which one to close."""

from __future__ import annotations

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

    def add(self, user_id: str, sid: str, now_ns: int) -> str | None:
        """Add a connection.

        Args:
            user_id: the user.
            sid: the connection.
            now_ns: the time, monotonic ns.

        Returns:
            The connection to close instead, the longest-silent one of the user; ``None`` if
            there is room. It stays in the table until it is removed, but is not returned again.
        """
        heard_ns = self._heard_ns.setdefault(user_id, {})
        staying = {other: at_ns for other, at_ns in heard_ns.items() if at_ns != _LEAVING}
        heard_ns[sid] = now_ns
        self._user_of[sid] = user_id
        if len(staying) < self._most:
            return None
        surplus = min(staying, key=staying.__getitem__)
        heard_ns[surplus] = _LEAVING
        return surplus

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
