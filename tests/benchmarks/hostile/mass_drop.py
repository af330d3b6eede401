"""Thousands of clients that drop at once, beside a protocol that does nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

import gevent

from loadtests.plan.addresses import source_address
from tests.benchmarks.hostile.findings import Finding, Verdict, judge
from tests.benchmarks.hostile.market import HOST, Bench, Market
from tests.benchmarks.hostile.probed import ASK, HOLD, HOLD_S
from tests.benchmarks.transport.crowd import PeerFailed

MOST_RATIO: Final = 2.0
MOST_EMPTY_S: Final = 2.0
_MOST_GROWTH: Final = 1.5  # quadratic would be 4
SIZES: Final = (1_250, 2_500, 5_000)
_MODULE: Final = "tests.benchmarks.hostile.probed"
_SETTLE_S: Final = 1.0
_GIVE_UP_S: Final = 15.0
_POLL_S: Final = 0.02
_NOISE_MS: Final = 2.0  # a timer of 1 ms is that late on a core that others use too


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """What one mass drop cost, from when the loop saw the first client go to empty tables.

    Attributes:
        clients: that dropped.
        lag_ms: the longest that the loop was late.
        empty_s: how long it took.
    """

    clients: int
    lag_ms: float
    empty_s: float


def measure(bench: Bench, pairs: int, report: Callable[[str], None]) -> list[Finding]:
    """Drop 1,250, 2,500 and 5,000 clients, once a pair. Raises PeerFailed."""
    ours: list[Dropped] = []
    bare: list[Dropped] = []
    for _ in range(pairs):
        for size in SIZES:
            report(f"{size:,} clients drop at once")
            ours.append(_drop_clients(bench, size))
        report(f"{SIZES[-1]:,} connections to a bare protocol drop at once")
        bare.append(_drop_bare(bench, SIZES[-1]))
    return [_lag_finding(ours, bare), _growth_finding(ours)]


def _drop_clients(bench: Bench, count: int) -> Dropped:
    command = f"{_MODULE} gateway"
    with (
        bench.crowded(f"drop-{count}", count, command=command) as (market, readers),
        _probe(market) as probe,
    ):
        gevent.sleep(_SETTLE_S)
        readers.check()
        return _watch(probe, count, readers.close)


def _drop_bare(bench: Bench, count: int) -> Dropped:
    with (
        bench.serve("drop-bare", command=f"{_MODULE} bare") as market,
        _probe(market) as probe,
        contextlib.ExitStack() as opened,
    ):
        for number in range(count):
            source, address = (source_address(HOST, number) or HOST, 0), (HOST, market.port)
            opened.enter_context(socket.create_connection(address, _GIVE_UP_S, source))
        _poll(lambda: _ask(probe)["held"] == count, "a bare protocol did not accept them all")
        return _watch(probe, count, opened.close)


@contextlib.contextmanager
def _probe(market: Market) -> Iterator[Any]:
    """Connect to a server's probe: its second line tells where."""
    assert market.process.stdout is not None
    address = HOST, int(market.process.stdout.readline())
    with socket.create_connection(address, _GIVE_UP_S) as line, line.makefile("rwb", 0) as probe:
        yield probe


def _ask(probe: Any) -> dict[str, Any]:
    probe.write(ASK)
    answer: dict[str, Any] = json.loads(probe.readline() or b'{"held_before": "it has ended"}')
    return answer


def _poll(is_so: Callable[[], bool], problem: str) -> None:
    ends_s = time.monotonic() + _GIVE_UP_S
    while not is_so():
        if time.monotonic() > ends_s:
            raise PeerFailed(f"{problem} within {_GIVE_UP_S:g} s")
        time.sleep(_POLL_S)


def _watch(probe: Any, clients: int, close: Callable[[], None]) -> Dropped:
    """Have that many clients drop while the loop is held, and wait for empty tables.

    So the server sees all of them at once. If they came one by one, a server just quick enough
    would see a few at a time and one a little slower all of them in the end: their lags would
    differ by more than their work does.
    """
    held = _ask(probe)["held"]
    probe.write(HOLD)
    seen_s = time.monotonic() + HOLD_S
    time.sleep(_POLL_S)
    close()
    if time.monotonic() > seen_s:
        raise PeerFailed(f"{clients:,} sockets were not closed within {HOLD_S:g} s")
    told = [_ask(probe)]
    if told[0]["held_before"] != held:
        raise PeerFailed("the loop was not held when the first were closed")

    def is_empty() -> bool:
        told.append(_ask(probe))
        return told[-1]["empty_s"] is not None

    _poll(is_empty, "the tables were not empty")
    lag_ms = max(float(one["lag_ms"]) for one in told)
    return Dropped(clients=clients, lag_ms=lag_ms, empty_s=float(told[-1]["empty_s"]))


def _lag_finding(ours: Sequence[Dropped], bare: Sequence[Dropped]) -> Finding:
    largest = [one for one in ours if one.clients == SIZES[-1]]
    pairs = zip(largest, bare, strict=True)
    ratios = [own.lag_ms / max(beside.lag_ms, _NOISE_MS) for own, beside in pairs]
    empty_s = max(one.empty_s for one in ours)
    return Finding(
        key="mass-drop",
        title=f"{SIZES[-1]:,} clients drop at once",
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
    """Return what the pairs say together; where they disagree, nothing is decided."""
    if empty_s > MOST_EMPTY_S or min(ratios) > MOST_RATIO:
        return Verdict.BROKEN
    return Verdict.KEPT if max(ratios) <= MOST_RATIO else Verdict.UNDECIDED


def _growth_finding(ours: Sequence[Dropped]) -> Finding:
    costs_us = {
        size: median(one.empty_s / size * 1e6 for one in ours if one.clients == size)
        for size in SIZES
    }
    ratio = costs_us[SIZES[-1]] / costs_us[SIZES[0]]
    each = ", ".join(f"{cost:.0f} µs at {size:,}" for size, cost in costs_us.items())
    return Finding(
        key="mass-drop-growth",
        title="what each of them costs, close to empty tables",
        measured=f"{each} (× {ratio:.2f})",
        promise=f"linear: at {SIZES[-1]:,} at most {_MOST_GROWTH:g} × a client at {SIZES[0]:,}",
        verdict=judge(ratio <= _MOST_GROWTH),
        figures={"us_a_client": costs_us, "ratio": ratio},
    )
