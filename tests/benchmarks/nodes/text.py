"""What a run prints and keeps: tables for a terminal and for documents, and JSON."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from rich.table import Table

from tests.benchmarks.nodes.ground import Ground
from tests.benchmarks.nodes.redis_memory import Stored
from tests.benchmarks.nodes.rows import MEMORY, ROWS, sized
from tests.benchmarks.nodes.simulate import Simulation
from tests.benchmarks.transport import document, table
from tests.benchmarks.transport.rows import OURS, answer

FORMAT: Final = 1

METHOD: Final = """\
## How

Gateways with either broker run at once on one core and take the load in turn, there and back, in
each pair; the measuring client (one process, epoll) runs on the other cores, and Redis
7 where the kernel puts it (`appendonly yes`, `appendfsync everysec`). Ticks, latency, CPU and
memory are those of [bench.md](bench.md): a tick of 331 bytes is one broadcast to all clients,
due at a fixed time, and published by `POST /api/v1/publish`.

**A publication that no client of a node gets:** two nodes with a client each read 10,000 ticks a
second of 49 symbols that neither client has, in batches of 100. CPU of both, less what they use
without ticks, over the ticks that each read.

**Publications through one Redis:** one more process appends ticks of 50 symbols with the
gateway's own link to the log, ten batches of 100 at once, as quickly as they are answered. A client
on each of two nodes holds one of the symbols. The clock stops when both have its last number, and
each event must name the number before it. `POST /api/v1/publish` does the same with two requests
at once to each node.

**Two nodes:** a node is bound by its core. With `c` CPU seconds of the node processes a delivered
message, one node delivers at most `1 / c₁` a second on its core and two nodes `2 / c₂` on two, so
the ratio is `2 c₁ / c₂`. Each node has 2,500 clients at 8 ticks a second, in both cases; `c₂` is
the CPU of both over the messages of both. The measuring client is not in it.

**Memory of Redis:** `used_memory` less that of an empty Redis and of the log. Each user has all
private events that Redis keeps of one (256 events, at most 64 KiB), here order events; each symbol
its newest tick. The log is what its entries take each, times its default length.

`make bench-nodes` repeats it (about 12 minutes), `make bench-nodes QUICK=1` runs a quick version,
and `python -m tests.benchmarks.nodes --help` lists the other options.
"""


class Shown(NamedTuple):
    """What is printed, kept as JSON and written into a document."""

    parts: Sequence[Any]
    kept: dict[str, Any]
    markdown: str


class _Column(NamedTuple):
    key: str
    title: str


COLUMNS: Final[Any] = (_Column(OURS, "log in Redis"), _Column(MEMORY, "memory broker"))


def of_rows(ground: Ground, keys: Collection[str], pairs: int, stored: Stored | None) -> Shown:
    """Return the table of the rows.

    Args:
        ground: has the figures.
        keys: of the rows.
        pairs: how many were measured.
        stored: what Redis held, ``None`` where that was not measured.
    """
    users, events = ground.lengths.users, stored.events if stored else 0
    answers = [
        answer(sized(row, ground.lengths.shrink, users, events), ground.figures)
        for row in ROWS
        if row.key in keys
    ]
    kept = _kept(ground, pairs) | {
        "figures": ground.figures,
        "stored": stored._asdict() if stored else None,
        "answers": {
            each.row.key: {
                "title": each.row.title.strip(),
                "unit": each.row.unit,
                "goal": each.row.goal,
                "by_broker": {key: asdict(value) for key, value in each.by_peer.items()},
                "compared": asdict(each.compared) if each.compared else None,
                "judgement": each.judgement or None,
            }
            for each in answers
        },
        "notes": ground.notes,
    }
    words, notes = document.in_words(kept), document.limits_reached(ground.notes)
    parts = [table.for_terminal(answers, COLUMNS, "Several nodes"), words]
    lines = ["# Several nodes beside one process", ""]
    lines += ["Written by `make bench-nodes`; medians, in brackets the exact interval over pairs."]
    lines += [words, "", *table.lines_of(answers, COLUMNS), "", *(f"- {note}" for note in notes)]
    return Shown([*parts, *(f"· {note}" for note in notes)], kept, "\n".join([*lines, "", METHOD]))


def of_simulation(ground: Ground, simulation: Simulation) -> Shown:
    """Return the constants, the check and the prediction.

    Args:
        ground: where it was measured.
        simulation: what was measured and predicted.
    """
    kept = _kept(ground, 1) | {
        "costs": simulation.costs._asdict(),
        "checks": [
            each._asdict() | {"observed": each.observed._asdict()} for each in simulation.checks
        ],
        "latencies_ms": simulation.latencies_ms,
        "most_nodes": simulation.most_nodes,
        "growth": [each._asdict() | {"load": each.load._asdict()} for each in simulation.growth],
    }
    tables = {
        "Measured and predicted": _checks(simulation),
        "Latency until the last node's client has it, at 50 publications a second": _latencies(
            simulation
        ),
        "Predicted": _growth(simulation),
    }
    words = document.in_words(kept) + " " + _constants(simulation)
    parts: list[Any] = [words]
    lines = ["# One Redis and many nodes", "", words]
    for title, (heads, rows) in tables.items():
        shown = Table(*heads, title=title, title_justify="left")
        for row in rows:
            shown.add_row(*row)
        parts.append(shown)
        lines += ["", f"**{title}**", "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return Shown(parts, kept, "\n".join([*lines, ""]))


_Cells = tuple[Sequence[str], list[list[str]]]


def _checks(simulation: Simulation) -> _Cells:
    heads = ["readers", "publications/s", "a call", "CPU of Redis", "predicted", "error"]
    heads += ["MB/s out", "predicted", "error"]
    rows = []
    for check in simulation.checks:
        load, busy, _, sent = check.observed
        rows.append(
            [
                check.what + (" (fitted)" if check.is_calibration else ""),
                f"{load.per_s:,.0f}",
                f"{load.batch:g}",
                f"{busy:.1%}",
                f"{check.busy_share:.1%}",
                f"{check.busy_share / busy - 1:+.0%}",
                f"{sent / 1e6:.2f}",
                f"{check.bytes_per_s / 1e6:.2f}",
                f"{check.bytes_per_s / sent - 1:+.0%}",
            ]
        )
    return heads, rows


def _latencies(simulation: Simulation) -> _Cells:
    rows = [
        [f"{count}", f"{measured:.2f}", "–" if predicted is None else f"{predicted:.2f}"]
        for count, (measured, predicted) in simulation.latencies_ms.items()
    ]
    return ["nodes", "measured, ms", "predicted, ms"], rows


def _growth(simulation: Simulation) -> _Cells:
    heads = ["nodes", "publications/s", "a call", "CPU of Redis", "µs a publication and node"]
    heads += ["MB/s out", "latency of the last node, ms", "most publications/s", "shards"]
    rows = [
        [
            f"{each.load.nodes:,}",
            f"{each.load.per_s:,.0f}",
            f"{each.load.batch:g}",
            f"{each.busy_share:.0%}",
            f"{each.cpu_s * 1e6:.2f}",
            f"{each.bytes_per_s / 1e6:,.0f}",
            "no end" if each.latency_s is None else f"{each.latency_s * 1e3:,.1f}",
            f"{each.most_per_s:,.0f}",
            f"{each.shards}" if each.shards else "none do",
        ]
        for each in simulation.growth
    ]
    return heads, rows


def _constants(simulation: Simulation) -> str:
    costs = simulation.costs
    return (
        f"Fitted: a call {costs.append_call_s * 1e6:.1f} µs, an entry "
        f"{costs.append_entry_s * 1e6:.1f} µs, a reply {costs.reply_s * 1e6:.1f} µs, an entry of "
        f"a reply {costs.reply_entry_s * 1e6:.2f} µs, {costs.reply_bytes:.0f} B a reply, "
        f"{costs.entry_bytes:.0f} B an entry, {costs.base_s * 1e3:.2f} ms beside Redis, "
        f"{costs.reader_s * 1e3:.2f} ms of a node for a reply. The own messages of "
        f"{simulation.most_nodes:,} nodes fill one Redis."
    )


def _kept(ground: Ground, pairs: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": document.machine(),
        "cores": {"server": ground.cores[0], "client": ground.cores[-1]},
        "pairs": pairs,
        "lengths": asdict(ground.lengths),
    }
