"""The virtual user that sends more than the rate limit allows, and judges each answer."""

from __future__ import annotations

import time
from typing import Any, Final

from gateway.contract import ClientEvent, ErrorCode
from loadtests.calls import Call
from loadtests.errors import TimedOut
from loadtests.oracles import RateLimitOracle
from loadtests.preflight import connection_limit
from loadtests.results import Event, LimitOutcome
from loadtests.users import VirtualUser, refusal_of

_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000


class Abuser(VirtualUser):
    """Sends a burst after its welcome, then one event a second; none of it enters ``ack``.

    Every decision is held against the rolling window and recorded as a ``limit`` event.
    """

    group = "abuser"

    def behave(self) -> None:
        """Send the burst, then one event a second until requests end."""
        oracle = self._oracle()
        settings = self.stage.scenario.users.abuser
        burst = settings.burst if settings is not None else 1
        first_ns = time.monotonic_ns()
        calls = [self._send(first_ns) for _ in range(burst)]
        for call in calls:
            self._judge(oracle, call)
        number = 0
        while not self.stage.is_over():
            number += 1
            intended_ns = first_ns + number * _NS_PER_S
            self._wait_until(intended_ns)
            if not self.stage.is_over():
                self._judge(oracle, self._send(intended_ns))
        super().behave()

    def _oracle(self) -> RateLimitOracle | None:
        limit = connection_limit(self.welcome)
        if limit is None:
            self.note_error("no limit announced", "the welcome's limits name no connection limit")
            return None
        return RateLimitOracle(*limit)

    def _send(self, intended_ns: int) -> Call:
        self._recorder.count("offered")
        call = self._require().begin_call(ClientEvent.GET_SUBSCRIPTIONS, intended_ns=intended_ns)
        self._recorder.count("sent")
        return call

    def _judge(self, oracle: RateLimitOracle | None, call: Call) -> None:
        try:
            reply = call.wait(self.call_timeout_s)
        except TimedOut as error:
            self.note_error("TimedOut", str(error))
            if oracle is not None:
                outcome = oracle.unanswered(call.sent_ns, time.monotonic_ns())
                self.note(Event.LIMIT, time.monotonic_ns(), outcome, sent_ns=call.sent_ns)
            return
        refusal = refusal_of(reply)
        if refusal is not None and refusal.get("code") != ErrorCode.RATE_LIMIT_EXCEEDED:
            self.note_error(str(refusal.get("code")), str(refusal.get("message")))
        elif oracle is not None:
            outcome = oracle.judge(reply.sent_ns, reply.done_ns, is_accepted=refusal is None)
            self._note_decision(outcome, reply.sent_ns, reply.done_ns, refusal)

    def _note_decision(
        self,
        outcome: LimitOutcome,
        sent_ns: int,
        done_ns: int,
        refusal: dict[str, Any] | None,
    ) -> None:
        retry_after_ms = refusal.get("retryAfter") if refusal is not None else None
        self.note(
            Event.LIMIT,
            done_ns,
            outcome,
            sent_ns=sent_ns,
            value_ns=None if retry_after_ms is None else round(retry_after_ms * _NS_PER_MS),
            detail="" if refusal is None else str(refusal.get("limit", "")),
        )
