"""What the witness's process does: its plan, its page, its signals and its exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic_ns
from typing import Any, Final

import gevent
from gevent.pywsgi import WSGIServer

from loadtests.ending import print_result
from loadtests.given_tokens import GivenTokens
from loadtests.processes import ending_signals
from loadtests.results import ExitCode
from loadtests.tokens import USER_LIFETIME_S, SignedTokens, Tokens, mint
from loadtests.watching.witness import WatchPlan, Witness
from loadtests.watching.witness_metrics import WitnessMetrics

_LATE_ROUNDS: Final = 3
"""The witness is unhealthy when no round was closed for so many times their length."""

Start = Callable[[str, list[tuple[str, str]]], object]


class WitnessTokens(SignedTokens):
    """Signed tokens of the witness's own users.

    Args:
        secret: the gateway's ``JWT_SECRET``.
        prefix: the users are ``PREFIX-0``, ``PREFIX-1`` and so on.
    """

    def __init__(self, secret: str, prefix: str) -> None:
        super().__init__(secret)
        self._prefix = prefix

    def user_id(self, index: int) -> str:
        """Return the id of a user."""
        return f"{self._prefix}-{index}"

    def probe(self) -> str:
        """Return a token for a connection that measures."""
        return mint(self.secret or "", f"{self._prefix}-probe", lifetime_s=USER_LIFETIME_S)


class WitnessPage:
    """``/metrics`` and ``/health`` of the witness, as a WSGI application.

    Args:
        witness: the witness.
        metrics: its metrics.
        every_s: length of a round, s.
    """

    def __init__(self, witness: Witness, metrics: WitnessMetrics, every_s: float) -> None:
        self._witness = witness
        self._metrics = metrics
        self._late_ns = round(_LATE_ROUNDS * every_s * 1e9)
        self._since_ns = monotonic_ns()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            body, kind = self._metrics.expose(environ.get("HTTP_ACCEPT", ""))
            return _answer(start, "200 OK", kind, body)
        if path == "/health":
            is_healthy, content = self._health()
            status = "200 OK" if is_healthy else "503 Service Unavailable"
            return _answer(start, status, "application/json", json.dumps(content).encode())
        return _answer(start, "404 Not Found", "text/plain", b"/metrics and /health are here\n")

    def _health(self) -> tuple[bool, dict[str, object]]:
        """Return whether the witness can witness. Findings are the gateway's, not its own."""
        witness = self._witness
        seen_ns = witness.closed_ns or self._since_ns
        is_late = monotonic_ns() - seen_ns > self._late_ns
        is_healthy = witness.connected > 0 and not is_late
        return is_healthy, {
            "status": "ok" if is_healthy else "blind",
            "connected": witness.connected,
            "rounds": witness.rounds,
            "findings": sum(self._metrics.findings.values()),
        }


def run_witness(words: str) -> ExitCode:
    """Watch a gateway as a plan in JSON says; return the exit code.

    Raises:
        OSError: the port of the page is in use.
        TokensRefused: the file of tokens cannot be used.
    """
    options = json.loads(words)
    tokens = _tokens(options)
    plan = WatchPlan(**{**options["plan"], "symbols": tuple(options["plan"]["symbols"])})
    metrics = WitnessMetrics()
    witness = Witness(plan, tokens, metrics, _say)
    host, port = options["listen"]
    page = WitnessPage(witness, metrics, plan.every_s)
    server = WSGIServer((host, port), page, log=None)
    server.start()
    _say({"listening": f"http://{host}:{server.server_port}", "canaries": witness.publishes})
    watching = gevent.spawn(witness.watch, options["duration_s"])
    for by in ending_signals():
        gevent.signal_handler(by, watching.kill, block=False)
    watching.join()
    server.stop(timeout=1)
    if watching.exception is not None:
        raise watching.exception
    if metrics.findings:
        return ExitCode.BUDGET_BROKEN
    return ExitCode.PASS if witness.has_seen else ExitCode.INVALID


def _tokens(options: dict[str, Any]) -> Tokens:
    if options["tokens"] is not None:
        return GivenTokens(Path(options["tokens"]))
    return WitnessTokens(os.environ["JWT_SECRET"], options["user"])


def _say(content: dict[str, Any]) -> None:
    print_result(f"{json.dumps(content, ensure_ascii=False)}\n")


def _answer(start: Start, status: str, kind: str, body: bytes) -> Iterable[bytes]:
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
