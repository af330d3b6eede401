"""``UserWindows``: the rolling window of each user, shared by the user's connections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    Attributes:
        past_of: returns when a user that comes sent events to other nodes, monotonic ns.
    """

    def __init__(self, quota: Quota, retention_ns: int) -> None:
        self.past_of: Callable[[str], Sequence[int]] = lambda _user_id: ()
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
            window.add_past(self.past_of(user_id))
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

    def times_after(self, user_id: str, since_ns: int) -> list[int]:
        """Return when events of a user were counted after a time, the newest first.

        Args:
            user_id: the user.
            since_ns: the time, monotonic ns.
        """
        window = self._windows.get(user_id)
        return [] if window is None else window.times_after(since_ns)

    def add_past(self, user_id: str, times_ns: Sequence[int]) -> None:
        """Count events that a user sent to other nodes, if the user is known here.

        Args:
            user_id: the user.
            times_ns: when, monotonic ns.
        """
        window = self._windows.get(user_id)
        if window is not None:
            window.add_past(times_ns)

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
