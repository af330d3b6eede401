"""Thousands of clients that drop at once, beside a protocol that does nothing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from tests.benchmarks.hostile.gateways import SUBSCRIBE, Bench, Market
from tests.benchmarks.hostile.probed import ASK, HOLD, HOLD_S
from tests.benchmarks.hostile.verdicts import Finding, Verdict, judge
from tests.benchmarks.transport import cells
from tests.benchmarks.transport.crowd import Crowd, PeerFailed

Report = Callable[[str], None]

MOST_RATIO: Final = 2.0
MOST_EMPTY_S: Final = 2.0
_MOST_GROWTH: Final = 1.5  # quadratic would be 4
SIZES: Final = (1_250, 2_500, 5_000)
_MODULE: Final = "tests.benchmarks.hostile.probed"
_CONNECT_S: Final = 60.0
_SETTLE_S: Final = 1.0
_GIVE_UP_S: Final = 15.0
_POLL_S: Final = 0.02
_ANSWER_S: Final = 15.0
_CLIENTS_AN_ADDRESS: Final = 1_000
_NOISE_MS: Final = 2.0
"""Shorter lags are the machine's: a timer of 1 ms on a core that others use too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """What one mass drop cost.

    Attributes:
        clients: that dropped.
        lag_ms: the longest that the loop was late, from when it saw the first to empty tables.
        empty_s: from then to empty tables.
    """

    clients: int
    lag_ms: float
    empty_s: float


class ProbeLine:
    """The connection to a server's probe.

    Args:
        market: started as the probed module.
    """

    def __init__(self, market: Market) -> None:
        stdout = market.process.stdout
        assert stdout is not None
        port = int(stdout.readline())  # written in one piece with the line that was read
        self._line = socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_S)

    def ask(self) -> dict[str, Any]:
        """Return the answer of ``probed``.

        Raises:
            PeerFailed: the server has ended.
        """
        self._line.sendall(ASK)
        answer = b""
        while not answer.endswith(b"\n"):
            data = self._line.recv(4_096)
            if not data:
                raise PeerFailed("the probed server has ended")
            answer += data
        words: dict[str, Any] = json.loads(answer)
        return words

    def close(self) -> None:
        """Close it."""
        self._line.close()

    def watch(self, clients: int, close: Callable[[], None]) -> Dropped:
        """Have that many clients drop while the loop is held, and wait for empty tables.

        So it sees all of them at once, whichever server it is. Were they to come one by one, a
        server that is just quick enough for them would see a few at a time, and one that is
        slower by a little all of them in the end: the lags of two servers would be apart by more
        than their work is.

        Args:
            clients: how many.
            close: closes them.

        Raises:
            PeerFailed: they were not closed within the hold, or the tables not empty after 15 s.
        """
        held = self.ask()["held"]
        self._line.sendall(HOLD)
        seen_s = time.monotonic() + HOLD_S
        time.sleep(_POLL_S)
        close()
        if time.monotonic() > seen_s:
            raise PeerFailed(f"{clients:,} sockets were not closed within {HOLD_S:g} s")
        told = self.ask()
        if told["held_before"] != held:
            raise PeerFailed("the loop was not held when the first were closed")
        longest_ms = float(told["lag_ms"])
        while told["empty_s"] is None:
            if time.monotonic() > seen_s + _GIVE_UP_S:
                raise PeerFailed(f"{told['held']} entries are left {_GIVE_UP_S:g} s after the drop")
            time.sleep(_POLL_S)
            told = self.ask()
            longest_ms = max(longest_ms, float(told["lag_ms"]))
        return Dropped(clients=clients, lag_ms=longest_ms, empty_s=float(told["empty_s"]))


def measure(bench: Bench, pairs: int, report: Report) -> list[Finding]:
    """Drop 1,250, 2,500 and 5,000 clients, once a pair.

    Raises:
        PeerFailed: not all were connected, or tables never became empty.
    """
    ours: list[Dropped] = []
    bare: list[Dropped] = []
    most = max(SIZES)
    for _ in range(pairs):
        for size in SIZES:
            report(f"{size:,} clients drop at once")
            ours.append(_drop_clients(bench, size))
        report(f"{most:,} connections to a bare protocol drop at once")
        bare.append(_drop_bare(bench, most))
    return [_lag_finding(ours, bare), _growth_finding(ours)]


def _drop_clients(bench: Bench, count: int) -> Dropped:
    with bench.serve(f"drop-{count}", command=f"{_MODULE} gateway") as market:
        probe = ProbeLine(market)
        crowd = Crowd(market.port, market.tokens(count))
        try:
            crowd.connect(count, _CONNECT_S)
            crowd.ask(SUBSCRIBE, "subscribed", _CONNECT_S)
            cells.rest(crowd, _SETTLE_S)
            return probe.watch(count, crowd.close)
        finally:
            crowd.close()
            probe.close()


def _drop_bare(bench: Bench, count: int) -> Dropped:
    with bench.serve("drop-bare", command=f"{_MODULE} bare") as market:
        probe = ProbeLine(market)
        opened: list[socket.socket] = []
        try:
            for number in range(count):
                source = f"127.2.0.{number // _CLIENTS_AN_ADDRESS + 1}"
                opened.append(
                    socket.create_connection(
                        ("127.0.0.1", market.port), _ANSWER_S, source_address=(source, 0)
                    )
                )
            _await_held(probe, count)
            return probe.watch(count, lambda: _close_all(opened))
        finally:
            _close_all(opened)
            probe.close()


def _await_held(probe: ProbeLine, count: int) -> None:
    ends_s = time.monotonic() + _ANSWER_S
    while probe.ask()["held"] < count:
        if time.monotonic() > ends_s:
            raise PeerFailed("a bare protocol did not accept all connections")
        time.sleep(_POLL_S)


def _close_all(opened: Sequence[socket.socket]) -> None:
    for one in opened:
        one.close()


def _lag_finding(ours: Sequence[Dropped], bare: Sequence[Dropped]) -> Finding:
    largest = [one for one in ours if one.clients == max(SIZES)]
    ratios = [
        own.lag_ms / max(beside.lag_ms, _NOISE_MS)
        for own, beside in zip(largest, bare, strict=True)
    ]
    empty_s = max(one.empty_s for one in ours)
    return Finding(
        key="mass-drop",
        title=f"{max(SIZES):,} clients drop at once",
        measured=(
            f"longest lag {median(one.lag_ms for one in largest):.0f} ms, a bare protocol's "
            f"{median(one.lag_ms for one in bare):.0f} ms (× {median(ratios):.2f}, pair by pair "
            f"{min(ratios):.2f} … {max(ratios):.2f}); tables empty after {empty_s:.2f} s"
        ),
        promise=f"≤ {MOST_RATIO:g} × the bare protocol's; empty within {MOST_EMPTY_S:g} s",
        verdict=judge_drop(ratios, empty_s),
        figures={"ours": [asdict(one) for one in ours], "bare": [asdict(one) for one in bare]},
    )


def judge_drop(ratios: Sequence[float], empty_s: float) -> Verdict:
    """Return what the pairs say together; where they disagree, nothing is decided.

    Args:
        ratios: of the lag to the bare protocol's, one for each pair.
        empty_s: the longest that tables took to be empty.
    """
    if empty_s > MOST_EMPTY_S or min(ratios) > MOST_RATIO:
        return Verdict.BROKEN
    return Verdict.KEPT if max(ratios) <= MOST_RATIO else Verdict.UNDECIDED


def _growth_finding(ours: Sequence[Dropped]) -> Finding:
    costs_us = {
        size: median(one.empty_s / size * 1e6 for one in ours if one.clients == size)
        for size in SIZES
    }
    ratio = costs_us[SIZES[-1]] / costs_us[SIZES[0]]
    each = ", ".join(f"{costs_us[size]:.0f} µs at {size:,}" for size in SIZES)
    return Finding(
        key="mass-drop-growth",
        title="what each of them costs, close to empty tables",
        measured=f"{each} (× {ratio:.2f})",
        promise=f"linear: at {SIZES[-1]:,} at most {_MOST_GROWTH:g} × a client at {SIZES[0]:,}",
        verdict=judge(ratio <= _MOST_GROWTH),
        figures={"us_a_client": costs_us, "ratio": ratio},
    )
