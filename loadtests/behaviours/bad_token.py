"""The virtual user that tries every kind of token, good or bad, and judges the answers."""

from __future__ import annotations

import time
from typing import ClassVar, Final

from gateway.contract import MAX_TOKEN_HOURS
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.connection.attempts import Attempt
from loadtests.errors import ClientError
from loadtests.oracles.auth_cases import CASES, AuthCase, Issuer, judge
from loadtests.plan.schedule import ArrivalPlan, count_missed, user_arrivals
from loadtests.results import AuthOutcome, Event
from scenarios.groups import BadTokenGroup

LISTEN_S: Final = 1.0
"""The longest time that a refused user listens, in s: nothing may arrive."""

_SECONDS_PER_HOUR: Final = 3_600
_FEW: Final = 5  # event names in a message for people


class BadToken(VirtualUser):
    """Tries one case of authentication at each intended time, and holds no other connection.

    Users take the cases in turn and begin with different ones, so that a few users soon try
    all of them. A refused user stays and listens for half of the time to the next case.
    """

    group = "bad_token"
    is_well_behaved: ClassVar[bool] = False
    has_fixed_count = True
    _plan: ArrivalPlan | None = None
    _tried = 0

    def connect_and_subscribe(self) -> None:
        """Hold no connection: each attempt makes its own."""

    def behave(self) -> bool:
        """Try each case when it is due, until requests end."""
        every_s = self.run_context.scenario.users.of(BadTokenGroup).every_s
        if self._plan is None:
            self._plan = user_arrivals(
                self.run_context.scenario.seed, self.user_id, time.monotonic_ns(), every_s
            )
        while not self.run_context.is_over():
            self._wait_until(self._plan.due_ns(self._tried))
            if not self.run_context.is_over():
                case = CASES[(self.index + self._tried) % len(CASES)]
                self._tried += 1
                self._try(case, min(LISTEN_S, every_s / 2))
        return super().behave()

    def stop_requests(self, now_ns: int) -> None:
        """Count the cases that were due and not tried."""
        if self._plan is not None:
            missed = count_missed(self._plan, self._tried, now_ns)
            self._recorder.count("offered", missed)
            self._recorder.count("missed", missed)

    def _try(self, case: AuthCase, listen_s: float) -> None:
        self._recorder.count("offered")
        longest_h = self.run_context.gateway_setting("GATEWAY_MAX_TOKEN_HOURS", MAX_TOKEN_HOURS)
        issuer = Issuer(
            secret=self.run_context.secret,
            user_id=self.user_id,
            unix_s=int(time.time()),
            leeway_s=self.run_context.token_leeway_s(),
            longest_s=int(longest_h * _SECONDS_PER_HOUR),
        )
        attempt = Attempt(
            str(self.host),
            case.offer(issuer),
            source_address=self.source_address(),
            tls=self.tls,
        )
        sent_ns = time.monotonic_ns()
        try:
            self._recorder.count("sent")
            attempt.make()
            if attempt.exchange.refusal is not None:
                attempt.listen(listen_s)
        except ClientError as error:
            # Without an answer the gateway has not judged the token.
            self.note_failure(error, f"{case.name}: {error}")
            return
        finally:
            attempt.close()
        exchange = attempt.exchange
        outcome = judge(case, exchange.refusal, len(exchange.early_events))
        detail = case.name
        if outcome not in (AuthOutcome.ACCEPTED, AuthOutcome.REFUSED):
            came = exchange.early_events[:_FEW] or [str(exchange.refusal)]
            detail = f"{case.name}: {', '.join(came)}"
        self.note(Event.AUTH, time.monotonic_ns(), outcome, sent_ns=sent_ns, detail=detail)
