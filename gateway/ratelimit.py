"""Rolling limits: at most so many events in any window, whatever their spacing.

A fixed window lets twice its limit through around its edge; these windows end at every
event. A window costs memory only once something was sent.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.contract import ClientEvent, LimitName
from gateway.settings import Settings

_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000
_MINUTE_NS: Final = 60 * _NS_PER_S
_FIRST_CAPACITY: Final = 4

_OWN_LIMITS: Final[dict[str, LimitName]] = {
    ClientEvent.PING: LimitName.PING,
    ClientEvent.TOKEN_REFRESH: LimitName.TOKEN_REFRESH,
    ClientEvent.LLM_STREAM_CANCEL: LimitName.LLM_STREAM_CANCEL,
}
"""Events with a limit of their own: charged to it alone."""


class RollingWindow:
    """Accepts exactly ``limit`` events in any window (t − window, t].

    The times of accepted events stand in a ring that is made at the first one and grows
    by need, up to ``limit``.

    Args:
        limit: events, at least 1.
        window_ns: length of the window, ns.
    """

    __slots__ = ("_count", "_head", "_limit", "_times_ns", "_window_ns")

    def __init__(self, limit: int, window_ns: int) -> None:
        self._limit = limit
        self._window_ns = window_ns
        self._times_ns: array[int] | None = None
        self._head = 0
        self._count = 0

    def admit(self, now_ns: int) -> int:
        """Accept an event, or say when one would pass.

        Returns:
            0 when it was accepted and counts; otherwise ns until one would be.
        """
        wait_ns = self.wait_ns(now_ns)
        if wait_ns == 0:
            self.charge(now_ns)
        return wait_ns

    def wait_ns(self, now_ns: int) -> int:
        """Return ns until an event would be accepted, 0 for now; charges nothing."""
        self._forget(now_ns)
        if self._count < self._limit or self._times_ns is None:
            return 0
        return self._times_ns[self._head] + self._window_ns - now_ns

    def charge(self, now_ns: int) -> None:
        """Count an event for which ``wait_ns`` at this very time was 0."""
        times_ns = self._times_ns
        if times_ns is None or self._count == len(times_ns):
            times_ns = self._grow()
        times_ns[(self._head + self._count) % len(times_ns)] = now_ns
        self._count += 1

    def empty_at(self, now_ns: int) -> bool:
        """Return whether no accepted event is left in the window."""
        self._forget(now_ns)
        return self._count == 0

    def _forget(self, now_ns: int) -> None:
        times_ns = self._times_ns
        if times_ns is None:
            return
        past_ns = now_ns - self._window_ns
        while self._count and times_ns[self._head] <= past_ns:
            self._head = (self._head + 1) % len(times_ns)
            self._count -= 1

    def _grow(self) -> array[int]:
        old = self._times_ns or array("q")
        capacity = min(self._limit, max(_FIRST_CAPACITY, 2 * len(old)))
        grown = old[self._head :] + old[: self._head]
        grown.frombytes(bytes(grown.itemsize * (capacity - len(grown))))
        self._times_ns = grown
        self._head = 0
        return grown


def _terms(settings: Settings, limit: LimitName) -> tuple[int, int]:
    """Return events and ns of a limit that each connection has for itself."""
    if limit is LimitName.CONNECTION:
        return settings.rate_limit, round(settings.rate_window_seconds * _NS_PER_S)
    if limit is LimitName.PING:
        return settings.ping_limit, round(settings.ping_window_seconds * _NS_PER_S)
    if limit is LimitName.TOKEN_REFRESH:
        return settings.token_refresh_limit, _MINUTE_NS
    return settings.llm_stream_cancel_limit, _MINUTE_NS


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one event.

    Attributes:
        accepted: it passes.
        retry_after_ms: otherwise ms until one event would pass, rounded up.
        limit: the limit that refused it; of several, the one that refuses longest.
        first_of_breach: the client is told of the breach now, and not again before its end.
        close: it was one refused event too many.
    """

    accepted: bool
    retry_after_ms: int | None = None
    limit: LimitName | None = None
    first_of_breach: bool = False
    close: bool = False


_ACCEPTED: Final = Decision(accepted=True)


class EventLimiter:
    """One connection's limits, with the window that it shares with its user's others.

    Args:
        settings: what holds for each connection.
        user: the user's window.
    """

    __slots__ = ("_breach_ends_ns", "_refused", "_settings", "_user", "_windows")

    def __init__(self, settings: Settings, user: RollingWindow) -> None:
        self._settings = settings
        self._user = user
        self._windows: dict[LimitName, RollingWindow] | None = None
        self._breach_ends_ns: dict[LimitName, int] | None = None
        self._refused: RollingWindow | None = None

    def decide(self, event_name: object, now_ns: int) -> Decision:
        """Charge an event to all of its limits, or refuse it and charge none.

        Args:
            event_name: what the client sent in a name's place; unknown ones count like others.
            now_ns: monotonic, ns.
        """
        own = _OWN_LIMITS.get(event_name) if isinstance(event_name, str) else None
        charged = (
            (
                (LimitName.CONNECTION, self._window(LimitName.CONNECTION)),
                (LimitName.USER, self._user),
            )
            if own is None
            else ((own, self._window(own)),)
        )
        refusing, longest_ns = _longest_wait(charged, now_ns)
        if refusing is not None:
            return self._refuse(refusing, longest_ns, now_ns)
        for _, window in charged:
            window.charge(now_ns)
        return _ACCEPTED

    def _refuse(self, limit: LimitName, wait_ns: int, now_ns: int) -> Decision:
        retry_after_ms = -(-wait_ns // _NS_PER_MS)
        if self._breach_ends_ns is None:
            self._breach_ends_ns = {}
        first = now_ns >= self._breach_ends_ns.get(limit, now_ns)
        if first:
            self._breach_ends_ns[limit] = now_ns + wait_ns
        if self._refused is None:
            self._refused = RollingWindow(self._settings.max_refused_events, _MINUTE_NS)
        close = self._refused.admit(now_ns) > 0
        return Decision(False, retry_after_ms, limit, first_of_breach=first, close=close)

    def _window(self, limit: LimitName) -> RollingWindow:
        if self._windows is None:
            self._windows = {}
        window = self._windows.get(limit)
        if window is None:
            window = self._windows[limit] = RollingWindow(*_terms(self._settings, limit))
        return window


def _longest_wait(
    charged: Iterable[tuple[LimitName, RollingWindow]], now_ns: int
) -> tuple[LimitName | None, int]:
    refusing: LimitName | None = None
    longest_ns = 0
    for limit, window in charged:
        wait_ns = window.wait_ns(now_ns)
        if wait_ns > longest_ns:
            refusing, longest_ns = limit, wait_ns
    return refusing, longest_ns


class UserLimiters:
    """The windows of users: shared by a user's connections, kept for a while after the last.

    Args:
        settings: the limit, its window, and how long a window outlives the user's last
            connection; one that still counts something is kept until it does not.
    """

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.user_rate_limit
        self._window_ns = round(settings.rate_window_seconds * _NS_PER_S)
        self._retention_ns = round(settings.user_retention_seconds * _NS_PER_S)
        self._windows: dict[str, RollingWindow] = {}
        self._holders: dict[str, int] = {}
        self._idle_since_ns: dict[str, int] = {}  # longest idle first

    def __len__(self) -> int:
        return len(self._windows)

    def acquire(self, user_id: str) -> RollingWindow:
        """Return a user's window for one more connection, which must ``release`` it."""
        self._idle_since_ns.pop(user_id, None)
        self._holders[user_id] = self._holders.get(user_id, 0) + 1
        window = self._windows.get(user_id)
        if window is None:
            window = self._windows[user_id] = RollingWindow(self._limit, self._window_ns)
        return window

    def release(self, user_id: str, now_ns: int) -> None:
        """Note that a connection of a user has gone.

        Raises:
            KeyError: it held none.
        """
        self._holders[user_id] -= 1
        if self._holders[user_id] == 0:
            del self._holders[user_id]
            self._idle_since_ns[user_id] = now_ns

    def sweep(self, now_ns: int) -> None:
        """Forget users whose retention has passed and whose window is empty."""
        past: list[str] = []
        for user_id, since_ns in self._idle_since_ns.items():
            if since_ns + self._retention_ns > now_ns:
                break
            if self._windows[user_id].empty_at(now_ns):
                past.append(user_id)
        for user_id in past:
            del self._idle_since_ns[user_id], self._windows[user_id]
