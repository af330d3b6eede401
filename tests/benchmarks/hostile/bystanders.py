"""What 200 well-behaved clients notice of one that means ill, in interleaved pairs."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Final

from tests.benchmarks.hostile.attacks import ATTACKS
from tests.benchmarks.hostile.gateways import SYMBOLS, Bench, Market
from tests.benchmarks.hostile.verdicts import (
    MOST_MORE_MS,
    MOST_RATIO,
    Comparison,
    Finding,
    compare,
    judge,
)
from tests.benchmarks.transport import cells, own_metrics
from tests.benchmarks.transport.crowd import Crowd, PeerFailed
from tests.benchmarks.transport.peers import ROOT

Report = Callable[[str], None]

_CLIENTS: Final = 200
_TICKS_PER_S: Final = 50
_WARM_S: Final = 0.2
_DRAIN_S: Final = 3.0
_ANSWER_S: Final = 20.0
_STOP_S: Final = 5.0
_RETURN_S: Final = 10.0
_USERS: Final = 1_000
# So short that one who never pongs is closed within a cell.
_SETTINGS: Final = {"GATEWAY_PING_INTERVAL_MS": "600", "GATEWAY_PING_TIMEOUT_MS": "1000"}
_PROMISE: Final = f"ratio ≤ {MOST_RATIO:g}, or < {MOST_MORE_MS:g} ms more"
_SPARE_SOCKETS: Final = 2  # a scrape's own, and one that is just going


class Attacker:
    """The process of the hostile clients; what it says is read in the crowd's poll.

    Args:
        crowd: answers the gateway while this one is waited for.
        market: whom to attack.
    """

    def __init__(self, crowd: Crowd, market: Market) -> None:
        self._crowd = crowd
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.hostile.attacker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._said = b""
        self._fd = self._stdout().fileno()
        crowd.foreign[self._fd] = self._hear
        crowd.poller.register(self._fd, select.EPOLLIN)
        tokens = [market.token(f"hostile-{i}") for i in range(_USERS)]
        self._tell({"port": market.port, "tokens": tokens, "symbols": SYMBOLS})

    def begin(self, name: str) -> None:
        """Start an attack; return when the gateway feels it.

        Raises:
            PeerFailed: it could not be started.
        """
        self._tell({"attack": name})
        self._hear_of("under_way")

    def end(self) -> dict[str, int]:
        """Stop the attack; return what it counted.

        Raises:
            PeerFailed: it had ended by itself: there was no attack to measure.
        """
        self._tell({})
        heard = self._hear_of("stopped")
        if heard["failed"]:
            raise PeerFailed(f"the attack {heard['stopped']} ended: {heard['failed']}")
        return dict(heard["counts"])

    def close(self) -> None:
        """End the process."""
        self._crowd.foreign.pop(self._fd, None)
        self._crowd.poller.unregister(self._fd)
        self._process.kill()
        self._process.wait(_STOP_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _stdout(self) -> Any:
        assert self._process.stdout is not None
        return self._process.stdout

    def _tell(self, words: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        self._process.stdin.flush()

    def _hear(self, data: bytes, _stamp_ns: int) -> None:
        if not data:
            raise PeerFailed("the process of the hostile clients has ended")
        self._said += data

    def _hear_of(self, word: str) -> dict[str, Any]:
        ends_ns = time.monotonic_ns() + round(_ANSWER_S * 1e9)

        def turn(now_ns: int) -> int | None:
            is_over = b"\n" in self._said or now_ns > ends_ns
            return None if is_over else now_ns + 5_000_000

        self._crowd.pump(turn)
        line, _, self._said = self._said.partition(b"\n")
        heard: dict[str, Any] = json.loads(line or b"{}")
        if word not in heard:
            raise PeerFailed(f"the hostile clients said {heard} where {word!r} was due")
        return heard


def measure(
    bench: Bench,
    attacks: Sequence[str],
    pairs: int,
    seconds: float,
    patience: int,
    report: Report,
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
    with bench.crowded("bystanders", _CLIENTS, _SETTINGS) as (market, crowd):
        attacker = Attacker(crowd, market)
        try:
            _cell(crowd, market, seconds)  # the first ticks pay for what is made once
            before = _footprint(market)
            rows = _Rows(crowd, market, attacker, seconds, patience)
            for number in range(pairs):
                report(f"bystanders, pair {number + 1} of {pairs}")
                for key in attacks if number % 2 == 0 else reversed(attacks):
                    rows.pair(key, hostile_first=number % 2 == 1)
            _await_return(crowd, market)
            after = _footprint(market)
        finally:
            attacker.close()
    token_start = market.token("any").partition(".")[0]  # the same of every token
    log = bench.log("bystanders").read_text(errors="replace")
    circumstances = {
        "others_share": median(rows.others_shares),
        "disturbed_cells": rows.disturbed_cells,
    }
    left = _aftermath(before, after, log, token_start, circumstances)
    return [*(rows.finding(key) for key in attacks), left]


class _Rows:
    """The pairs of every attack."""

    def __init__(
        self, crowd: Crowd, market: Market, attacker: Attacker, seconds: float, patience: int
    ) -> None:
        self._crowd = crowd
        self._market = market
        self._attacker = attacker
        self._seconds = seconds
        self._patience = patience
        self._with_ms: dict[str, list[float]] = {}
        self._without_ms: dict[str, list[float]] = {}
        self._counts: dict[str, Counter[str]] = {}
        self.others_shares: list[float] = []
        self.disturbed_cells = 0

    def pair(self, key: str, *, hostile_first: bool) -> None:
        """Measure one pair."""
        for is_hostile in (hostile_first, not hostile_first):
            side = self._with_ms if is_hostile else self._without_ms
            p99_ms, others_share = self._calm_cell(key if is_hostile else None)
            side.setdefault(key, []).append(p99_ms)
            if not is_hostile:  # beside an attack, the attacker is among the others
                self.others_shares.append(others_share)

    def _calm_cell(self, key: str | None) -> tuple[float, float]:
        """Return p99, ms, and what others used of a core: of the first cell that is calm enough.

        That is one in which the host took nothing about a fifth of the ticks at least. A busy
        host is waited for a while; then the calmest cell of those has to do, with all its ticks.
        """
        fewest = _TICKS_PER_S * self._seconds / 5
        found = self._cell(key)
        for _ in range(self._patience):
            if found.calm_ticks >= fewest:
                break
            cells.rest(self._crowd, self._seconds)
            found = max(found, self._cell(key), key=lambda each: each.calm_ticks)
        is_calm = found.calm_ticks >= fewest
        self.disturbed_cells += not is_calm
        p99_ms = found.calm_p99_ms if is_calm else found.p99_ms
        assert p99_ms is not None, "a cell without a tick is no cell"
        return p99_ms, found.others_share

    def _cell(self, key: str | None) -> cells.Streamed:
        """Measure one cell, with an attack from its very beginning or without one."""
        if key is None:
            return _cell(self._crowd, self._market, self._seconds)
        self._attacker.begin(key)
        got = _cell(self._crowd, self._market, self._seconds)
        self._counts.setdefault(key, Counter()).update(self._attacker.end())
        _await_return(self._crowd, self._market)
        return got

    def finding(self, key: str) -> Finding:
        """Return the row of one attack."""
        with_ms, without_ms = self._with_ms[key], self._without_ms[key]
        compared = compare(with_ms, without_ms)
        return Finding(
            key=key,
            title=ATTACKS[key][0],
            measured=in_words(with_ms, without_ms, compared),
            promise=_PROMISE,
            verdict=compared.verdict,
            figures={
                "with_ms": with_ms,
                "without_ms": without_ms,
                "attack": dict(self._counts[key]),
            },
        )


def _cell(crowd: Crowd, market: Market, seconds: float) -> cells.Streamed:
    """Return what the bystanders got of ticks at due times."""
    got = cells.stream(crowd, market, _TICKS_PER_S, seconds, _WARM_S, _DRAIN_S)
    if got.p99_ms is None or got.refused:
        raise PeerFailed(f"{got.refused} ticks were refused, p99 is {got.p99_ms}")
    if got.delivered_share < 1:
        raise PeerFailed(f"bystanders got {got.delivered_share:.2%} of what was published")
    return got


def _await_return(crowd: Crowd, market: Market) -> None:
    """Wait until no client is left but the crowd."""
    ends_ns = time.monotonic_ns() + round(_RETURN_S * 1e9)
    while own_metrics.read(market.port)["tidegate_clients"] > _CLIENTS:
        if time.monotonic_ns() > ends_ns:
            raise PeerFailed(f"hostile clients are still connected after {_RETURN_S:g} s")
        cells.rest(crowd, 0.05)


def _footprint(market: Market) -> dict[str, float]:
    samples = own_metrics.read(market.port)
    return {
        "clients": samples["tidegate_clients"],
        "queue_bytes": samples["tidegate_queue_bytes"],
        "sockets": market.open_sockets(),
        "rss_mb": market.rss_bytes() / 2**20,
    }


def _aftermath(
    before: dict[str, float],
    after: dict[str, float],
    log: str,
    token_start: str,
    circumstances: dict[str, float],
) -> Finding:
    """Return the row of what all attacks together left behind."""
    tracebacks = log.count("Traceback")
    tokens = log.count(token_start)
    sockets = after["sockets"] - before["sockets"]
    is_kept = (
        after["clients"] == before["clients"]
        and not after["queue_bytes"]
        and sockets <= _SPARE_SOCKETS
        and not tracebacks
        and not tokens
    )
    return Finding(
        key="aftermath",
        title="after all of them",
        measured=(
            f"{after['clients'] - before['clients']:+.0f} clients, {sockets:+.0f} sockets, "
            f"{after['queue_bytes']:.0f} bytes waiting, "
            f"{after['rss_mb'] - before['rss_mb']:+.1f} MiB; "
            f"{tracebacks} tracebacks and {tokens} tokens in the log"
        ),
        promise="nothing left, nothing told",
        verdict=judge(is_kept),
        figures={
            "before": before,
            "after": after,
            "tracebacks": tracebacks,
            "tokens": tokens,
            **circumstances,
        },
    )


def in_words(with_ms: Sequence[float], without_ms: Sequence[float], compared: Comparison) -> str:
    """Return p99 without and with, their ratio and difference with intervals."""
    typical = [sorted(values)[len(values) // 2] for values in (without_ms, with_ms)]
    ratio, more = compared.ratio, compared.more_ms
    ends = ["", ""]
    if ratio.low is not None and more.low is not None:
        ends = [
            f" ({ratio.low:.2f} … {ratio.high:.2f})",
            f" ({more.low:+.2f} … {more.high:+.2f})",
        ]
    return (
        f"p99 {typical[0]:.1f} → {typical[1]:.1f} ms; × {ratio.value:.2f}{ends[0]}, "
        f"{more.value:+.2f} ms{ends[1]}"
    )
