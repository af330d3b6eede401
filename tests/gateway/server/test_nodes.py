"""``Nodes`` with a log that it has not joined."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from deadlines import poll_until

from gateway.brokers.redis.broker import RedisBroker
from gateway.brokers.redis.log_state import LogState
from gateway.brokers.redis.terms import LogTerms
from gateway.contract import ResyncReason
from gateway.limits.quota import Quota
from gateway.limits.user_windows import UserWindows
from gateway.nodes.entries import Route
from gateway.nodes.shared_events import SharedEvents
from gateway.server.clock import SystemClock
from gateway.server.nodes import Host, Nodes


class FailingHost:
    """A gateway whose clients cannot all be told."""

    def __init__(self, fails_at: int) -> None:
        self.told: list[str] = []
        self._fails_at = fails_at

    def connections(self) -> dict[str, dict[str, int]]:
        return {}

    def is_full(self) -> bool:
        return False

    def wants(self, _route: Route) -> bool:
        return True

    def sids(self) -> list[str]:
        return [f"client-{number}" for number in range(300)]

    def forget_slots(self, then: Callable[[], None]) -> None:
        then()

    def resync(self, sids: Sequence[str], _reason: ResyncReason) -> None:
        if f"client-{self._fails_at}" in sids:
            raise RuntimeError("seeded")
        self.told.extend(sids)


@pytest.mark.parametrize(
    ("fails_at", "told"), [(0, 100), (299, 200)], ids=["first turn", "last turn"]
)
async def test_a_client_that_cannot_be_told_does_not_stop_the_log(fails_at: int, told: int) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _facts: None)
    broker = RedisBroker(
        LogTerms("redis://127.0.0.1:1", "{t}:", "a", 1_000, 60_000, 1_000, 60_000), SystemClock()
    )
    host = FailingHost(fails_at)
    windows = UserWindows(Quota(10, 1_000_000_000), 1_000_000_000)
    events = SharedEvents(windows, 1_000_000_000)
    nodes = Nodes("a", broker, cast("Host", host), events, retention_s=60, longest_token_s=60)
    state = LogState("epoch", 0, 0, b"", goes_on=False, young={}, old={}, values={}, revoked={})
    with contextlib.suppress(RuntimeError):
        nodes.joined(state, has_lost=True, is_new_epoch=True)
    await poll_until(lambda: not nodes.is_congested(), "the log may be applied")
    assert len(host.told) == told, "those of the other turn"
