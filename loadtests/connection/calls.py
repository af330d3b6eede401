"""A request that waits for its acknowledgement, and the reply with its three times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import gevent
from gevent.event import AsyncResult

from loadtests.errors import TimedOut

CALL_TIMEOUT_S: Final = 10.0
"""How long to wait for an acknowledgement. Default of :meth:`Call.wait`."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An acknowledgement and its three times.

    Attributes:
        payload: the first argument of the acknowledgement; None when it has none.
        intended_ns: the request's intended time.
        sent_ns: when the kernel took it.
        done_ns: stamp of the read that brought the answer.
    """

    payload: Any
    intended_ns: int
    sent_ns: int
    done_ns: int

    @property
    def response_ns(self) -> int:
        """Done − intended, which budgets judge."""
        return self.done_ns - self.intended_ns

    @property
    def service_ns(self) -> int:
        """Done − sent."""
        return self.done_ns - self.sent_ns

    @property
    def schedule_delay_ns(self) -> int:
        """Sent − intended, the lateness of the generator."""
        return self.sent_ns - self.intended_ns


class Call:
    """A request that waits for its acknowledgement."""

    __slots__ = ("_result", "event", "intended_ns", "sent_ns")

    def __init__(self, event: str, intended_ns: int, sent_ns: int) -> None:
        self.event = event
        self.intended_ns = intended_ns
        self.sent_ns = sent_ns
        self._result: AsyncResult = AsyncResult()

    def wait(self, timeout_s: float = CALL_TIMEOUT_S) -> Reply:
        """Wait for the answer.

        Raises:
            TimedOut: no answer within ``timeout_s``.
            ClientError: the connection ended first.
        """
        try:
            payload, done_ns = self._result.get(timeout=timeout_s)
        except gevent.Timeout:
            raise TimedOut(f"the answer to {self.event}", timeout_s) from None
        return Reply(payload, self.intended_ns, self.sent_ns, done_ns)

    def resolve(self, payload: Any, done_ns: int) -> None:
        """Deliver the answer; the client calls this."""
        self._result.set((payload, done_ns))

    def fail(self, error: Exception) -> None:
        """Fail the request; the client calls this."""
        self._result.set_exception(error)
