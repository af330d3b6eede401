"""The virtual user that tries every kind of token, good or bad, and judges the answers."""

from __future__ import annotations

import time
from typing import ClassVar, Final

from locust.env import Environment

from gateway.contract import MAX_TOKEN_HOURS
from loadtests.behaviours.planned_user import PlannedUser
from loadtests.connection.attempts import Attempt
from loadtests.errors import ClientError
from loadtests.oracles.auth_cases import CASES, AuthCase, Issuer, judge
from loadtests.results import AuthOutcome, Event
from scenarios.groups import BadTokenGroup

LISTEN_S: Final = 1.0
"""The longest time that a refused user listens, in s: nothing may arrive."""

_SECONDS_PER_HOUR: Final = 3_600
_FEW: Final = 5  # event names in a message for people


class BadToken(PlannedUser):
    """Tries one case of authentication at each intended time, and holds no other connection.

    Users take the cases in turn and begin with different ones, so that a few users soon try
    all of them. A refused user stays and listens for half of the time to the next case.
    """

    group = "bad_token"
    is_well_behaved: ClassVar[bool] = False
    has_fixed_count = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.every_s = self.run_context.scenario.users.of(BadTokenGroup).every_s

    def connect_and_subscribe(self) -> None:
        """Hold no connection: each attempt makes its own."""

    def send(self, intended_ns: int) -> None:  # noqa: ARG002 - an attempt has no intended time
        """Try the next case."""
        self._try(CASES[(self.index + self._sent - 1) % len(CASES)])

    def _try(self, case: AuthCase) -> None:
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
                attempt.listen(min(LISTEN_S, self.every_s / 2))
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
