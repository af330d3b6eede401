"""The virtual user that disconnects and returns."""

from __future__ import annotations

import random
import time
from typing import ClassVar, Final

import gevent
from locust.env import Environment

from loadtests.behaviours.subscriber import Subscriber
from loadtests.results import Series
from scenarios.groups import ChurnerGroup, ReturnerGroup

_NS_PER_S: Final = 1_000_000_000
SHORTEST: Final = 0.5
"""The shortest stay or absence, as a share of the mean; ``LONGEST`` is the longest."""
LONGEST: Final = 1.5


class Churner(Subscriber):
    """Listens for a while, closes its connection, stays away as long, and returns.

    The scenario's seed fixes the times of leaving and returning. They count from the intended
    time of the first session, so a late welcome does not move them. A return that was due and
    never began is counted as missed.
    """

    group = "churner"
    settings: ClassVar[type[ChurnerGroup | ReturnerGroup]] = ChurnerGroup

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._stay_s = self.run_context.scenario.users.of(self.settings).stay_s
        self._chance = random.Random(f"{self.run_context.scenario.seed}:{self.user_id}:churn")  # noqa: S311 - repeatable by its seed
        self._leave_ns = 0
        self._return_ns = 0

    def behave(self) -> bool:
        """Listen until the time to leave, leave, and return when due."""
        if not self._leave_ns:
            self._plan_after(time.monotonic_ns() if self.due_ns is None else self.due_ns)
        self._wait_until(self._leave_ns)
        if self.run_context.is_over():
            return super().behave()
        self.leave()
        gevent.sleep(max(0, self._return_ns - time.monotonic_ns()) / _NS_PER_S)
        if self.run_context.is_over():
            return False  # requests have ended: it stays away
        self._begin_again()
        return True

    def leave(self) -> None:
        """End the connection."""
        self.close()

    def stop_requests(self, now_ns: int) -> None:
        """Count a return that was due and has not begun as missed."""
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
