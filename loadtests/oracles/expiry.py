"""Check whether the gateway acts on a connection's token at the right times. Pure.

The contract: the gateway sends ``token:expiring`` 60 s before ``exp``, or at once when less
time is left. At ``exp`` plus leeway it sends an ``error`` TOKEN_EXPIRED and closes the
connection. A failed refresh changes nothing. ``exp`` is a time of the gateway's wall clock.
The welcome shows that clock, so the oracle converts it to its own clock. The error is at most
the time that the welcome took to arrive.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from gateway.contract import CLOSE_TIMEOUT_SECONDS, ErrorCode
from loadtests.results import AuthOutcome

_NS_PER_S: Final = 1_000_000_000
TICK_NS: Final = _NS_PER_S
"""``exp`` is in whole seconds, so a gateway that checks once a second is fast enough."""
CLOSE_NS: Final = round(CLOSE_TIMEOUT_SECONDS * _NS_PER_S)
"""The gateway aborts a close that takes longer than this."""
OVERSTAY_NS: Final = TICK_NS + CLOSE_NS
"""Tick and close explain service for this long after ``exp`` plus leeway, but not for longer."""
EARLY_NS: Final = 250_000_000
"""Clock error explains an end this early: the welcome's delay, and its whole milliseconds."""


class Ending(NamedTuple):
    """The judged end of a connection.

    Attributes:
        outcome: the outcome; None where the end had nothing to do with the token.
        late_ns: delay after ``exp`` plus leeway, ns, at least 0; None when the end was too early.
    """

    outcome: AuthOutcome | None
    late_ns: int | None


class ExpiryOracle:
    """Judges one connection.

    Args:
        expires_unix_s: the token's ``exp``, Unix seconds.
        leeway_s: the gateway's leeway, seconds.
        warning_s: time between ``token:expiring`` and ``exp``, seconds.
        welcome_timestamp: the welcome's ``timestamp``, ISO 8601, by the gateway's wall clock.
        welcome_ns: the welcome's read stamp, monotonic ns.

    Attributes:
        deadline_ns: when the connection must be closed, by the generator's monotonic clock.
    """

    def __init__(
        self,
        *,
        expires_unix_s: int,
        leeway_s: int,
        warning_s: float,
        welcome_timestamp: str,
        welcome_ns: int,
    ) -> None:
        # Integer nanoseconds: a float of Unix seconds would be off by some hundred ns.
        wall_ns = round(datetime.fromisoformat(welcome_timestamp).timestamp() * 1_000) * 1_000_000
        self._offset_ns = welcome_ns - wall_ns
        self._leeway_s = leeway_s
        self._warning_ns = round(warning_s * _NS_PER_S)
        self._warned = False
        self._warning_due_ns = 0
        self.deadline_ns = 0
        self._told_expired = False
        self._expect(expires_unix_s, welcome_ns)

    @property
    def overdue_ns(self) -> int:
        """Time from which a connection that is still open has overstayed, monotonic ns."""
        return self.deadline_ns + OVERSTAY_NS

    def renew(self, expires_unix_s: int, now_ns: int) -> None:
        """Take a token that replaces the previous one."""
        self._expect(expires_unix_s, now_ns)

    def take_warning(self, stamp_ns: int) -> str | None:
        """Take a ``token:expiring``; return what is wrong with it, or None."""
        again, self._warned = self._warned, True
        if again:
            return "token:expiring came twice for one token"
        if stamp_ns < self._warning_due_ns - EARLY_NS:
            return f"token:expiring came {_seconds(self._warning_due_ns - stamp_ns)} too early"
        if stamp_ns > self._warning_due_ns + OVERSTAY_NS:
            return f"token:expiring came {_seconds(stamp_ns - self._warning_due_ns)} too late"
        return None

    def missing_warning(self, now_ns: int) -> str | None:
        """Return a text when a ``token:expiring`` is overdue, or None."""
        if self._warned or now_ns <= self._warning_due_ns + OVERSTAY_NS:
            return None
        return f"no token:expiring {_seconds(now_ns - self._warning_due_ns)} after it was due"

    def take_error(self, code: object) -> bool:
        """Take the code of an ``error``; return whether it reports the token's expiry."""
        is_expiry = code == ErrorCode.TOKEN_EXPIRED
        self._told_expired |= is_expiry
        return is_expiry

    def close(self, stamp_ns: int) -> Ending:
        """Return the judged end of a connection that the gateway closed."""
        if stamp_ns < self.deadline_ns - EARLY_NS:
            return Ending(AuthOutcome.FALSE_REFUSAL if self._told_expired else None, None)
        late_ns = max(0, stamp_ns - self.deadline_ns)
        if stamp_ns > self.overdue_ns:
            return Ending(AuthOutcome.OVERSTAYED, late_ns)
        outcome = AuthOutcome.EXPIRED if self._told_expired else AuthOutcome.WRONG_CODE
        return Ending(outcome, late_ns)

    def _expect(self, expires_unix_s: int, now_ns: int) -> None:
        expires_ns = expires_unix_s * _NS_PER_S + self._offset_ns
        self.deadline_ns = expires_ns + self._leeway_s * _NS_PER_S
        self._warning_due_ns = max(now_ns, expires_ns - self._warning_ns)
        self._warned = False


def _seconds(span_ns: int) -> str:
    return f"{span_ns / _NS_PER_S:.1f} s"
