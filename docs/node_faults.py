"""The table of what faults did to nodes, from the rows of ``python -m tests.nodes.proof``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

BEGIN: Final = "<!-- faults: generated -->"
END: Final = "<!-- faults: end -->"
_COLUMNS: Final = (
    *("fault", "clients", "lost", "doubled", "reordered", "leaked"),
    *("resync", "answers", "ready", "current"),
)


def with_table(document: str, rows: Path) -> str:
    """Return a document with the table between its two marks.

    Args:
        document: the document.
        rows: the file with the rows.
    """
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(json.loads(rows.read_text('utf-8')))}{END}{after}"


def table(proof: Mapping[str, Any]) -> str:
    """Return the table.

    Args:
        proof: the content of the file of rows.
    """
    loads = [row["load"] for row in proof["rows"]]
    trees = ", ".join(f"`{tree}`" for tree in dict.fromkeys(row["tree"] for row in proof["rows"]))
    lines = [
        f"`python -m tests.nodes.proof` of {trees}, {proof['day']}, {proof['machine']},",
        f"one-minute load {min(loads):g} to {max(loads):g}. *lost*, *doubled*, *reordered* and",
        "*leaked* count events at all clients. *resync*: the clients that were told, of those that",
        "had to be. *answers*: to publish requests until all nodes were ready again; *none*: no",
        "answer within 8 s, or a closed connection. *ready* and *current*: s from the end of the",
        "fault until all nodes were ready, and until each client had the last of all its events.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---|--:|--:|--:|--:|--:|---|---|--:|--:|",
        *map(_row, proof["rows"]),
        "",
    ]
    return "\n".join(lines)


def _row(row: Mapping[str, Any]) -> str:
    name = row["fault"] + (f", {row['hold_s']:g} s" if row["hold_s"] else "")
    told = f"{row['told']}/{row['concerned']} `{row['reason']}`" if row["reason"] else "none"
    cells = (
        name,
        f"{row['clients']:,}",
        *(str(row[one]) for one in ("lost", "doubled", "reordered", "leaked")),
        told,
        ", ".join(f"{status}: {count}" for status, count in row["answers"].items()) or "–",
        f"{row['ready_s']:.1f}",
        f"{row['current_s']:.1f}",
    )
    return f"| {' | '.join(cells)} |"
