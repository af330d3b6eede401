"""Synthetic blocks of a comparison: runs whose push latency is a known multiple of 2 ms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from synthetic_run import SMOKE, Tables, make_run, span_rows

from loadtests.results import Series

_MS: Final = 1_000_000
_STEADY: Final = range(8, 38)


COMPARE: Final = SMOKE.with_name("compare.toml")


def block_scenario(*budgets: str, file: Path = SMOKE) -> str:
    """Return a shipped scenario, by default smoke, with only these budgets."""
    text = file.read_text(encoding="utf-8")
    listed = "".join(f'    "{budget}",\n' for budget in budgets)
    start, end = text.index("budgets = ["), text.index("]\n", text.index("budgets = ["))
    return f"{text[:start]}budgets = [\n{listed}{text[end:]}"


def make_block(
    directory: Path, place: int, speed: float, *, scenario: str, **manifest: Any
) -> Path:
    """Write one block and return it.

    Args:
        directory: the run directory.
        place: place in the order of time, from 0; also the minute of the run.
        speed: factor on the push latencies of a block of speed 1.
        scenario: the text of the scenario.
        manifest: members that replace the manifest's own.
    """

    def change(tables: Tables) -> None:
        tables["hist"] = [row for row in tables["hist"] if row["series"] != Series.PUSH]
        values = [round(speed * 2 * _MS * (1 + step / 100)) for step in range(30)]
        for second in _STEADY:
            tables["hist"] += span_rows(Series.PUSH, second, values)

    created = f"2026-11-23T10:{place:02d}:00.000Z"
    facts = {"created": created, "run_id": directory.name, **manifest}
    return make_run(directory, scenario=scenario, manifest=facts, change=change)


def make_sides(
    folder: Path, base: Sequence[float], head: Sequence[float], *, scenario: str, **manifest: Any
) -> tuple[Path, Path]:
    """Write blocks in the order A B B A …, and return the folders of base and head."""
    for pair, speeds in enumerate(zip(base, head, strict=True)):
        order = (0, 1) if pair % 2 == 0 else (1, 0)
        for side, place in zip(order, (2 * pair, 2 * pair + 1), strict=True):
            name = ("base", "head")[side]
            make_block(
                folder / name / f"{place:02d}-{name}", place, speeds[side],
                scenario=scenario, **manifest,
            )  # fmt: skip
    return folder / "base", folder / "head"
