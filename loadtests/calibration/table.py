"""What a calibration came to: rows, on the screen and in the documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from loadtests.calibration.rows import CalibrationRow


def screen_table(rows: Sequence[CalibrationRow]) -> Table:
    """Return the rows for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "trial", "what", "demanded", "read"):
        table.add_column(column, overflow="fold")
    for row in rows:
        sign = "[green]● true[/]" if row.ok else "[red]✗ false[/]"
        table.add_row(sign, row.trial, row.what, row.demanded, row.read)
    return table


def markdown(rows: Sequence[CalibrationRow], facts: Mapping[str, object]) -> str:
    """Return the document: how it was measured, then each row."""
    lines = [
        "# Calibration",
        "",
        "The ruler held against faults of known size: small real runs through the fault proxy",
        "(`loadtests/faults`). Written by `tidegate calibrate --docs docs/calibration.md`.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        "",
        "| | trial | what | demanded | read |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {'●' if row.ok else '✗'} | {row.trial} | {row.what} | {row.demanded} | {row.read} |"
        for row in rows
    ]
    told = sum(row.ok for row in rows)
    return "\n".join([*lines, "", f"{told} of {len(rows)} rows true.", ""])
