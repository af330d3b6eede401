"""A request under way, and its answer with its three times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import gevent
from gevent.event import AsyncResult

from loadtests.errors import TimedOut

CALL_TIMEOUT_S: Final = 10.0
"""For an acknowledgement. Default of :meth:`Call.wait`."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An acknowledgement and its three times.

    Attributes:
        payload: the first argument of the acknowledgement; None when it has none.
        intended_ns: when the request should have been sent.
        sent_ns: when it was handed to the kernel.
        done_ns: the stamp of the read that brought the answer.
    """

    payload: Any
    intended_ns: int
    sent_ns: int
    done_ns: int

    @property
    def response_ns(self) -> int:
        """Done − intended: what budgets judge."""
        return self.done_ns - self.intended_ns

    @property
    def service_ns(self) -> int:
        """Done − sent."""
        return self.done_ns - self.sent_ns

    @property
    def schedule_delay_ns(self) -> int:
        """Sent − intended: how late the generator was."""
        return self.sent_ns - self.intended_ns


class Call:
    """A request under way."""

    __slots__ = ("_result", "event", "intended_ns", "sent_ns")

    def __init__(self, event: str, intended_ns: int, sent_ns: int) -> None:
        self.event = event
        self.intended_ns = intended_ns
        self.sent_ns = sent_ns
        self._result: AsyncResult = AsyncResult()

    def wait(self, timeout_s: float = CALL_TIMEOUT_S) -> Reply:
        """Wait for the answer.

        Raises:
            TimedOut: it did not come.
            ClientError: the connection ended first.
        """
        try:
            payload, done_ns = self._result.get(timeout=timeout_s)
        except gevent.Timeout:
            raise TimedOut(f"the answer to {self.event}", timeout_s) from None
        return Reply(payload, self.intended_ns, self.sent_ns, done_ns)

    def resolve(self, payload: Any, done_ns: int) -> None:
        """Hand over the answer: the client does that."""
        self._result.set((payload, done_ns))

    def fail(self, error: Exception) -> None:
        """Say that no answer will come: the client does that."""
        self._result.set_exception(error)
