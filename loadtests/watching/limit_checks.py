"""Whether the gateway admits as many events as its welcome says, from a user of the check alone.

The user sends as many events as a connection may, on one connection after the other, until its
own limit is reached. Then it sends one more on a new connection, which must be refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import gevent

from gateway.contract import ClientEvent, ErrorCode, LimitName
from loadtests.connection.calls import Reply
from loadtests.errors import ClientError
from loadtests.tokens import mint
from loadtests.watching.figures import Finding
from loadtests.watching.visit import Visit
from loadtests.watching.witness_client import Report
from loadtests.watching.witness_metrics import WitnessMetrics

MOST_EVENTS: Final = 1_000
"""Larger limits are not tried: the check must not load the gateway."""
_CALL_S: Final = 5.0
_LIFETIME_S: Final = 600
_SLACK_MS: Final = 50
"""Allowance for ``retryAfter``, beyond the times between which both events were counted."""
_EXCHANGE_S: Final = 1.5
"""Nodes tell each other twice a second what a user has sent."""
_AFTER_MS: Final = 20_000
"""From the first event of a connection to the last one that counts, and the exchange of nodes."""
_END: Final = -1
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Promise:
    """A rolling limit as the welcome tells it."""

    events: int
    window_ms: int

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.events} in {self.window_ms / 1_000:g} s"


class LimitChecks:
    """Sends events up to the limits of a connection and of its user, and one more each.

    Args:
        url: of the gateway.
        user_id: of the tokens; no other client has it.
        secret: the gateway's ``JWT_SECRET``.
        metrics: takes failures.
        report: takes findings.
    """

    def __init__(
        self, url: str, user_id: str, secret: str, metrics: WitnessMetrics, report: Report
    ) -> None:
        self._url = url
        self._user_id = user_id
        self._secret = secret
        self._metrics = metrics
        self._report = report
        self._free_ns = 0  # when the user's last events are out of its window

    def check(self) -> None:
        """Wait until the user's window is empty, and try both limits."""
        gevent.sleep(max(0.0, (self._free_ns - time.monotonic_ns()) / 1e9))
        first: Reply | None = None
        sent = 0
        try:
            while sent >= 0:
                visit = Visit(self._url, self._metrics)
                try:
                    first, sent = self._fill(visit, first, sent)
                finally:
                    visit.client.close()
                gevent.sleep(_EXCHANGE_S)
        except (ClientError, KeyError, TypeError, ValueError):  # or a welcome without limits
            self._metrics.failed()

    def _fill(self, visit: Visit, first: Reply | None, sent: int) -> tuple[Reply | None, int]:
        """Send as many events as one connection may, and one more on the first and the last.

        Args:
            visit: the connection.
            first: the answer to the user's first event.
            sent: how many events the user has sent.

        Returns:
            Both for the next connection; a negative number ends the check.
        """
        is_in = visit.enter(mint(self._secret, self._user_id, lifetime_s=_LIFETIME_S))
        welcome = visit.welcome() if is_in else None
        if welcome is None:
            return first, _END
        own, user = (_promise(welcome, name) for name in (LimitName.CONNECTION, LimitName.USER))
        self._free_ns = time.monotonic_ns() + (user.window_ms + _AFTER_MS) * _NS_PER_MS
        if max(own.events, user.events) > MOST_EVENTS:
            return first, _END
        count = min(own.events, user.events - sent)
        is_first, is_last = sent == 0, count < own.events
        for number in range(1, count + 1):
            reply = _ask(visit)
            first = first or reply
            error = _error(reply)
            if error is not None:
                self._found(f"event {sent + number} is refused: {error}; {_said(own, user)}")
                return first, _END
        if (is_first or is_last) and first is not None:
            mistake = _mistake_in_refusal(_ask(visit), first, own, user, has_times=is_first)
            if mistake is not None:
                self._found(
                    f"event {sent + count + 1} of a user, {count + 1} of a connection: {mistake}"
                )
                return first, _END
        return first, _END if is_last else sent + count

    def _found(self, words: str) -> None:
        self._metrics.found(Finding.LIMIT)
        self._report(Finding.LIMIT, self._user_id, words)


def _promise(welcome: dict[str, Any], name: LimitName) -> _Promise:
    told = welcome["limits"]["events"][name.value]
    return _Promise(int(told["limit"]), int(told["windowMs"]))


def _said(own: _Promise, user: _Promise) -> str:
    return f"the welcome says {own} a connection, {user} a user"


def _ask(visit: Visit) -> Reply:
    return visit.client.call(ClientEvent.GET_SUBSCRIPTIONS, timeout_s=_CALL_S)


def _error(reply: Reply) -> dict[str, Any] | None:
    """Return the rate limit's refusal of an event, ``None`` if it passed."""
    error = reply.payload.get("error") if isinstance(reply.payload, dict) else None
    if isinstance(error, dict) and error.get("code") == ErrorCode.RATE_LIMIT_EXCEEDED:
        return error
    return None


def _mistake_in_refusal(
    reply: Reply, first: Reply, own: _Promise, user: _Promise, *, has_times: bool
) -> str | None:
    """Return what is wrong with the answer to an event beyond a limit.

    Args:
        reply: the answer.
        first: the answer to the user's first event.
        own: the connection's limit.
        user: the user's limit.
        has_times: whether the first event is in both windows of this node.
    """
    error = _error(reply)
    window_ms = min(own.window_ms, user.window_ms)
    if (reply.done_ns - first.sent_ns) / _NS_PER_MS >= window_ms:
        return None  # the host was slow: the window has moved on
    if error is None:
        return f"it passes; {_said(own, user)}"
    if not has_times:
        return None
    limit = own if error.get("limit") == LimitName.CONNECTION else user
    least_ms = limit.window_ms - (reply.done_ns - first.sent_ns) / _NS_PER_MS - _SLACK_MS
    most_ms = limit.window_ms - (reply.sent_ns - first.done_ns) / _NS_PER_MS + _SLACK_MS
    told_ms = error.get("retryAfter")
    if isinstance(told_ms, int) and least_ms <= told_ms <= most_ms:
        return None
    return f"retryAfter is {told_ms} ms; it must be {least_ms:.0f} to {most_ms:.0f} ms"
