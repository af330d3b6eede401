"""The virtual user whose token expires: it is closed in time, or refreshes and stays."""

from __future__ import annotations

import math
import time
from typing import Any, Final

from gateway.contract import TOKEN_EXPIRING_SECONDS, ClientEvent, ErrorCode, ServerEvent
from loadtests.behaviours.judged_user import refusal_of
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.oracles.expiry import ExpiryOracle
from loadtests.results import AuthOutcome, Event, Series
from loadtests.tokens import mint
from scenarios.groups import ExpiringGroup

_NS_PER_S: Final = 1_000_000_000
REFRESHED_S: Final = 12.0
"""The shortest life of a refreshed token: five of the ten refreshes allowed a minute."""
MARGIN_S: Final = 1.0
"""The longest time before a token's end at which it is refreshed."""
_NO_TOKEN: Final = "no.token.atall"  # noqa: S105 - a refresh must refuse it

_RAN_OUT: Final = "token ran out"
_REFRESH_CODES: Final = frozenset({ErrorCode.AUTH_FAILED, ErrorCode.NOT_ALLOWED})


class Expiring(VirtualUser):
    """Connects with a token that expires soon. A share of these users refreshes it in time.

    A user that does not refresh tries one refresh that the gateway must refuse: a text that is
    no token, or another user's token, in turn. The refusal must change nothing.
    """

    group = "expiring"
    has_fixed_count = True
    _oracle: ExpiryOracle | None = None
    _expires_unix_s = 0
    _is_judged = False

    @property
    def _settings(self) -> ExpiringGroup:
        return self.run_context.scenario.users.of(ExpiringGroup)

    @property
    def is_refreshing(self) -> bool:
        """Whether it belongs to the share that refreshes, spread evenly over the places."""
        share = self._settings.refreshing
        return math.floor((self.index + 1) * share) > math.floor(self.index * share)

    def token(self) -> str:
        """Return a token whose ``exp`` and leeway are over after the scenario's lifetime."""
        return self._mint(self._settings.lifetime_s)

    def welcomed(self, stamp_ns: int, payload: dict[str, Any]) -> None:
        """Predict the token's end from the welcome."""
        super().welcomed(stamp_ns, payload)
        self._is_judged = False
        self._oracle = ExpiryOracle(
            expires_unix_s=self._expires_unix_s,
            leeway_s=self.run_context.token_leeway_s(),
            warning_s=self.run_context.gateway_setting(
                "GATEWAY_TOKEN_EXPIRING_SECONDS", TOKEN_EXPIRING_SECONDS
            ),
            welcome_timestamp=str(payload["timestamp"]),
            welcome_ns=stamp_ns,
        )

    def behave(self) -> bool:
        """Wait for the token's end, or refresh it before each end.

        Raises:
            ClientError: the connection ended, as it should at the token's end.
            RuntimeError: the user has no welcome.
        """
        if self._oracle is None:
            raise RuntimeError("behave() without a welcome")
        if self.is_refreshing:
            self._keep_fresh(self._oracle)
        else:
            self._run_out(self._oracle)
        return True

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Take the events about the token, and leave the others to the account.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            payload: its first argument.
        """
        oracle = self._oracle
        if oracle is not None and name == ServerEvent.TOKEN_EXPIRING:
            self._note_problem(oracle.take_warning(stamp_ns), stamp_ns)
        elif oracle is not None and name == ServerEvent.ERROR and isinstance(payload, dict):
            code = payload.get("code")
            # The errors of a refresh are judged by its acknowledgement.
            if not oracle.take_error(code) and code not in _REFRESH_CODES:
                super().received(stamp_ns, name, payload)
        else:
            super().received(stamp_ns, name, payload)

    def lost(self, stamp_ns: int, error: Exception) -> None:
        """Judge the end: at the token's end the scenario asked for it."""
        oracle = self._oracle
        if oracle is None or self._is_judged:
            super().lost(stamp_ns, error)
            return
        self._is_judged = True
        outcome, late_ns = oracle.close(stamp_ns)
        if late_ns is None:
            super().lost(stamp_ns, error)
        else:
            self._recorder.span(Series.EXPIRY, late_ns, stamp_ns)
            self.note(Event.DISCONNECT, stamp_ns, type(error).__name__, detail=str(error))
            self._leave(stamp_ns)
        self._note_problem(oracle.missing_warning(stamp_ns), stamp_ns)
        if outcome is not None:
            self.note(Event.AUTH, stamp_ns, outcome, value_ns=late_ns, detail=_RAN_OUT)

    def _run_out(self, oracle: ExpiryOracle) -> None:
        self._wait_until((self.welcome_ns + oracle.deadline_ns) // 2)
        if not self.run_context.is_over():
            self._try_refusable()
        self._wait_until(oracle.overdue_ns)
        self._is_judged = True
        late_ns = time.monotonic_ns() - oracle.deadline_ns
        self.note(
            Event.AUTH,
            time.monotonic_ns(),
            AuthOutcome.OVERSTAYED,
            value_ns=late_ns,
            detail=_RAN_OUT,
        )

    def _keep_fresh(self, oracle: ExpiryOracle) -> None:
        """Refresh before each end, and check that the connection outlives it."""
        while True:
            span_ns = oracle.deadline_ns - time.monotonic_ns()
            self._wait_until(oracle.deadline_ns - min(round(MARGIN_S * _NS_PER_S), span_ns // 4))
            self._note_problem(oracle.missing_warning(time.monotonic_ns()), time.monotonic_ns())
            former_overdue_ns = oracle.overdue_ns
            outcome, code = self._refresh(self._mint(max(REFRESHED_S, self._settings.lifetime_s)))
            if outcome is not AuthOutcome.ACCEPTED:
                self._note_refresh("refresh in time", AuthOutcome.FALSE_REFUSAL, code)
                self._run_out(oracle)
                return
            oracle.renew(self._expires_unix_s, time.monotonic_ns())
            self._wait_until(former_overdue_ns)
            self._note_refresh("refreshed in time", AuthOutcome.ACCEPTED, "")

    def _try_refusable(self) -> None:
        """Try a refresh that the gateway must refuse."""
        if self.connects % 2:
            case, token, due = "refresh with no token", _NO_TOKEN, ErrorCode.AUTH_FAILED
        else:
            another = mint(self.run_context.secret, f"{self.user_id}x", lifetime_s=60)
            case, token, due = "refresh of another user", another, ErrorCode.NOT_ALLOWED
        outcome, code = self._refresh(token)
        if outcome is AuthOutcome.ACCEPTED:
            outcome = AuthOutcome.FALSE_ACCEPT
        elif code != due:
            outcome = AuthOutcome.WRONG_CODE
        self._note_refresh(case, outcome, code)

    def _refresh(self, token: str) -> tuple[AuthOutcome, str]:
        """Ask for a refresh. Returns its outcome, and the error code of a refusal."""
        self._recorder.count("offered")
        reply = self.call(ClientEvent.TOKEN_REFRESH, {"token": token})
        self._recorder.count("sent")
        refusal = refusal_of(reply)
        if refusal is None:
            return AuthOutcome.ACCEPTED, ""
        return AuthOutcome.REFUSED, str(refusal.get("code"))

    def _mint(self, lifetime_s: float) -> str:
        unix_s = time.time()
        self._expires_unix_s = math.ceil(unix_s + lifetime_s - self.run_context.token_leeway_s())
        lasts_s = self._expires_unix_s - int(unix_s)
        return mint(self.run_context.secret, self.user_id, lifetime_s=lasts_s, unix_s=unix_s)

    def _note_refresh(self, case: str, outcome: AuthOutcome, code: str) -> None:
        is_right = outcome in (AuthOutcome.ACCEPTED, AuthOutcome.REFUSED)
        words = case if is_right else f"{case}: {code}"
        self.note(Event.AUTH, time.monotonic_ns(), outcome, detail=words)

    def _note_problem(self, words: str | None, at_ns: int) -> None:
        if words is not None:
            self.note_error("token:expiring", words, at_ns)
