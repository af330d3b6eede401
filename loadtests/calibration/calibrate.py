"""The whole of a calibration: every trial on one rig, a row for each thing that was read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from rich.console import Console

from gateway.contract import iso_timestamp
from loadtests.calibration.delays import try_delays
from loadtests.calibration.freezes import try_frozen_gateway, try_frozen_worker
from loadtests.calibration.losses import try_drops, try_slow_readers
from loadtests.calibration.pace import FULL, QUICK, Pace
from loadtests.calibration.rig import Rig, RigFailed
from loadtests.calibration.rows import CalibrationRow
from loadtests.calibration.table import markdown, screen_table
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
    """Try everything, print the table, and return 0 when every row is true, else 1.

    Args:
        directory: a new one, for scenarios, logs and runs.
        environment: of the processes that are started.
        console: is told how far it is.
        quick: a short subset of each trial.
        only: names of ``TRIALS``; all of them when empty.
        document: where to write the table as Markdown.
    """
    begun_s, unix_s = time.monotonic(), time.time()
    rows: list[CalibrationRow] = []
    names = only or tuple(TRIALS)
    for number, name in enumerate(names, 1):
        console.print(f"calibration {number} of {len(names)}: {name} …", highlight=False)
        rows += _try(name, directory / name, environment, QUICK if quick else FULL)
    took_s = time.monotonic() - begun_s
    Console().print(screen_table(rows))
    told = sum(row.ok for row in rows)
    console.print(f"{told} of {len(rows)} rows true, {took_s:.0f} s; runs under {directory}")
    if document is not None:
        document.write_text(markdown(rows, _facts(unix_s, took_s, quick)), encoding="utf-8")
    return ExitCode.PASS if rows and told == len(rows) else ExitCode.BUDGET_BROKEN


def new_directory(runs: Path) -> Path:
    """Return a name for a calibration's directory among the runs, from the time in UTC."""
    stamp = iso_timestamp(time.time()).translate(str.maketrans("", "", "-:"))
    return runs / "calibration" / stamp.replace(".", "")


def _try(
    name: str, directory: Path, environment: Mapping[str, str], pace: Pace
) -> list[CalibrationRow]:
    """Try one thing on a fresh rig; a rig that fails is a row that is not true."""
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
