"""How clients that never read end: by SIGTERM, by a kick, by their token's expiry."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Final

import gevent

from gateway.contract import CLOSE_TIMEOUT_SECONDS, HEALTH_PATH
from loadtests.reading.intake import Intake
from tests.benchmarks.hostile.findings import Finding, judge
from tests.benchmarks.hostile.market import HOST, NARROW_BYTES, Bench, Market, Reader
from tests.benchmarks.transport import own_metrics, wire
from tests.benchmarks.transport.crowd import PeerFailed

MOST_CLOSING_S: Final = CLOSE_TIMEOUT_SECONDS + 0.5
SHUTDOWN_S: Final = 5.0
_EXIT_SPARE_S: Final = 0.5  # for the interpreter itself, after the last socket
_READERS: Final = 180
_STUCK: Final = 20
_FEW: Final = 5
_FLOOD_PER_S: Final = 500
_LIFETIME_S: Final = 8
_GIVE_UP_S: Final = 15.0
_POLL_S: Final = 0.01
_TURN_S: Final = 0.05
_TICK_BYTES: Final = 300  # no less waits for one who is stuck: one tick
_READY: Final = f"GET {HEALTH_PATH}/ready HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
_REFUSED: Final = 0
_UPGRADED: Final = 101
_UNAVAILABLE: Final = 503


@contextlib.contextmanager
def _stuck(market: Market, tokens: Sequence[str]) -> Iterator[None]:
    """Add clients that never read, and let so much wait for each that it shows.

    Raises:
        PeerFailed: nothing waits for them: they are not stuck.
    """
    readers = [Reader(market, Intake(), receive_buffer_bytes=NARROW_BYTES) for _ in tokens]
    try:
        for reader, token in zip(readers, tokens, strict=True):
            reader.join(token)
            reader.client.pause()
        market.publish(_FLOOD_PER_S, 1.0)
        waiting = own_metrics.read(market.port)["tidegate_queue_bytes"]
        if waiting < len(tokens) * _TICK_BYTES:
            raise PeerFailed(f"{waiting:.0f} bytes wait for {len(tokens)} clients that never read")
        yield
    finally:
        for reader in readers:
            reader.client.close()


# SIGTERM


def measure_stop(bench: Bench) -> list[Finding]:
    """Stop a gateway by SIGTERM while 20 of its 200 clients do not read. Raises PeerFailed."""
    settings = {"GATEWAY_SHUTDOWN_SECONDS": f"{SHUTDOWN_S:g}"}
    with (
        bench.crowded("stop", _READERS, settings) as (market, readers),
        _stuck(market, [market.token(f"stuck-{i}") for i in range(_STUCK)]),
    ):
        unready_s, ended_s, is_closed_to_new = _watch_stop(market)
        told_ms = [ms for reader in readers.all for ms in reader.told_ms]
        exit_code = market.process.poll()
    unready = "never" if unready_s is None else f"after {unready_s * 1e3:.0f} ms"
    ended = "never" if ended_s is None else f"{ended_s:.1f} s"
    spread = f"{min(told_ms)}–{max(told_ms)} ms" if told_ms else "nothing"
    is_kept = (
        unready_s is not None
        and is_closed_to_new
        and len(told_ms) == _READERS
        and len(set(told_ms)) > _READERS // 2
        and ended_s is not None
        and ended_s <= SHUTDOWN_S + _EXIT_SPARE_S
        and exit_code == 0
    )
    found = Finding(
        key="stop",
        title=f"SIGTERM, {_READERS + _STUCK} clients of which {_STUCK} never read",
        measured=(
            f"not ready {unready}; new clients {'refused' if is_closed_to_new else 'let in'};"
            f" {len(told_ms)} of {_READERS} told to return in {spread}; "
            f"ended in {ended}, exit code {exit_code}"
        ),
        promise=f"all of that, ended within {SHUTDOWN_S:g} s, exit code 0",
        verdict=judge(is_kept),
        figures={
            "unready_s": unready_s,
            "told_ms": told_ms,
            "ended_s": ended_s,
            "exit_code": exit_code,
        },
    )
    return [found]


def _watch_stop(market: Market) -> tuple[float | None, float | None, bool]:
    """Send SIGTERM; return when readiness was refused and when the process had ended, s after it.

    The last tells whether no new client was let in once readiness was refused.
    """
    unready_s, probed_s, is_closed_to_new = None, 0.0, True
    market.process.send_signal(signal.SIGTERM)
    began_s = time.monotonic()
    while (now_s := time.monotonic() - began_s) < _GIVE_UP_S:
        if market.process.poll() is not None:
            return unready_s, now_s, is_closed_to_new
        if now_s >= probed_s:
            probed_s = now_s + _TURN_S
            if unready_s is None and _answers(market.port, _READY) in {_REFUSED, _UNAVAILABLE}:
                unready_s = time.monotonic() - began_s
            if unready_s is not None:
                upgraded = _answers(market.port, wire.upgrade_request(market.port))
                is_closed_to_new &= upgraded != _UPGRADED
        gevent.sleep(_POLL_S)
    return unready_s, None, is_closed_to_new


def _answers(port: int, request: bytes) -> int:
    """Return the status of an HTTP answer, 0 where the connection is refused."""
    try:
        with socket.create_connection((HOST, port), timeout=_GIVE_UP_S) as line:
            line.sendall(request)
            return int(line.recv(1_024).split(b" ", 2)[1])
    except (OSError, IndexError):
        return _REFUSED


# Kick and expiry


def measure_kick(bench: Bench) -> list[Finding]:
    """Kick clients that never read, by their users' second connections. Raises PeerFailed."""
    settings = {"GATEWAY_MAX_CONNECTIONS_PER_USER": "1"}
    with bench.crowded("kick", _FEW, settings) as (market, _):
        users = [market.token(f"stuck-{i}") for i in range(_FEW)]
        before = market.open_sockets()
        with _stuck(market, users):
            began_s = time.monotonic()
            rivals = [Reader(market, Intake()).join(token) for token in users]
            # The crowd, and one new connection for each that was kicked.
            gone_s = _await_sockets(market, before + _FEW) - began_s
            for rival in rivals:
                rival.client.close()
    return [_closing_finding("kick", f"{_FEW} kicked that never read", gone_s)]


def measure_expiry(bench: Bench) -> list[Finding]:
    """Let the tokens of clients that never read expire. Raises PeerFailed."""
    with bench.crowded("expiry", _FEW, {"GATEWAY_TOKEN_LEEWAY_SECONDS": "0"}) as (market, _):
        before = market.open_sockets()
        tokens, expires_unix_s = _mint(market)
        with _stuck(market, tokens):
            if time.time() >= expires_unix_s:
                raise PeerFailed("the tokens expired before their clients were stuck")
            expires_s = time.monotonic() + expires_unix_s - time.time()
            gone_s = _await_sockets(market, before) - expires_s
    return [_closing_finding("expiry", f"{_FEW} expired that never read", gone_s)]


def _mint(market: Market) -> tuple[list[str], int]:
    """Return tokens that expire in the same second, and that second."""
    while True:
        second = int(time.time())
        tokens = [market.token(f"stuck-{i}", _LIFETIME_S) for i in range(_FEW)]
        if int(time.time()) == second:
            return tokens, second + _LIFETIME_S


def _await_sockets(market: Market, wanted: int) -> float:
    """Return when the gateway holds no more sockets than that, s of the monotonic clock."""
    ends_s = time.monotonic() + _GIVE_UP_S
    while (held := market.open_sockets()) > wanted:
        if time.monotonic() > ends_s:
            raise PeerFailed(f"{held - wanted} sockets are left after {_GIVE_UP_S:g} s")
        gevent.sleep(_POLL_S)
    return time.monotonic()


def _closing_finding(key: str, title: str, gone_s: float) -> Finding:
    return Finding(
        key=key,
        title=title,
        measured=f"the last socket gone after {gone_s:.2f} s",
        promise=f"within {MOST_CLOSING_S:g} s",
        verdict=judge(gone_s <= MOST_CLOSING_S),
        figures={"gone_s": gone_s},
    )
