"""The order of a run: pairs, peers there and back, and for each peer three populations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.transport import cells, own_metrics
from tests.benchmarks.transport.crowd import Crowd, PeerFailed
from tests.benchmarks.transport.peers import Peer, Running, start
from tests.benchmarks.transport.rows import BASE, OURS, POPULATIONS, Figures

Report = Callable[[str], None]

CELLS: Final = {
    "few": ("few_x2", "few_x20"),
    "many": ("arrive", "ping", "many_x4", "many_x10", "many_x20"),
    "most": ("most_x2", "idle", "own_metrics"),
}
_NOT_FOR_THE_FLOOR: Final = ("arrive", "idle")  # it checks no token, keeps no state, beats not
_RATES: Final = {
    "few_x2": 2,
    "few_x20": 20,
    "many_x4": 4,
    "many_x10": 10,
    "many_x20": 20,
    "most_x2": 2,
}
_DRAIN_S: Final = 10.0
_NO_DRAIN_S: Final = 0.5
"""After a stage's last cell, which only counts what came in its window."""
_HEARTBEAT_S: Final = {"few": 30.0, "many": 30.0, "most": 25.0}
_IDLE_S: Final = 25.0
"""One Engine.IO ping and one heartbeat for each client lie in it, wherever it starts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """How long and how big the cells are.

    Attributes:
        seconds: the measured part of a cell of ticks.
        warm_s: before it.
        ping_s: of pings.
        shrink: what every number of clients is divided by.
        is_quick: only ours is measured with the largest number of clients.
    """

    seconds: float = 3.0
    warm_s: float = 1.0
    ping_s: float = 4.0
    shrink: int = 1
    is_quick: bool = False


@dataclass(kw_only=True)
class Run:
    """What is measured, and what came out.

    Attributes:
        peers: those that can run here.
        wanted: cells that are asked for.
        lengths: of the cells.
        server_core: where every peer runs.
        folder: for their logs.
        report: told what happens.
        figures: one value a pair, by row and peer.
        notes: what every cell of ticks said of itself, and failures.
    """

    peers: Sequence[Peer]
    wanted: Collection[str]
    lengths: Lengths
    server_core: int
    folder: Path
    report: Report
    figures: Figures = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    _metrics_before: own_metrics.Samples = field(default_factory=dict)

    def pair(self, number: int) -> None:
        """Measure every peer once; odd pairs in the table's order, even ones backwards."""
        order = list(self.peers) if number % 2 else list(reversed(self.peers))
        for stage in POPULATIONS:
            for peer in order:
                wanted = [c for c in CELLS[stage] if self._is_due(c, peer, number)]
                if wanted:
                    self._stage(stage, peer, wanted, number)
        for by_peer in self.figures.values():
            for values in by_peer.values():
                values.extend([None] * (number - len(values)))

    def _is_due(self, cell: str, peer: Peer, pair: int) -> bool:
        """Say whether a cell is for this peer; of 10,000 clients the others show one pair."""
        if cell not in self.wanted or (peer.is_floor and cell in _NOT_FOR_THE_FLOOR):
            return False
        if cell == "own_metrics":
            return peer.key in (OURS, BASE)
        is_shown_once = pair == 1 and not self.lengths.is_quick
        return cell not in CELLS["most"] or peer.key in (OURS, BASE) or is_shown_once

    def _stage(self, stage: str, peer: Peer, wanted: Sequence[str], pair: int) -> None:
        count = max(1, POPULATIONS[stage] // self.lengths.shrink)
        log = self.folder / f"{peer.key}.log"
        try:
            with start(peer, self.server_core, _HEARTBEAT_S[stage], log) as running:
                crowd = Crowd(running.port, running.tokens(count))
                try:
                    self._cells(crowd, running, count, wanted, pair)
                finally:
                    crowd.close()
        except PeerFailed as error:
            self.notes.append(
                {"pair": pair, "peer": peer.key, "stage": stage, "failed": str(error)}
            )
            self.report(f"{peer.title}, {count:,} clients: {error}")

    def _cells(
        self, crowd: Crowd, peer: Running, count: int, wanted: Sequence[str], pair: int
    ) -> None:
        self.report(f"pair {pair}: {peer.peer.title}, {count:,} clients: arriving")
        grown = cells.populate(crowd, peer, count)
        cells.rest(crowd, peer.peer.tells_count_s)
        if "own_metrics" in wanted:
            self._metrics_before = own_metrics.read(peer.port)
        for cell in wanted:
            self.report(f"pair {pair}: {peer.peer.title}, {count:,} clients: {cell}")
            values = self._measure(cell, crowd, peer, grown, pair)
            for row, value in values.items():
                given = self.figures.setdefault(row, {}).setdefault(peer.peer.key, [])
                given.extend([None] * (pair - 1 - len(given)))
                given.append(value)

    def _measure(
        self, cell: str, crowd: Crowd, peer: Running, grown: cells.Grown, pair: int
    ) -> dict[str, float | None]:
        if cell in _RATES:
            return self._stream(cell, crowd, peer, pair)
        if cell == "arrive":
            steps = {f"kb_{step}": kb for step, kb in grown.kb_by_step.items()}
            total = sum(grown.kb_by_step.values())
            return {"connects_per_s": grown.connects_per_s, "kb_a_client": total, **steps}
        if cell == "ping":
            return {"ping_p99_ms": cells.ping_p99_ms(crowd, self.lengths.ping_s)}
        if cell == "idle":
            return {"idle_percent": 100 * cells.idle_share(crowd, peer, _IDLE_S)}
        return own_metrics.explain(self._metrics_before, own_metrics.read(peer.port))

    def _stream(self, cell: str, crowd: Crowd, peer: Running, pair: int) -> dict[str, float | None]:
        lengths = self.lengths
        got = cells.stream(
            crowd,
            peer,
            _RATES[cell],
            lengths.seconds,
            lengths.warm_s,
            _NO_DRAIN_S if cell == "many_x20" else _DRAIN_S,
        )
        self.notes.append({"pair": pair, "peer": peer.peer.key, "cell": cell, **asdict(got)})
        rows: dict[str, dict[str, float | None]] = {
            "few_x2": {"p50_1000_ms": got.p50_ms, "p99_1000_ms": got.p99_ms},
            "few_x20": {"cpu_1000_us": got.cpu_us},
            "many_x4": {"p50_5000_ms": got.p50_ms, "p99_5000_ms": got.p99_ms},
            "many_x10": {"cpu_us": got.cpu_us},
            "many_x20": {"delivered_per_s": got.delivered_per_s},
            "most_x2": {"cpu_10000_us": got.cpu_us},
        }
        return rows[cell]
