"""One connection's token and its times, held against what the gateway does at them. Pure.

The contract: ``token:expiring`` 60 s before ``exp``, or at once when less is left; at ``exp``
plus leeway an ``error`` TOKEN_EXPIRED, and the close; a refresh that failed changes nothing.
``exp`` is the wall clock's, and the gateway's wall clock decides: its welcome shows it, so a
moment of it is known by ours to within the welcome's way here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from gateway.contract import CLOSE_TIMEOUT_SECONDS, ErrorCode
from loadtests.results import AuthOutcome

_NS_PER_S: Final = 1_000_000_000
TICK_NS: Final = _NS_PER_S
"""``exp`` counts whole seconds, so a gateway that looks once in each is as quick as they are."""
CLOSE_NS: Final = round(CLOSE_TIMEOUT_SECONDS * _NS_PER_S)
"""A close that is not done in this time is aborted."""
OVERSTAY_NS: Final = TICK_NS + CLOSE_NS
"""Served for longer than this after ``exp`` and leeway: no tick and no close explain it."""
EARLY_NS: Final = 250_000_000
"""A close so much too early is the clock's doing: the welcome's way, and its whole ms."""


class Ending(NamedTuple):
    """What the end of a connection came to.

    Attributes:
        outcome: of the case; None where the end had nothing to do with the token.
        late_ns: how long after ``exp`` and leeway it came, never under 0; None when too early.
    """

    outcome: AuthOutcome | None
    late_ns: int | None


class ExpiryOracle:
    """Judges one connection.

    Args:
        expires_unix_s: the token's ``exp``.
        leeway_s: the gateway's.
        warning_s: how long before ``exp`` it tells the client.
        welcome_timestamp: the welcome's ``timestamp``, ISO 8601: the gateway's wall clock.
        welcome_ns: its read stamp.

    Attributes:
        deadline_ns: when the connection must be closed, by our monotonic clock.
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
        # An integer of nanoseconds: a float of Unix seconds would be off by some hundred.
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
        """From when on a connection that still stands has overstayed."""
        return self.deadline_ns + OVERSTAY_NS

    def renew(self, expires_unix_s: int, now_ns: int) -> None:
        """Take a token that was put in the place of the one before."""
        self._expect(expires_unix_s, now_ns)

    def take_warning(self, stamp_ns: int) -> str | None:
        """Take a ``token:expiring``; return what was wrong with it, None when nothing."""
        again, self._warned = self._warned, True
        if again:
            return "token:expiring came twice for one token"
        if stamp_ns < self._warning_due_ns - EARLY_NS:
            return f"token:expiring came {_seconds(self._warning_due_ns - stamp_ns)} too early"
        if stamp_ns > self._warning_due_ns + OVERSTAY_NS:
            return f"token:expiring came {_seconds(stamp_ns - self._warning_due_ns)} too late"
        return None

    def missing_warning(self, now_ns: int) -> str | None:
        """Return words when a ``token:expiring`` that was due did not come."""
        if self._warned or now_ns <= self._warning_due_ns + OVERSTAY_NS:
            return None
        return f"no token:expiring {_seconds(now_ns - self._warning_due_ns)} after it was due"

    def take_error(self, code: object) -> bool:
        """Take the code of an ``error``; return whether it is the one that ends a token's time."""
        is_expiry = code == ErrorCode.TOKEN_EXPIRED
        self._told_expired |= is_expiry
        return is_expiry

    def close(self, stamp_ns: int) -> Ending:
        """Judge the end of the connection by the gateway."""
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
