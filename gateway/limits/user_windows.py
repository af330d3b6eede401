"""``UserWindows``: the rolling window of each user, shared by the user's connections."""

from __future__ import annotations

from typing import Final

from gateway.limits.quota import Quota
from gateway.limits.rolling_window import RollingWindow
from gateway.retention import Retention

_LOOKS_A_SWEEP: Final = 2_000  # 1 ms


class UserWindows:
    """The rolling windows of users, kept for a while after a user's last connection.

    Args:
        quota: the quota of a user over all connections.
        retention_ns: how long a window is kept after the user's last connection, ns. A window
            that still has events is kept longer.
    """

    def __init__(self, quota: Quota, retention_ns: int) -> None:
        self._quota = quota
        self._retention_ns = retention_ns
        self._retention = Retention(retention_ns)
        self._windows: dict[str, RollingWindow] = {}
        self._holders: dict[str, int] = {}
        self._idle_since_ns: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def __contains__(self, user_id: str) -> bool:
        """Return whether a user is connected, or was within the retention."""
        return user_id in self._windows

    def acquire(self, user_id: str, now_ns: int) -> RollingWindow:
        """Return a user's window for a new connection. ``release`` must be called at its end."""
        self._idle_since_ns.pop(user_id, None)
        self._holders[user_id] = self._holders.get(user_id, 0) + 1
        window = self._windows.get(user_id)
        if window is None:
            window = self._windows[user_id] = RollingWindow(*self._quota)
            self._retention.add(user_id, now_ns + self._retention_ns)
        return window

    def release(self, user_id: str, now_ns: int) -> None:
        """Note the end of a user's connection.

        Raises:
            KeyError: the user has no connection.
        """
        self._holders[user_id] -= 1
        if self._holders[user_id] == 0:
            del self._holders[user_id]
            self._idle_since_ns[user_id] = now_ns

    def charged(self, user_id: str, since_ns: int) -> int:
        """Return how many events of a user were counted after a time.

        Args:
            user_id: the user.
            since_ns: the time, monotonic ns.
        """
        window = self._windows.get(user_id)
        return 0 if window is None else window.charged(since_ns)

    def charge(self, user_id: str, events: int, now_ns: int) -> None:
        """Count events that a user sent to other nodes, if the user is known here.

        Args:
            user_id: the user.
            events: how many.
            now_ns: the time, monotonic ns.
        """
        window = self._windows.get(user_id)
        if window is not None:
            window.charge_many(events, now_ns)

    def sweep(self, now_ns: int) -> list[str]:
        """Forget users after the retention, if their window is empty, and return them."""
        forgotten = []
        for user_id in self._retention.take_due(now_ns, _LOOKS_A_SWEEP):
            since_ns = self._idle_since_ns.get(user_id, now_ns + 1)
            due_ns = max(since_ns + self._retention_ns, self._windows[user_id].empty_from_ns())
            if due_ns > now_ns:
                self._retention.add(user_id, due_ns)
            else:
                del self._idle_since_ns[user_id], self._windows[user_id]
                forgotten.append(user_id)
        return forgotten
