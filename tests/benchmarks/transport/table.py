"""The table, for a terminal and for the documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from tests.benchmarks.transport.intervals import Estimate
from tests.benchmarks.transport.peers import Peer
from tests.benchmarks.transport.rows import OURS, Answer, Row

_STYLES = {"met": "green", "missed": "red", "undecided": "yellow", "": ""}


METHOD = """\
## How

Each server runs alone on one core, the measuring client (one process, epoll) on another. Every
client brings its own HS256 token in CONNECT and is in one symbol's room, so a tick of 331 bytes
is one broadcast to all of them. Ticks are due at fixed times, whatever became of those before,
and reach every peer in the same way: `POST /api/v1/publish`, one tick a request. Latency is
measured from the time a tick was due to the read that delivered it, and includes the publish
route. A tick due while 16 requests are unanswered is not offered. CPU is user and system time of
the server's process tree from quiet to quiet, over the ticks that were read. Connects come 64 at
a time and count when CONNECT is answered. Memory is resident memory 1 s after the last client was
answered, less that before the first. Pings go one client after the other, 400 a second, while
nothing else is sent. Ten thousand clients are measured in every pair for Tidegate, in the first
for its peers. An interval's coverage is 93.75 % for five pairs.

Tidegate runs with every feature on (`python -m gateway`, default settings). Node runs `ws` with
bufferutil and without compression. It releases each upgrade request and verifies tokens with
node:crypto. python-socketio runs with its defaults on the standard asyncio loop. The C server
verifies no tokens and forwards pre-built packets. It is a reference, not a lower bound: Tidegate
can come out ahead of it within the noise.

5,000 clients × 20/s offer 100,000 deliveries a second. A server that reaches this rate is limited
by the offered load, so the row does not show its capacity. Deliveries are counted by the time of
the read. Ticks of the warm-up that are read in the measured part count too, so a server that
catches up can exceed the offered rate.

Cells are named by their clients and ticks: `few` is 1,000 clients, `many` 5,000 and `most` 10,000;
`x20` is 20 ticks a second to each. Peers are `tidegate`, `node`, `stock` (python-socketio) and
`floor` (C).

`make bench` repeats it (about 20 minutes), `make bench PAIRS=1 QUICK=1` runs a quick version, and
`python -m tests.benchmarks.transport --help` lists the other options; `--base CHECKOUT` measures
the gateway of another checkout in turn with this one and prints the ratios.
"""


def for_terminal(
    answers: Sequence[Answer], peers: Sequence[Peer], title: str = "Tidegate beside its peers"
) -> Table:
    """Return the table with medians, the comparison with its interval, and the goal.

    Args:
        answers: the rows.
        peers: the columns.
        title: of the table.
    """
    table = Table(title=f"{title}: medians over pairs", title_justify="left")
    table.add_column("")
    for peer in peers:
        table.add_column(peer.title, justify="right", style="bold" if peer.key == OURS else "")
    table.add_column("compared", justify="right")
    table.add_column("goal", justify="right")
    for answer in answers:
        style = _STYLES[answer.judgement]
        row, *cells, compared, goal = _cells(answer, peers)
        table.add_row(row, *cells, compared, f"[{style}]{goal}[/]" if style else goal)
    return table


def for_documents(
    answers: Sequence[Answer], peers: Sequence[Peer], words: str, notes: Sequence[str]
) -> str:
    """Return the table in Markdown, with what was measured where."""
    lines = [
        "# Tidegate beside its peers",
        "",
        "Written by `make bench`; medians, in brackets the exact interval over the pairs.",
        words,
        "",
        *lines_of(answers, peers),
    ]
    lines += ["", "Peers: " + "; ".join(f"{peer.title} ({peer.version})" for peer in peers) + "."]
    lines += ["", *(f"- {note}" for note in notes)] if notes else []
    return "\n".join([*lines, "", METHOD])


def lines_of(answers: Sequence[Answer], peers: Sequence[Peer]) -> list[str]:
    """Return the lines of the table in Markdown."""
    titles = ["", *(peer.title for peer in peers), "compared", "goal"]
    return [
        f"| {' | '.join(titles)} |",
        "|" + "---|" + "---:|" * (len(titles) - 1),
        *(f"| {' | '.join(_cells(answer, peers))} |" for answer in answers),
    ]


def _cells(answer: Answer, peers: Sequence[Peer]) -> list[str]:
    row = answer.row
    figures = [_figure(row, answer.by_peer.get(peer.key)) for peer in peers]
    return [row.title + f", {row.unit}", *figures, _compared(answer, peers), _goal(answer)]


def _figure(row: Row, estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:,.{row.digits}f}"


def _compared(answer: Answer, peers: Sequence[Peer]) -> str:
    row, estimate = answer.row, answer.compared
    if estimate is None:
        return "–"
    if not row.against:
        return "" if estimate.low is None else _interval(estimate, row.digits)
    titles: dict[str, Any] = {peer.key: peer.title for peer in peers}
    theirs = titles.get(row.against, row.against)
    words = f"{estimate.value:.2f} × {theirs}"
    if row.is_difference:
        words = f"{estimate.value:+.2f} {row.unit} over {theirs}"
    return words if estimate.low is None else f"{words} {_interval(estimate, 2)}"


def _interval(estimate: Estimate, digits: int) -> str:
    return f"[{estimate.low:,.{digits}f} … {estimate.high:,.{digits}f}]".replace("[", "(").replace(
        "]", ")"
    )


def _goal(answer: Answer) -> str:
    if answer.row.goal is None:
        return ""
    sign = "≥" if answer.row.higher_is_better else "≤"
    return f"{sign} {answer.row.goal:g} {answer.judgement or 'not measured'}".strip()
