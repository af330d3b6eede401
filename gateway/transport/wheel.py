"""``TimerWheel``: the pings and deadlines of all connections behind one timer.

An idle connection costs one entry in one bucket. Deadlines are not cancelled: a sleeper that
wakes checks the clock, does what is due, and returns its next deadline.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Iterator
from typing import Final, Protocol

_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000
_LEAST_WAIT_NS: Final = _NS_PER_MS  # the resolution of the event loop
_MOST_A_TURN: Final = 128  # sleepers to wake in one turn of the event loop: 2 to 3 ms of pings

log = logging.getLogger("gateway.transport")


class Sleeper(Protocol):
    """An object with deadlines."""

    wake_tick: int
    """Its bucket, 0 for none. Only the wheel changes it."""

    def wake(self, now_ns: int) -> int:
        """Do what is due.

        Returns:
            The next deadline in ns, 0 for none.
        """
        ...


class TimerWheel:
    """Sleepers by the tick of their earliest deadline. It reads no clock.

    Args:
        tick_ns: how late a deadline may be met, ns; never early. A coarse tick wakes the
            process less often, and more sleepers at a time.
    """

    def __init__(self, tick_ns: int = 4 * _NS_PER_MS) -> None:
        self.tick_ns = tick_ns
        self._buckets: dict[int, dict[Sleeper, None]] = {}  # each in the order of scheduling
        self._ticks: list[int] = []  # a heap
        self._rest: tuple[int, Iterator[Sleeper]] | None = None  # of the bucket being woken

    def __len__(self) -> int:
        return len(self._buckets)

    def schedule(self, sleeper: Sleeper, due_ns: int) -> bool:
        """Wake a sleeper at a time, unless it wakes earlier anyway.

        Returns:
            Whether this is now the earliest deadline of the wheel.
        """
        tick = due_ns // self.tick_ns + 1
        if 0 < sleeper.wake_tick <= tick:
            return False
        if sleeper.wake_tick:
            self.forget(sleeper)  # the old entry would keep a reference to it
        sleeper.wake_tick = tick
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket[sleeper] = None
            return False
        self._buckets[tick] = {sleeper: None}
        heapq.heappush(self._ticks, tick)
        return self._ticks[0] == tick

    def next_due_ns(self) -> int | None:
        """Return the time of the earliest bucket, ``None`` for an empty wheel."""
        if self._rest is not None:
            return self._rest[0] * self.tick_ns
        return self._ticks[0] * self.tick_ns if self._ticks else None

    def turn(self, now_ns: int, most: int | None = None) -> None:
        """Wake the sleepers of all due buckets, and schedule their next deadlines.

        Args:
            now_ns: the time.
            most: how many sleepers to wake, ``None`` for all. The next turn starts with the
                rest.
        """
        now_tick = now_ns // self.tick_ns
        woken = 0
        while woken != most:
            if self._rest is None:
                if not self._ticks or self._ticks[0] > now_tick:
                    return
                tick = heapq.heappop(self._ticks)
                self._rest = tick, iter(self._buckets.pop(tick))
            tick, sleepers = self._rest
            sleeper = next(sleepers, None)
            if sleeper is None:
                self._rest = None
            elif sleeper.wake_tick == tick:  # else it was forgotten or moved meanwhile
                self._wake(sleeper, now_ns)
                woken += 1

    def _wake(self, sleeper: Sleeper, now_ns: int) -> None:
        sleeper.wake_tick = 0
        try:
            due_ns = sleeper.wake(now_ns)
        except Exception:  # one failing sleeper must not stop the others
            log.exception("deadline handler failed")
            return
        if due_ns:
            self.schedule(sleeper, due_ns)

    def forget(self, sleeper: Sleeper) -> None:
        """Remove a sleeper, if it is there."""
        bucket = self._buckets.get(sleeper.wake_tick)
        if bucket is not None:
            bucket.pop(sleeper, None)
        sleeper.wake_tick = 0


class WheelTimer:
    """Wakes sleepers at their deadlines, with one timer of the event loop.

    Args:
        now_ns: the monotonic clock.
        tick_ns: the tick of the wheel.

    Attributes:
        wheel: the sleepers.
    """

    def __init__(self, now_ns: Callable[[], int], tick_ns: int) -> None:
        self._now_ns = now_ns
        self.wheel = TimerWheel(tick_ns)
        self._timer: asyncio.TimerHandle | None = None

    def wake_at(self, sleeper: Sleeper, due_ns: int) -> None:
        """Wake a sleeper at a time or earlier."""
        if self.wheel.schedule(sleeper, due_ns):
            self._arm()

    def stop(self) -> None:
        """Stop the timer."""
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
