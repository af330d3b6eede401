"""The table of promises, for a terminal and for the documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from tests.benchmarks.hostile.verdicts import Finding, Verdict

_STYLES: Final = {
    Verdict.KEPT: "green",
    Verdict.BROKEN: "red",
    Verdict.UNDECIDED: "yellow",
    Verdict.UNMEASURED: "red",
}
METHOD: Final = """\
## How

The gateway runs alone on one core (`python -m gateway`, its default settings but for those named
here), everything that measures on the other, the hostile clients in a process of their own behind
it. Bystanders are 200 authenticated clients in four symbols' rooms, ticks of 331 bytes are due at
50 a second, and a latency runs from the moment a tick was due to the read that brought it. Each
hostile client has its own pairs of cells with and without it, the order turned from pair to pair;
ratio and difference are Hodges–Lehmann estimates with exact intervals (96.9 % for six pairs). A
promise is kept when the interval of either lies within its bound, broken when both lie beyond,
else undecided. A tick is left out of the latencies when the host took any of the machine about
then (`/proc/stat`, read with each tick). Pings come each 600 ms there, so that who
never pongs is closed within a cell. A bystander who is closed, or lacks one tick, ends the
measurement with that.

Clients drop at once while the server's loop is held for half a second, so that either server sees
all of them together. Loop lag is the longest delay of a timer of 1 ms in that loop, from then to
empty tables; the bare protocol has the same loop (uvloop), timer and number of connections.

A reader that stops has the kernel's default receive buffer, or one of 64 KiB; what it is given
counts whole, frames and all. Sockets are counted in `/proc`.

`python -m tests.benchmarks.hostile` repeats it (20 minutes); `--pairs 2 --only …` gives a look.
"""


def for_terminal(findings: Sequence[Finding]) -> Table:
    """Return the table with what was measured, promised and came of it."""
    table = Table(title="Unbreakable by one client", title_justify="left")
    for heading in ("", "measured", "promised", ""):
        table.add_column(heading)
    for finding in findings:
        style = _STYLES[finding.verdict]
        table.add_row(
            finding.title,
            finding.measured,
            finding.promise,
            f"[{style}]{finding.verdict}[/]",
        )
    return table


def for_documents(findings: Sequence[Finding], words: str, notes: Sequence[str]) -> str:
    """Return the table in Markdown, with what was measured where and how."""
    rows = [
        f"| {finding.title} | {finding.measured} | {finding.promise} | {finding.verdict} |"
        for finding in findings
    ]
    lines = [
        "# Unbreakable by one client",
        "",
        "Written by `python -m tests.benchmarks.hostile`.",
        words,
        "",
        "| | measured | promised | |",
        "|---|---|---|---|",
        *rows,
        *(["", *(f"- {note}" for note in notes)] if notes else []),
        "",
        METHOD,
    ]
    return "\n".join(lines)
