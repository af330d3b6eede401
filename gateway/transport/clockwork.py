"""``Clockwork``: a timer wheel, turned by one timer of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.transport.wheel import Sleeper, TimerWheel

_NS_PER_S: Final = 1_000_000_000
_LEAST_WAIT_NS: Final = 1_000_000  # the loop's own resolution
_MOST_A_TURN: Final = 128  # woken before the loop may do something else: 2 to 3 ms of pings


class Clockwork:
    """Wakes whoever has a deadline.

    Args:
        now_ns: the clock, monotonic.
        tick_ns: of the wheel.

    Attributes:
        wheel: who sleeps until when.
    """

    def __init__(self, now_ns: Callable[[], int], tick_ns: int) -> None:
        self._now_ns = now_ns
        self.wheel = TimerWheel(tick_ns)
        self._timer: asyncio.TimerHandle | None = None

    def wake_at(self, sleeper: Sleeper, due_ns: int) -> None:
        """Wake somebody at a time, or before."""
        if self.wheel.schedule(sleeper, due_ns):
            self._arm()

    def stop(self) -> None:
        """Wake nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self.stop()
        due_ns = self.wheel.next_due_ns()
        if due_ns is not None:
            wait_ns = max(_LEAST_WAIT_NS, due_ns - self._now_ns())
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait_ns / _NS_PER_S, self._turn)

    def _turn(self) -> None:
        self._timer = None
        self.wheel.turn(self._now_ns(), _MOST_A_TURN)
        self._arm()
