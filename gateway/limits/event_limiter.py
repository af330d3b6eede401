"""``EventLimiter``: admits or refuses the events of one connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.contract import ClientEvent, LimitName
from gateway.limits.quota import EventQuotas
from gateway.limits.rolling_window import RollingWindow

_NS_PER_MS: Final = 1_000_000

_OWN_LIMITS: Final[dict[str, LimitName]] = {
    ClientEvent.PING: LimitName.PING,
    ClientEvent.TOKEN_REFRESH: LimitName.TOKEN_REFRESH,
    ClientEvent.LLM_STREAM_CANCEL: LimitName.LLM_STREAM_CANCEL,
}
"""Events with a limit of their own, which count to no other limit."""


@dataclass(frozen=True, slots=True)
class EventRefusal:
    """An event exceeds a limit.

    Attributes:
        retry_after_ms: ms until an event passes again, rounded up.
        limit: the exceeded limit. Of several, the one with the longest wait.
        first_of_breach: whether the client is to be told now; only once per breach.
        close: whether the connection has too many refused events.
    """

    retry_after_ms: int
    limit: LimitName
    first_of_breach: bool
    close: bool


class EventLimiter:
    """The limits of one connection, and its user's window.

    Args:
        quotas: the quotas, shared by all connections.
        user: the user's window, shared by all connections of the user.
    """

    __slots__ = ("_breach_ends_ns", "_quotas", "_refused", "_user", "_windows")

    def __init__(self, quotas: EventQuotas, user: RollingWindow) -> None:
        self._quotas = quotas
        self._user = user
        self._windows: dict[LimitName, RollingWindow] | None = None
        self._breach_ends_ns: dict[LimitName, int] | None = None
        self._refused: RollingWindow | None = None

    def of_user(self, user: RollingWindow) -> EventLimiter:
        """Return this limiter for the next client of the same transport, of whichever user."""
        self._user = user
        return self

    def admit(self, event_name: object, now_ns: int) -> EventRefusal | None:
        """Admit an event and count it in every limit, or refuse it and count it in none.

        Args:
            event_name: the event's name, of any JSON type. Unknown names count too.
            now_ns: the time, monotonic ns.

        Returns:
            ``None`` if the event is admitted.
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
        return None

    def _refuse(self, limit: LimitName, wait_ns: int, now_ns: int) -> EventRefusal:
        retry_after_ms = -(-wait_ns // _NS_PER_MS)
        if self._breach_ends_ns is None:
            self._breach_ends_ns = {}
        first = now_ns >= self._breach_ends_ns.get(limit, now_ns)
        if first:
            self._breach_ends_ns[limit] = now_ns + wait_ns
        if self._refused is None:
            self._refused = RollingWindow(*self._quotas.refused)
        close = self._refused.admit(now_ns) > 0
        return EventRefusal(retry_after_ms, limit, first_of_breach=first, close=close)

    def _window(self, limit: LimitName) -> RollingWindow:
        if self._windows is None:
            self._windows = {}
        window = self._windows.get(limit)
        if window is None:
            window = self._windows[limit] = RollingWindow(*self._quotas.by_limit[limit])
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
