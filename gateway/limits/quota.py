"""Quotas: the number of events and the window of each rolling limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.contract import LimitName
from gateway.settings import Settings

_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000
_MINUTE_S: Final = 60.0


class Quota(NamedTuple):
    """A number of events, ``limit``, and the length of the rolling window in ns."""

    limit: int
    window_ns: int

    @property
    def window_ms(self) -> int:
        """The length of the window in ms."""
        return round(self.window_ns / _NS_PER_MS)

    @classmethod
    def of(cls, limit: int, window_s: float) -> Quota:
        """Return the quota of a number of events and a window in seconds."""
        return cls(limit, round(window_s * _NS_PER_S))


@dataclass(frozen=True, slots=True)
class EventQuotas:
    """The quotas of client events.

    Attributes:
        by_limit: the quota of each rolling limit.
        refused: the refused events of a connection, above which it is closed.
    """

    by_limit: Mapping[LimitName, Quota]
    refused: Quota

    @classmethod
    def of(cls, settings: Settings) -> EventQuotas:
        """Return the quotas of the settings."""
        window_s = settings.rate_window_seconds
        by_limit = {
            LimitName.CONNECTION: Quota.of(settings.rate_limit, window_s),
            LimitName.USER: Quota.of(settings.user_rate_limit, window_s),
            LimitName.PING: Quota.of(settings.ping_limit, settings.ping_window_seconds),
            LimitName.TOKEN_REFRESH: Quota.of(settings.token_refresh_limit, _MINUTE_S),
            LimitName.LLM_STREAM_CANCEL: Quota.of(settings.llm_stream_cancel_limit, _MINUTE_S),
        }
        return cls(by_limit, Quota.of(settings.max_refused_events, _MINUTE_S))
