"""Run every calibration trial, each on its own rig, and write the table of readings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from gateway.contract import iso_timestamp
from loadtests.calibration.delays import try_delays
from loadtests.calibration.freezes import try_frozen_gateway, try_frozen_worker
from loadtests.calibration.losses import try_drops, try_slow_readers
from loadtests.calibration.pace import FULL, QUICK, Pace
from loadtests.calibration.rig import Rig, RigFailed
from loadtests.calibration.rows import CalibrationRow
from loadtests.outputs import write_output
from loadtests.record.manifest import describe_commit, describe_host
from loadtests.results import ExitCode

TRIALS: Final[Mapping[str, Callable[[Rig, Pace], list[CalibrationRow]]]] = {
    "delays": try_delays,
    "frozen-gateway": try_frozen_gateway,
    "frozen-worker": try_frozen_worker,
    "drops": try_drops,
    "slow-readers": try_slow_readers,
}


def calibrate(
    directory: Path,
    environment: Mapping[str, str],
    console: Console,
    *,
    quick: bool = False,
    only: tuple[str, ...] = (),
    document: Path | None = None,
) -> ExitCode:
    """Run the trials, print the table, and return 0 when every reading is right, else 1.

    Args:
        directory: a new directory for scenarios, logs and runs.
        environment: the environment of the processes it starts.
        console: shows progress.
        quick: run a short version of each trial.
        only: names from ``TRIALS``; empty means all.
        document: the Markdown file for the table; None writes none.
    """
    begun_s, unix_s = time.monotonic(), time.time()
    rows: list[CalibrationRow] = []
    names = only or tuple(TRIALS)
    for number, name in enumerate(names, 1):
        console.print(f"calibration {number} of {len(names)}: {name} …", highlight=False)
        rows += _try(name, directory / name, environment, QUICK if quick else FULL)
    took_s = time.monotonic() - begun_s
    Console().print(screen_table(rows))
    correct = sum(row.ok for row in rows)
    console.print(f"{correct} of {len(rows)} rows true, {took_s:.0f} s; runs are in {directory}")
    if document is not None:
        write_output(document, markdown(rows, _facts(unix_s, took_s, quick)))
    return ExitCode.PASS if rows and correct == len(rows) else ExitCode.BUDGET_BROKEN


def new_directory(runs: Path) -> Path:
    """Return the directory for a new calibration, named by the current UTC time."""
    stamp = iso_timestamp(time.time()).translate(str.maketrans("", "", "-:"))
    return runs / "calibration" / stamp.replace(".", "")


def _try(
    name: str, directory: Path, environment: Mapping[str, str], pace: Pace
) -> list[CalibrationRow]:
    """Run one trial on a fresh rig; a rig that fails gives a failed row."""
    try:
        with Rig(directory, environment) as rig:
            return TRIALS[name](rig, pace)
    except (RuntimeError, OSError) as error:
        kind = "" if isinstance(error, RigFailed) else f"{type(error).__name__}: "
        words = f"{kind}{error}"
        return [
            CalibrationRow(trial=name, what="the rig", demanded="a reading", read=words, ok=False)
        ]


def _facts(unix_s: float, took_s: float, quick: bool) -> dict[str, object]:
    commit, is_dirty = describe_commit()
    host = describe_host()
    return {
        "date": iso_timestamp(unix_s),
        "commit": f"{commit or 'unknown'}{' and changes' if is_dirty else ''}",
        "machine": f"{host['cpu']}, {host['cores']} cores, {host['kernel']}",
        "took": f"{took_s:.0f} s{', the short subset' if quick else ''}",
    }


def screen_table(rows: Sequence[CalibrationRow]) -> Table:
    """Return the rows as a table for the terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "trial", "what", "demanded", "read"):
        table.add_column(column, overflow="fold")
    for row in rows:
        sign = "[green]● true[/]" if row.ok else "[red]✗ false[/]"
        table.add_row(sign, row.trial, row.what, row.demanded, row.read)
    return table


def markdown(rows: Sequence[CalibrationRow], facts: Mapping[str, object]) -> str:
    """Return the rows as a Markdown page, with the facts of the measurement first."""
    lines = [
        "# Calibration with injected faults of known size",
        "",
        "The laboratory measures faults of known size: small real runs through the fault proxy",
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
    correct = sum(row.ok for row in rows)
    return "\n".join([*lines, "", f"{correct} of {len(rows)} rows true.", ""])
