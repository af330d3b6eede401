"""Pushes of both brokers: two gateways live side by side, and the load goes to one in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from statistics import fmean
from typing import Final

from tests.benchmarks.nodes.ground import HEARTBEAT_S, Cell, Ground
from tests.benchmarks.nodes.rows import MEMORY, PUSHES
from tests.benchmarks.transport import cells
from tests.benchmarks.transport.cells import Streamed
from tests.benchmarks.transport.crowd import Crowd
from tests.benchmarks.transport.peers import start
from tests.benchmarks.transport.rows import OURS, POPULATIONS

CELLS: Final = {"few": ("few_x2",), "many": ("arrive", "many_x4", "many_x10")}
_TICKS_PER_S: Final = {"few_x2": 2.0, "many_x4": 4.0, "many_x10": 10.0}
_ANSWERS: Final[dict[str, Sequence[Callable[[Streamed], float | None]]]] = {
    "few_x2": (lambda got: got.p50_ms, lambda got: got.p99_ms),
    "many_x4": (lambda got: got.p50_ms, lambda got: got.p99_ms),
    "many_x10": (lambda got: got.cpu_us,),
}
_LATENCY: Final = ("few_x2", "many_x4")
_GLANCE_S: Final = 0.05  # enough to answer the Engine.IO pings of those that wait


def measure(ground: Ground, population: str, wanted: Collection[str]) -> None:
    """Measure the cells of a population that are wanted.

    Args:
        ground: takes the figures.
        population: ``few`` or ``many`` clients.
        wanted: names of cells.

    Raises:
        PeerFailed: a gateway failed its clients.
    """
    names = [name for name in CELLS[population] if name in wanted]
    count = max(1, POPULATIONS[population] // ground.lengths.shrink)
    order = (MEMORY, OURS) if ground.pair % 2 else (OURS, MEMORY)
    with contextlib.ExitStack() as stack:
        sides = {}
        for key in order:
            peer = ground.peer(key)
            ground.report(f"{count:,} clients arrive: {peer.title}")
            gateway = stack.enter_context(
                start(peer, ground.cores[0], HEARTBEAT_S, ground.log(peer))
            )
            crowd = Crowd(gateway.port, gateway.tokens(count))
            stack.callback(crowd.close)
            grown = cells.populate(crowd, gateway, count)
            if "arrive" in names:
                ground.keep(key, {"kb_a_client": sum(grown.kb_by_step.values())})
            sides[key] = Cell(crowd, gateway)
        for name in names:
            if name in _TICKS_PER_S:
                _alternate(ground, name, sides, order)


def _alternate(ground: Ground, name: str, sides: dict[str, Cell], order: tuple[str, ...]) -> None:
    """Measure a cell of ticks there and back, and keep the mean of each side."""
    got: dict[str, list[Streamed]] = {key: [] for key in order}
    for turn in range(ground.lengths.turns if name in _LATENCY else 1):
        for key in order if turn % 2 == 0 else reversed(order):
            ground.report(f"{name}: {sides[key].gateway.peer.title}")
            got[key].append(ground.stream(sides[key], name, _TICKS_PER_S[name]))
            for side in sides.values():
                cells.rest(side.crowd, _GLANCE_S)
    for key in order:
        ground.keep(
            key,
            {
                row: _mean([figure(each) for each in got[key]])
                for row, figure in zip(PUSHES[name], _ANSWERS[name], strict=True)
            },
        )


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return fmean(present) if present else None
