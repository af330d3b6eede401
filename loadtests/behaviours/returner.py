"""The virtual user that drops and returns with the last number that it has."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from locust.env import Environment

from gateway.contract import ServerEvent
from loadtests.behaviours.churner import Churner
from loadtests.oracles.ledger import ACCOUNTED
from loadtests.oracles.returns import PrivateNumbers
from loadtests.results import Event, ReturnOutcome, Series
from scenarios.groups import ReturnerGroup


class Returner(Churner):
    """Owns private events, drops as a broken line would, stays away as long, and returns.

    It returns with ``lastUserSeq`` and ``epoch``, so it is owed what was published for it
    meanwhile. The times are planned as a churner's.
    """

    group = "returner"
    settings = ReturnerGroup

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._numbers = PrivateNumbers()
        self._said_number: int | None = None
        self._is_returning = False

    @property
    def may_own(self) -> bool:
        """Whether the publisher may name it as an owner: once it has been connected."""
        return self.connects > 0

    def said(self) -> dict[str, object]:
        """Return its last number and the epoch of it."""
        return self._numbers.said()

    def said_number(self) -> int | None:
        """Return the number that it connected with; None when it named none of this epoch."""
        return self._said_number

    def leave(self) -> None:
        """End the connection as a broken line would."""
        self._leave(time.monotonic_ns())
        if self.client is not None:
            self.client.drop()

    def welcomed(self, stamp_ns: int, payload: dict[str, Any]) -> None:
        """Note what it is owed from before."""
        is_owed = self._numbers.welcome(payload)
        self._said_number = self._numbers.last if is_owed else None
        self._is_returning = is_owed
        super().welcomed(stamp_ns, payload)
        self._judge_return(stamp_ns, ())

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Account for an event, and judge the private ones.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            payload: its first argument.
        """
        super().received(stamp_ns, name, payload)
        if name == ServerEvent.RESYNC:
            self._numbers.resync(payload)
            self._is_returning = False
            self.note(Event.RETURN, stamp_ns, ReturnOutcome.RESYNC, detail=str(payload))
        elif name in ACCOUNTED and "userSeq" in payload:
            self._judge_return(stamp_ns, self._numbers.receive(payload["userSeq"]))

    def close_oracles(self, now_ns: int) -> None:
        """Judge what has not come by the end of the run."""
        super().close_oracles(now_ns)
        if self.is_on:
            self._note_each(now_ns, self._numbers.close())

    def _judge_return(self, stamp_ns: int, outcomes: Iterable[ReturnOutcome]) -> None:
        self._note_each(stamp_ns, outcomes)
        if self._is_returning and self._numbers.is_current and self.client is not None:
            self._is_returning = False
            span_ns = stamp_ns - self.client.started_ns
            self._recorder.span(Series.RETURN_CURRENT, span_ns, stamp_ns)
            self.note(Event.RETURN, stamp_ns, ReturnOutcome.CURRENT, value_ns=span_ns)

    def _note_each(self, stamp_ns: int, outcomes: Iterable[ReturnOutcome]) -> None:
        for outcome in outcomes:
            self.note(Event.RETURN, stamp_ns, outcome)
