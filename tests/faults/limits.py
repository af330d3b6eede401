"""Faults of the rate limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.contract import LimitName
from gateway.limits.event_limiter import EventLimiter
from gateway.limits.quota import EventQuotas
from gateway.limits.rolling_window import RollingWindow
from gateway.server.app import Gateway
from gateway.server.context import Context
from tests.faults.ports import wrap


def enforce(gateway: Gateway, *, limit: int | None = None, window_s: float | None = None) -> None:
    """Have each connection's window admit another number, or last another time."""
    told = gateway.settings
    kept = replace(
        told,
        rate_limit=told.rate_limit if limit is None else limit,
        rate_window_seconds=told.rate_window_seconds if window_s is None else window_s,
    )

    quotas = EventQuotas.of(kept)

    def around(_limiter_for: Callable[..., EventLimiter]) -> Callable[..., EventLimiter]:
        def limiter_for(
            context: Context, user_id: str, _former: EventLimiter | None = None
        ) -> EventLimiter:
            return EventLimiter(quotas, context.user_windows.acquire(user_id, 0))

        return limiter_for

    wrap(Context, "limiter_for", around)  # its instances have slots; a process has one gateway


def reset(gateway: Gateway) -> None:
    """Give each connection of a user a window of its own, in place of the user's."""
    quota = gateway.context.quotas.by_limit[LimitName.USER]

    def around(acquire: Callable[..., RollingWindow]) -> Callable[..., RollingWindow]:
        def acquire_new(user_id: str, now_ns: int) -> RollingWindow:
            acquire(user_id, now_ns)
            return RollingWindow(*quota)

        return acquire_new

    wrap(gateway.context.user_windows, "acquire", around)
