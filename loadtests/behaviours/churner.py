"""The virtual user that comes and goes."""

from __future__ import annotations

import random
import time
from typing import Final

import gevent
from locust.env import Environment

from loadtests.behaviours.subscriber import Subscriber
from loadtests.results import Series

_NS_PER_S: Final = 1_000_000_000
SHORTEST: Final = 0.5
"""A stay, and an absence, lasts from this to ``LONGEST`` of the mean."""
LONGEST: Final = 1.5


class Churner(Subscriber):
    """Listens for a while, leaves in order, stays away as long, and returns.

    When it leaves and returns is fixed by the scenario's seed before it comes on, and counts
    from its first session's intended time: a late welcome does not move what follows. A
    return that was due and never began is missed.
    """

    group = "churner"

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        settings = self.stage.scenario.users.churner
        self._stay_s = settings.stay_s if settings is not None else 2.0
        self._chance = random.Random(f"{self.stage.scenario.seed}:{self.user_id}:churn")  # noqa: S311 - repeatable by its seed
        self._leave_ns = 0
        self._return_ns = 0
        self._returns = 0

    def behave(self) -> bool:
        """Listen until it is time to leave, leave, and return when that is due."""
        if not self._leave_ns:
            self._plan_after(time.monotonic_ns() if self.due_ns is None else self.due_ns)
        self._wait_until(self._leave_ns)
        if self.stage.is_over():
            return super().behave()
        self.close()
        gevent.sleep(max(0, self._return_ns - time.monotonic_ns()) / _NS_PER_S)
        if self.stage.is_over():
            return False  # it does not come back any more
        self._begin_again()
        return True

    def stop_requests(self, now_ns: int) -> None:
        """Count a return that was due and has not begun."""
        if not self.is_on and self._leave_ns < self._return_ns <= now_ns:
            self._recorder.count("offered")
            self._recorder.count("missed")
        super().stop_requests(now_ns)

    def _begin_again(self) -> None:
        now_ns, due_ns = time.monotonic_ns(), self._return_ns
        self._plan_after(due_ns)
        self._recorder.count("offered")
        self._recorder.count("sent")
        self._recorder.span(Series.SESSION_DELAY, now_ns - due_ns, now_ns)

    def _plan_after(self, due_ns: int) -> None:
        self._leave_ns = due_ns + self._draw_ns()
        self._return_ns = self._leave_ns + self._draw_ns()

    def _draw_ns(self) -> int:
        return round(self._stay_s * self._chance.uniform(SHORTEST, LONGEST) * _NS_PER_S)
