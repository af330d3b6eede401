"""``TimerWheel``: every ping and deadline of every connection behind one timer.

An idle connection costs one place in one bucket. Deadlines are not cancelled: whoever is
woken looks at the time, does what is due, and says when to be woken next.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Iterator
from typing import Final, Protocol

_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000
_LEAST_WAIT_NS: Final = _NS_PER_MS  # the loop's own resolution
_MOST_A_TURN: Final = 128  # woken before the loop may do something else: 2 to 3 ms of pings

log = logging.getLogger("gateway.transport")


class Sleeper(Protocol):
    """Something with deadlines."""

    wake_tick: int
    """The bucket it stands in; 0 for none. The wheel's own, to be left alone."""

    def wake(self, now_ns: int) -> int:
        """Do what is due.

        Returns:
            When to be woken next, ns; 0 for never.
        """
        ...


class TimerWheel:
    """Sleepers by the tick of their earliest deadline; reads no clock.

    Args:
        tick_ns: deadlines are met up to this much late, never early. A coarse tick wakes
            the process less often, and many sleepers at once.
    """

    def __init__(self, tick_ns: int = 4 * _NS_PER_MS) -> None:
        self.tick_ns = tick_ns
        self._buckets: dict[int, dict[Sleeper, None]] = {}  # in the order of their coming
        self._ticks: list[int] = []  # a heap
        self._rest: tuple[int, Iterator[Sleeper]] | None = None  # of a bucket that is being woken

    def __len__(self) -> int:
        return len(self._buckets)

    def schedule(self, sleeper: Sleeper, due_ns: int) -> bool:
        """Wake a sleeper at a time, unless it is woken before anyway.

        Returns:
            Whether this is now the wheel's earliest deadline.
        """
        tick = due_ns // self.tick_ns + 1
        if 0 < sleeper.wake_tick <= tick:
            return False
        if sleeper.wake_tick:
            self.forget(sleeper)  # a place left behind would keep it alive after its end
        sleeper.wake_tick = tick
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket[sleeper] = None
            return False
        self._buckets[tick] = {sleeper: None}
        heapq.heappush(self._ticks, tick)
        return self._ticks[0] == tick

    def next_due_ns(self) -> int | None:
        """Return when the earliest bucket is due, ``None`` for an empty wheel."""
        if self._rest is not None:
            return self._rest[0] * self.tick_ns
        return self._ticks[0] * self.tick_ns if self._ticks else None

    def turn(self, now_ns: int, most: int | None = None) -> None:
        """Wake those whose bucket is due, and put them where they ask to be.

        Args:
            now_ns: the time.
            most: sleepers to wake; the rest is due still, and first in the next turn. ``None``
                for all.
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
            elif sleeper.wake_tick == tick:  # else somebody has had it forgotten or moved
                self._wake(sleeper, now_ns)
                woken += 1

    def _wake(self, sleeper: Sleeper, now_ns: int) -> None:
        sleeper.wake_tick = 0
        try:
            due_ns = sleeper.wake(now_ns)
        except Exception:  # one bad sleeper must not keep all others asleep
            log.exception("a deadline was not met")
            return
        if due_ns:
            self.schedule(sleeper, due_ns)

    def forget(self, sleeper: Sleeper) -> None:
        """Take a sleeper out; one that is not there is fine."""
        bucket = self._buckets.get(sleeper.wake_tick)
        if bucket is not None:
            bucket.pop(sleeper, None)
        sleeper.wake_tick = 0


class WheelTimer:
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
