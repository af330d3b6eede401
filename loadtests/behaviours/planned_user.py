"""The virtual user that sends requests at intended times."""

from __future__ import annotations

import time
from typing import Final

from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.plan.schedule import ArrivalPlan, count_missed, user_arrivals
from loadtests.plan.turns import Turns
from scenarios.arrivals import Arrivals

NEVER_NS: Final = 1 << 63
"""Later than every time of the monotonic clock."""


class PlannedUser(VirtualUser):
    """Sends each request when it is due, or as soon as possible after that.

    The plan is fixed when the user connects. A late request is sent late, and a request that was
    never sent is counted as missed.

    Attributes:
        every_s: mean time between two requests.
        arrivals: how they are spread; None means constant.
        turns: the only slices in which they are due; None for all the time.
    """

    abstract = True
    every_s: float
    arrivals: Arrivals | None = None
    turns: Turns | None = None
    _plan: ArrivalPlan | None = None
    _sent = 0

    def send(self, intended_ns: int) -> None:
        """Send a request, the one numbered ``_sent`` from 1, which was due at this time."""
        raise NotImplementedError

    def plan_end_ns(self) -> int:
        """Return when the plan ends, monotonic, if it ends before requests do."""
        return NEVER_NS

    def behave(self) -> bool:
        """Send requests until they end."""
        if self._plan is None:
            seed, now_ns = self.run_context.scenario.seed, time.monotonic_ns()
            self._plan = user_arrivals(
                seed, self.user_id, now_ns, self.every_s, self.arrivals, self.turns
            )
        while not self.run_context.is_over():
            intended_ns = self._plan.due_ns(self._sent)
            self._wait_until(min(intended_ns, self.plan_end_ns()))
            if self.run_context.is_over() or intended_ns >= self.plan_end_ns():
                break
            self._sent += 1
            self.send(intended_ns)
        return super().behave()

    def stop_requests(self, now_ns: int) -> None:
        """Count the requests that were due and not sent."""
        if self._plan is not None:
            missed = count_missed(self._plan, self._sent, min(now_ns, self.plan_end_ns() - 1))
            self._recorder.count("offered", missed)
            self._recorder.count("missed", missed)
        super().stop_requests(now_ns)
