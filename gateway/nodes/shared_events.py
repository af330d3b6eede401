"""``SharedEvents``: the events of users that this node told the others, and those that it heard.

Each node tells an event once: while its user is on other nodes too, or once the user has left. So a
limit follows a user from node to node, and no event counts twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.limits.user_windows import UserWindows
from gateway.retention import Retention

AgedEvents = Sequence[Sequence[int]]
"""Pairs: the age of events, ms, and how many there are of it."""
_STEP_MS: Final = 100
_NS_PER_MS: Final = 1_000_000
_LOOKS_A_TIME: Final = 2_000


class SharedEvents:
    """Tells and hears the events that count to the limit of a user.

    Args:
        windows: the windows of this node's users.
        window_ns: their length, ns.
    """

    def __init__(self, windows: UserWindows, window_ns: int) -> None:
        self._windows = windows
        self._window_ns = window_ns
        self._told_ns: dict[str, int] = {}
        self._heard_ns: dict[str, list[int]] = {}
        self._retention = Retention(window_ns)
        windows.past_of = lambda user_id: self._heard_ns.get(user_id, ())

    def tell(self, users: Iterable[str], now_ns: int) -> dict[str, AgedEvents]:
        """Return the events of users that count and were not told yet.

        Args:
            users: the users.
            now_ns: the time, monotonic ns.
        """
        self._forget(now_ns)
        told: dict[str, AgedEvents] = {}
        for user_id in users:
            since_ns = max(self._told_ns.get(user_id, 0), now_ns - self._window_ns)
            times_ns = self._windows.times_after(user_id, since_ns)
            if not times_ns:
                continue
            self._keep(user_id, now_ns)
            self._told_ns[user_id] = now_ns
            ages: Counter[int] = Counter()
            own = Counter(times_ns) - Counter(self._heard_ns.get(user_id, ()))
            for time_ns, count in own.items():
                ages[(now_ns - time_ns) // _NS_PER_MS // _STEP_MS * _STEP_MS] += count
            if ages:
                told[user_id] = [list(pair) for pair in sorted(ages.items())]
        return told

    def hear(self, user_id: str, events: AgedEvents, now_ns: int) -> None:
        """Count what another node tells, also of a user that is not here yet.

        Args:
            user_id: the user.
            events: the events.
            now_ns: the time, monotonic ns.
        """
        times_ns = [now_ns - age * _NS_PER_MS for age, count in events for _ in range(count)]
        self._keep(user_id, now_ns)
        first_ns = now_ns - self._window_ns
        known = (time for time in self._heard_ns.get(user_id, ()) if time > first_ns)
        self._heard_ns[user_id] = [*known, *times_ns]
        self._windows.add_past(user_id, times_ns)

    def _keep(self, user_id: str, now_ns: int) -> None:
        if user_id not in self._told_ns and user_id not in self._heard_ns:
            self._retention.add(user_id, now_ns + self._window_ns)

    def _forget(self, now_ns: int) -> None:
        for user_id in self._retention.take_due(now_ns, _LOOKS_A_TIME):
            last_ns = max([self._told_ns.get(user_id, 0), *self._heard_ns.get(user_id, ())])
            if last_ns + self._window_ns > now_ns:
                self._retention.add(user_id, last_ns + self._window_ns)
            else:
                self._told_ns.pop(user_id, None)
                self._heard_ns.pop(user_id, None)
