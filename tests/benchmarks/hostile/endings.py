"""How clients that never read end: by SIGTERM, by a kick, by their token's expiry."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import os
import re
import select
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.contract import CLOSE_TIMEOUT_SECONDS, HEALTH_PATH
from tests.benchmarks.hostile import lines
from tests.benchmarks.hostile.gateways import SYMBOLS, Bench, Market
from tests.benchmarks.hostile.lines import Target
from tests.benchmarks.hostile.verdicts import Finding, judge
from tests.benchmarks.transport import own_metrics, wire
from tests.benchmarks.transport.crowd import Crowd, PeerFailed
from tests.benchmarks.transport.publisher import Publisher

MOST_CLOSING_S: Final = CLOSE_TIMEOUT_SECONDS + 0.5
SHUTDOWN_S: Final = 5.0
_EXIT_SPARE_S: Final = 0.5  # for the interpreter itself, after the last socket
_READERS: Final = 180
_STUCK: Final = 20
_FEW: Final = 5
_FLOOD_PER_S: Final = 500
_FLOOD_S: Final = 1.0
_DRAIN_S: Final = 1.0
_LIFETIME_S: Final = 6
_GIVE_UP_S: Final = 15.0
_POLL_S: Final = 0.01
_TURN_S: Final = 0.05
_READ_BYTES: Final = 65_536
_TICK_BYTES: Final = 300  # no less waits for one who is stuck: one tick
_READY_PATH: Final = f"{HEALTH_PATH}/ready"
_RECONNECT_AFTER: Final = re.compile(rb'"reconnectAfter":(\d+)')
_REFUSED: Final = 0
_UNAVAILABLE: Final = 503


@contextlib.contextmanager
def _stuck(market: Market, crowd: Crowd, tokens: Iterator[str], count: int) -> Iterator[None]:
    """Add clients that never read, and let so much wait for each that it shows.

    Raises:
        PeerFailed: nothing waits for them: they are not stuck.
    """
    target = Target(port=market.port, tokens=tokens, symbols=SYMBOLS)
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            line = asyncio.run(lines.join(target, lines.NARROW_BYTES))
            stack.callback(line.close)
        Publisher(crowd, market, _FLOOD_PER_S, _FLOOD_S, _DRAIN_S).run()
        waiting = own_metrics.read(market.port)["tidegate_queue_bytes"]
        if waiting < count * _TICK_BYTES:
            raise PeerFailed(f"{waiting:.0f} bytes wait for {count} clients that never read")
        yield


# SIGTERM


@dataclass(kw_only=True)
class Stop:
    """What was seen from SIGTERM to the end of the process; times in s from the signal.

    Attributes:
        unready_s: when readiness was refused.
        is_closed_to_new: no new client was let in afterwards.
        told_ms: what each client was told to wait before it returns.
        ended_s: when the process had ended.
        exit_code: with which.
    """

    unready_s: float | None = None
    is_closed_to_new: bool = True
    told_ms: list[int] = field(default_factory=list)
    ended_s: float | None = None
    exit_code: int | None = None


def measure_stop(bench: Bench) -> list[Finding]:
    """Stop a gateway by SIGTERM while 20 of its 200 clients do not read.

    Raises:
        PeerFailed: it did not start, or the 20 were not stuck.
    """
    settings = {"GATEWAY_SHUTDOWN_SECONDS": f"{SHUTDOWN_S:g}"}
    with bench.crowded("stop", _READERS, settings) as (market, crowd):
        tokens = (market.token(f"stuck-{i}") for i in itertools.count())
        with _stuck(market, crowd, tokens, _STUCK):
            stop = _watch_stop(market, crowd)
    return [_stop_finding(stop)]


def _watch_stop(market: Market, crowd: Crowd) -> Stop:
    stop, rests = Stop(), dict.fromkeys(crowd.fds, b"")
    poll = select.epoll()
    for fd in rests:
        poll.register(fd, select.EPOLLIN)
    market.process.send_signal(signal.SIGTERM)
    began_s = time.monotonic()
    probed_s = 0.0
    while time.monotonic() < began_s + _GIVE_UP_S:
        _read_all(poll, rests)
        now_s = time.monotonic() - began_s
        if market.process.poll() is not None:
            stop.ended_s, stop.exit_code = now_s, market.process.returncode
            break
        if now_s < probed_s:
            continue
        probed_s = now_s + _TURN_S
        if stop.unready_s is None and _status(market.port, _READY_PATH) in {
            _REFUSED,
            _UNAVAILABLE,
        }:
            stop.unready_s = time.monotonic() - began_s
        if stop.unready_s is not None:
            stop.is_closed_to_new &= not _lets_in(market.port)
    _read_all(poll, rests)
    poll.close()
    stop.told_ms = [int(ms) for said in rests.values() for ms in _RECONNECT_AFTER.findall(said)]
    return stop


def _read_all(poll: select.epoll, rests: dict[int, bytes]) -> None:
    for fd, _ in poll.poll(_POLL_S):
        try:
            data = os.read(fd, _READ_BYTES)
        except OSError:
            data = b""
        if not data:
            poll.unregister(fd)
        rests[fd] += data


def _status(port: int, path: str) -> int:
    """Return the status of an HTTP answer, 0 where the connection is refused."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_GIVE_UP_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return _REFUSED
    finally:
        connection.close()


def _lets_in(port: int) -> bool:
    """Say whether a new WebSocket is accepted."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_GIVE_UP_S) as line:
            line.sendall(wire.upgrade_request(port))
            return line.recv(_READ_BYTES).startswith(b"HTTP/1.1 101")
    except OSError:
        return False


def _stop_finding(stop: Stop) -> Finding:
    unready = "never" if stop.unready_s is None else f"after {stop.unready_s * 1e3:.0f} ms"
    ended = "never" if stop.ended_s is None else f"{stop.ended_s:.1f} s"
    spread = f"{min(stop.told_ms)}–{max(stop.told_ms)} ms" if stop.told_ms else "nothing"
    is_kept = (
        stop.unready_s is not None
        and stop.is_closed_to_new
        and len(stop.told_ms) == _READERS
        and len(set(stop.told_ms)) > _READERS // 2
        and stop.ended_s is not None
        and stop.ended_s <= SHUTDOWN_S + _EXIT_SPARE_S
        and stop.exit_code == 0
    )
    return Finding(
        key="stop",
        title=f"SIGTERM, {_READERS + _STUCK} clients of which {_STUCK} never read",
        measured=(
            f"not ready {unready}; new clients {'refused' if stop.is_closed_to_new else 'let in'};"
            f" {len(stop.told_ms)} of {_READERS} told to return in {spread}; "
            f"ended in {ended}, exit code {stop.exit_code}"
        ),
        promise=f"all of that, ended within {SHUTDOWN_S:g} s, exit code 0",
        verdict=judge(is_kept),
        figures={
            "unready_s": stop.unready_s,
            "told_ms": stop.told_ms,
            "ended_s": stop.ended_s,
            "exit_code": stop.exit_code,
        },
    )


# Kick and expiry


def measure_kick(bench: Bench) -> list[Finding]:
    """Kick clients that never read, by their users' second connections.

    Raises:
        PeerFailed: they were not stuck, or never went.
    """
    settings = {"GATEWAY_MAX_CONNECTIONS_PER_USER": "1"}
    with bench.crowded("kick", _FEW, settings) as (market, crowd):
        users = [market.token(f"stuck-{i}") for i in range(_FEW)]
        before = market.open_sockets()
        with _stuck(market, crowd, iter(users), _FEW), contextlib.ExitStack() as stack:
            target = Target(port=market.port, tokens=iter(users), symbols=SYMBOLS)
            began_s = time.monotonic()
            for _ in users:
                stack.callback(asyncio.run(lines.join(target)).close)
            # The crowd, and one new connection for each that was kicked.
            gone_s = _await_sockets(market, before + _FEW) - began_s
    return [_closing_finding("kick", f"{_FEW} kicked that never read", gone_s)]


def measure_expiry(bench: Bench) -> list[Finding]:
    """Let the tokens of clients that never read expire.

    Raises:
        PeerFailed: they were not stuck, or never went.
    """
    settings = {"GATEWAY_TOKEN_LEEWAY_SECONDS": "0"}
    with bench.crowded("expiry", _FEW, settings) as (market, crowd):
        before = market.open_sockets()
        tokens, expires_unix_s = _mint(market)
        with _stuck(market, crowd, iter(tokens), _FEW):
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
        time.sleep(_POLL_S)
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
