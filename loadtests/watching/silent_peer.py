"""Whether the gateway closes a connection whose peer answers no ping, as the handshake says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from loadtests.oracles.closing_bands import predict_band
from loadtests.watching.figures import Finding
from loadtests.watching.visit import Visit
from loadtests.watching.witness_client import Report
from loadtests.watching.witness_metrics import WitnessMetrics

_MARGIN_S: Final = 3.0
"""How late the end may come: a busy gateway pings late."""


class SilentPeer:
    """Keeps a connection that answers no ping.

    Args:
        url: of the gateway.
        user_id: of the token.
        token: returns a token.
        metrics: takes failures.
        report: takes findings.
    """

    def __init__(
        self,
        url: str,
        user_id: str,
        token: Callable[[], str],
        metrics: WitnessMetrics,
        report: Report,
    ) -> None:
        self._url = url
        self._user_id = user_id
        self._token = token
        self._metrics = metrics
        self._report = report

    def check(self) -> None:
        """Make one connection, and return when it has ended, or should have."""
        visit = Visit(self._url, self._metrics)
        if not visit.enter(self._token()):
            return
        visit.client.ignore_pings()
        opened = visit.client.opened
        if opened is None:  # it has ended already
            return
        now_ns = time.monotonic_ns()
        band = predict_band(
            "no-pong",
            pinged_ns=visit.client.pinged_ns,
            died_ns=now_ns,
            interval_ns=opened.ping_interval_ms * 1_000_000,
            timeout_ns=opened.ping_timeout_ms * 1_000_000,
            max_send_ns=0,
        )
        if not visit.ended.wait((band.end_ns - now_ns) / 1e9 + _MARGIN_S):
            silent_s = (time.monotonic_ns() - now_ns) / 1e9
            words = f"a peer that answered no ping for {silent_s:.1f} s is still connected"
            self._metrics.found(Finding.PEER_UNNOTICED)
            self._report(Finding.PEER_UNNOTICED, self._user_id, words)
        visit.client.close()
