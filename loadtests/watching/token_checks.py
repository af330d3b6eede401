"""Whether the gateway refuses an expired token, and ends a connection whose token expires.

These checks sign tokens, so they need the gateway's ``JWT_SECRET``.
"""

from __future__ import annotations

import math
import time
from typing import Final

import gevent

from loadtests.tokens import mint
from loadtests.watching.figures import Finding
from loadtests.watching.visit import Visit
from loadtests.watching.witness_client import Report
from loadtests.watching.witness_metrics import WitnessMetrics

_OVER_S: Final = 120
"""How long the expired token has been over."""
_LASTS_S: Final = 2.0
_MARGIN_S: Final = 3.0
"""How late the gateway may end a connection: it looks at tokens once a second."""


class TokenChecks:
    """Offers an expired token, and one that expires at once.

    Args:
        url: of the gateway.
        user_id: of the tokens.
        secret: the gateway's ``JWT_SECRET``.
        leeway_s: the gateway's ``GATEWAY_TOKEN_LEEWAY_SECONDS``.
        metrics: takes failures.
        report: takes findings.
    """

    def __init__(
        self,
        url: str,
        user_id: str,
        secret: str,
        leeway_s: int,
        metrics: WitnessMetrics,
        report: Report,
    ) -> None:
        self._url = url
        self._user_id = user_id
        self._secret = secret
        self._leeway_s = leeway_s
        self._metrics = metrics
        self._report = report

    def check(self) -> None:
        """Make both checks; returns after some seconds."""
        expired_s = int(time.time()) - self._leeway_s - _OVER_S
        token = mint(self._secret, self._user_id, lifetime_s=1, unix_s=expired_s)
        visit = Visit(self._url, self._metrics)
        if visit.enter(token):
            self._found(Finding.TOKEN_ACCEPTED, f"a token that expired {_OVER_S} s ago")
        visit.client.close()
        self._let_run_out()

    def _let_run_out(self) -> None:
        now_s = time.time()
        expires_s = math.ceil(now_s + _LASTS_S - self._leeway_s)
        lasts_s = expires_s - int(now_s)
        token = mint(self._secret, self._user_id, lifetime_s=lasts_s, unix_s=now_s)
        visit = Visit(self._url, self._metrics)
        if not visit.enter(token):
            return
        wait_s = expires_s + self._leeway_s - time.time() + _MARGIN_S
        if not visit.ended.wait(wait_s):
            self._found(Finding.TOKEN_OVERSTAYED, f"served {_MARGIN_S:g} s after its end")
            visit.client.close()
        else:
            gevent.spawn_later(2 * _MARGIN_S, self._judge_open, visit)

    def _judge_open(self, visit: Visit) -> None:
        if visit.is_left_open:
            self._found(Finding.LEFT_OPEN, "the transport stayed open after the token's end")

    def _found(self, finding: Finding, words: str) -> None:
        self._metrics.found(finding)
        self._report(finding, self._user_id, words)
