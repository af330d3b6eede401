"""What 200 well-behaved clients notice of a hostile one, in interleaved pairs of cells."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, Final, NamedTuple

import gevent
import gevent.socket
import numpy as np

from loadtests.reading.batches import Integers
from tests.benchmarks.hostile.attacks import ATTACKS
from tests.benchmarks.hostile.findings import MOST_MORE_MS, MOST_RATIO, Finding, compare, judge
from tests.benchmarks.hostile.market import NS_PER_S, Bench, Market, Readers
from tests.benchmarks.transport import own_metrics, processes
from tests.benchmarks.transport.crowd import PeerFailed
from tests.benchmarks.transport.peers import ROOT
from tests.benchmarks.transport.reading import is_calm, quantile_ms

_ATTACKS: Final = "tests.benchmarks.hostile.attacks"
_CLIENTS: Final = 200
_TICKS_PER_S: Final = 50
_WARM_S: Final = 0.2
_DRAIN_S: Final = 3.0
_ANSWER_S: Final = 20.0
_RETURN_S: Final = 10.0
# The gateway closes a client that never answers within a cell. A generator that a busy host
# stops for two seconds keeps its clients.
_SETTINGS: Final = {"GATEWAY_PING_INTERVAL_MS": "600", "GATEWAY_PING_TIMEOUT_MS": "2500"}
_SPARE_SOCKETS: Final = 2  # a scrape's own, and one that is just going


@contextlib.contextmanager
def attacking(key: str, port: int, secret: str) -> Iterator[Counter[str]]:
    """Attack from when the gateway feels it to the end of the block; then give what was counted.

    Raises:
        PeerFailed: it could not be started, or had ended by itself: there was none to measure.
    """
    command = [sys.executable, *("-m", "gevent.monkey", "--module", _ATTACKS, key)]
    counts: Counter[str] = Counter()
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"port": port, "secret": secret}).encode())
            process.stdin.flush()
            _hear(process, "under_way")
            yield counts
            process.stdin.close()
            heard = _hear(process, "counts")
        finally:
            process.kill()
    if heard["failed"]:
        raise PeerFailed(f"the attack {key} ended: {heard['failed']}")
    counts.update(heard["counts"])


def _hear(process: subprocess.Popen[bytes], word: str) -> dict[str, Any]:
    assert process.stdout is not None
    gevent.socket.wait_read(process.stdout.fileno(), _ANSWER_S, PeerFailed(f"no {word!r}"))
    heard: dict[str, Any] = json.loads(process.stdout.readline() or b"{}")
    if word not in heard:
        raise PeerFailed(f"the hostile client said {heard} where {word!r} was due")
    return heard


def measure(
    bench: Bench,
    attacks: Sequence[str],
    pairs: int,
    seconds: float,
    patience: int,
    report: Callable[[str], None],
) -> list[Finding]:
    """Measure every attack beside its absence, pair by pair, on one gateway.

    Args:
        bench: starts the gateway.
        attacks: keys of ``ATTACKS``.
        pairs: of cells for each attack; the order turns from pair to pair.
        seconds: measured of each cell.
        patience: how often a cell is measured again that the host disturbed.
        report: told what happens.

    Raises:
        PeerFailed: a bystander was closed or not served, or an attack could not be made.
    """
    with bench.crowded("bystanders", _CLIENTS, _SETTINGS) as (market, readers):
        rows = _Rows(market, readers, seconds, patience)
        with market.publishing(_TICKS_PER_S):
            rows.cell(None)  # the first ticks pay for what is made once
        before = _footprint(market)
        with market.publishing(_TICKS_PER_S):
            for number in range(pairs):
                report(f"bystanders, pair {number + 1} of {pairs}")
                for key in attacks if number % 2 == 0 else reversed(attacks):
                    rows.pair(key, hostile_first=number % 2 == 1)
        _await_return(market)
        after = _footprint(market)
    log = bench.log("bystanders").read_text(errors="replace")
    token_start = market.token("any").partition(".")[0]  # the same of every token
    told = {"tracebacks": log.count("Traceback"), "tokens": log.count(token_start)}
    around = {
        "others_share": median(rows.others_shares),
        "disturbed_cells": rows.disturbed_cells,
    }
    return [*(rows.finding(key) for key in attacks), _aftermath(before, after, told, around)]


class Cell(NamedTuple):
    """What bystanders got of the ticks that were due in a span.

    Attributes:
        p99_ms: from a tick's due time to its read.
        calm_p99_ms: same, of the ticks without host steal around them.
        calm_ticks: how many these are.
        others_share: of one core, what other programs on the machine used.
    """

    p99_ms: float | None
    calm_p99_ms: float | None
    calm_ticks: int
    others_share: float


class _Rows:
    """The pairs of every attack."""

    def __init__(self, market: Market, readers: Readers, seconds: float, patience: int) -> None:
        self._market = market
        self._readers = readers
        self._seconds = seconds
        self._patience = patience
        self._p99s_ms: dict[tuple[str, bool], list[float]] = {}
        self._counts: dict[str, Counter[str]] = {}
        self.others_shares: list[float] = []
        self.disturbed_cells = 0

    def pair(self, key: str, *, hostile_first: bool) -> None:
        for is_hostile in (hostile_first, not hostile_first):
            cell = self._calm_cell(key if is_hostile else None)
            assert cell.p99_ms is not None, "a cell without a tick is no cell"
            self._p99s_ms.setdefault((key, is_hostile), []).append(cell.p99_ms)
            if not is_hostile:
                self.others_shares.append(cell.others_share)

    def _calm_cell(self, key: str | None) -> Cell:
        """Return the first cell that is calm enough, of its calm ticks.

        In such a cell at least a fifth of the ticks have no host steal around them. A busy host
        is waited for; then the calmest of the cells has to do, with all its ticks.
        """
        fewest = _TICKS_PER_S * self._seconds / 5
        found = self.cell(key)
        for _ in range(self._patience):
            if found.calm_ticks >= fewest:
                break
            gevent.sleep(self._seconds)
            found = max(found, self.cell(key), key=lambda each: each.calm_ticks)
        if found.calm_ticks >= fewest:
            return found._replace(p99_ms=found.calm_p99_ms)
        self.disturbed_cells += 1
        return found

    def cell(self, key: str | None) -> Cell:
        """Measure one cell, with an attack from its very beginning or without one."""
        if key is None:
            return stream(self._readers, self._seconds)
        with attacking(key, self._market.port, self._market.secret) as counts:
            got = stream(self._readers, self._seconds)
        self._counts.setdefault(key, Counter()).update(counts)
        _await_return(self._market)
        return got

    def finding(self, key: str) -> Finding:
        with_ms, without_ms = self._p99s_ms[key, True], self._p99s_ms[key, False]
        compared = compare(with_ms, without_ms)
        return Finding(
            key=key,
            title=ATTACKS[key][0],
            measured=compared.in_words(),
            promise=f"ratio ≤ {MOST_RATIO:g}, or < {MOST_MORE_MS:g} ms more",
            verdict=compared.verdict,
            figures={
                "with_ms": with_ms,
                "without_ms": without_ms,
                "attack": dict(self._counts[key]),
            },
        )


def stream(readers: Readers, seconds: float) -> Cell:
    """Return what the readers get of the ticks that are due from 0.2 s from now on.

    Raises:
        PeerFailed: one was closed, lacks a tick, or had not read all 3 s after the last was due.
    """
    readers.intake.drain()
    readers.intake.memo.turn()
    # Whole µs, as in ``srcTs``.
    start_ns = (time.monotonic_ns() + round(_WARM_S * NS_PER_S)) // 1_000 * 1_000
    end_ns = start_ns + round(seconds * 1e6) * 1_000
    host, others_ns, began_ns = [], _others_ns(), time.monotonic_ns()
    while (now_ns := time.monotonic_ns()) < end_ns + NS_PER_S / _TICKS_PER_S:
        host.append((now_ns, processes.machine_stolen_ns()))
        gevent.sleep(1 / _TICKS_PER_S)
    others_share = (_others_ns() - others_ns) / (time.monotonic_ns() - began_ns)
    dues_ns, spans_ns = _read_all(readers, start_ns, end_ns, int(_TICKS_PER_S * seconds))
    host.append((time.monotonic_ns(), processes.machine_stolen_ns()))
    calm = is_calm(dues_ns, host, round(NS_PER_S / _TICKS_PER_S))
    calm_p99_ms = quantile_ms(spans_ns[calm], 0.99)
    return Cell(
        quantile_ms(spans_ns, 0.99), calm_p99_ms, len(np.unique(dues_ns[calm])), others_share
    )


def _read_all(
    readers: Readers, start_ns: int, end_ns: int, ticks: int
) -> tuple[Integers, Integers]:
    """Return due time and latency of each read of the ticks due in a span, once all have come."""
    dues_ns = spans_ns = np.empty(0, dtype=np.int64)
    while True:
        readers.check()
        batch = readers.intake.drain()
        if batch is not None:
            due_ns = batch.stamps_ns - batch.response_ns
            within = batch.is_intended & (due_ns >= start_ns) & (due_ns < end_ns)
            dues_ns = np.concatenate((dues_ns, due_ns[within]))
            spans_ns = np.concatenate((spans_ns, batch.response_ns[within]))
        _, copies = np.unique(dues_ns, return_counts=True)
        if len(copies) >= ticks and (copies == len(readers.all)).all():
            return dues_ns, spans_ns
        if time.monotonic_ns() > end_ns + _DRAIN_S * NS_PER_S:
            share = len(dues_ns) / (ticks * len(readers.all))
            raise PeerFailed(f"bystanders got {share:.2%} of what was due")
        gevent.sleep(0.02)


def _others_ns() -> int:
    """Return the CPU time that no process of this benchmark used, ns."""
    return processes.machine_busy_ns() - processes.cpu_ns(os.getpid())


def _await_return(market: Market) -> None:
    """Wait until no client is left but the bystanders."""
    ends_s = time.monotonic() + _RETURN_S
    while own_metrics.read(market.port)["tidegate_clients"] > _CLIENTS:
        if time.monotonic() > ends_s:
            raise PeerFailed(f"hostile clients are still connected after {_RETURN_S:g} s")
        gevent.sleep(0.05)


def _footprint(market: Market) -> dict[str, float]:
    samples = own_metrics.read(market.port)
    return {
        "clients": samples["tidegate_clients"],
        "queue_bytes": samples["tidegate_queue_bytes"],
        "sockets": market.open_sockets(),
        "rss_mb": market.rss_bytes() / 2**20,
    }


def _aftermath(
    before: dict[str, float], after: dict[str, float], told: dict[str, int], around: dict[str, Any]
) -> Finding:
    """Return the row of what all attacks together left behind."""
    more = {name: value - before[name] for name, value in after.items()}
    is_clean = (
        not more["clients"] and more["sockets"] <= _SPARE_SOCKETS and not after["queue_bytes"]
    )
    return Finding(
        key="aftermath",
        title="after all of them",
        measured=(
            f"{more['clients']:+.0f} clients, {more['sockets']:+.0f} sockets, "
            f"{after['queue_bytes']:.0f} bytes waiting, {more['rss_mb']:+.1f} MiB; "
            f"{told['tracebacks']} tracebacks and {told['tokens']} tokens in the log"
        ),
        promise="nothing left, nothing told",
        verdict=judge(is_clean and not any(told.values())),
        figures={"before": before, "after": after, **told, **around},
    )
