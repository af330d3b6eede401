"""Virtual users that run in a test, and a recorder that keeps what it records."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S
from gevent.pool import Group
from locust.env import Environment
from numpy.typing import NDArray

from loadtests.behaviours.run_context import RunContext
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.record.recording import PhaseTimes, Recorder
from loadtests.results import Event, Series
from loadtests.tokens import SignedTokens


class Kept(Recorder):
    """A recorder that also keeps its records in memory, for a test."""

    def __init__(self, directory: Path) -> None:
        t0_ns = time.monotonic_ns()
        super().__init__(directory, worker="test", t0_ns=t0_ns, phases=PhaseTimes(t0_ns))
        self.events: list[tuple[Event, str, str]] = []
        self.measured: list[tuple[Series, int]] = []
        self.counted: dict[str, int] = {}

    def event(self, event: Event, *, at_ns: int, **facts: Any) -> None:
        """Keep an event: its kind, its user, its outcome."""
        self.events.append((event, facts.get("user", ""), facts.get("outcome", "")))
        super().event(event, at_ns=at_ns, **facts)

    def span(self, series: Series, value_ns: int, at_ns: int, *more: str) -> None:
        """Keep a duration."""
        self.measured.append((series, value_ns))
        super().span(series, value_ns, at_ns, *more)

    def spans(
        self, series: Series, values_ns: NDArray[Any], at_ns: NDArray[Any], *more: str
    ) -> None:
        """Keep durations."""
        self.measured += [(series, value_ns) for value_ns in values_ns.tolist()]
        super().spans(series, values_ns, at_ns, *more)

    def count(self, column: str, n: int = 1) -> None:
        """Keep a count."""
        self.counted[column] = self.counted.get(column, 0) + n
        super().count(column, n)

    def of(self, series: Series) -> list[int]:
        """Return the durations of a series."""
        return [value for kind, value in self.measured if kind is series]

    def outcomes(self, event: Event) -> list[str]:
        """Return the outcomes of the events of a kind."""
        return [outcome for kind, _, outcome in self.events if kind is event]


class Living:
    """Runs users against a gateway as Locust does, until the end of the test."""

    def __init__(self, run_context: RunContext, environment: Environment) -> None:
        self.run_context = run_context
        self._environment = environment
        self._group = Group()
        self._users: list[VirtualUser] = []

    def __call__(self, user_class: type[VirtualUser], gateway: GatewayProcess) -> VirtualUser:
        """Let one more live."""
        self.run_context.tokens = SignedTokens(gateway.secret)
        user_class.run_context = self.run_context
        user_class.host = gateway.url
        user = user_class(self._environment)
        user.start(self._group)
        self._users.append(user)
        return user

    def end(self) -> None:
        """Stop all users."""
        self._group.kill()
        for user in self._users:
            user.close()


def wait_until(happened: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Poll until a condition holds, while greenlets run."""
    deadline = time.monotonic() + deadline_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        gevent.sleep(0.01)
