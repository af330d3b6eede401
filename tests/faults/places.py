"""``python -m tests.faults.places``: is the place of each slowdown named first?

A base without a slowdown runs first. Each slowdown then runs with ``--baseline``. The command
prints a line for each: its place, the shares that the report gives, and what changed in its
profile. It returns 0 when at least four of five are named first. ``--base`` reuses a base run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

from loadtests.processes import PROJECT
from loadtests.results import VERDICT
from reports.explanation import Profiles, explain_time
from reports.places import TimePlace
from reports.run_frames import find_baseline, read_run
from tests.faults.__main__ import CLEAN, SCENARIOS
from tests.faults.slowdowns import SLOWDOWNS

EXPECTED: Final = {
    "slow-accept": TimePlace.ACCEPT,
    "slow-fan-out": TimePlace.FANOUT,
    "slow-collections": TimePlace.COLLECTIONS,
    "slow-loop": TimePlace.LOOP,
    "slow-host": TimePlace.HOST,
}
"""The place that must be named first."""
LEAST: Final = 4
ATTEMPTS: Final = 3
"""On a busy machine a gateway may start too late for its run."""
_LONGEST_S: Final = 300.0


def run(scenario: str, fault: str, folder: Path, *more: str) -> Path:
    """Run a scenario against a gateway with a fault or slowdown; return the run directory.

    Args:
        scenario: name of a file in ``scenarios``.
        fault: what ``tests.faults.gateway`` takes.
        folder: takes the run directory.
        more: options of ``run``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "loadtests", "run", str(SCENARIOS / f"{scenario}.toml")]
    command += ["--runs", str(folder), *more]
    command += ["--gateway", f"{sys.executable} -m tests.faults.gateway {fault}"]
    for _ in range(ATTEMPTS):
        with (folder / "screen.log").open("wb") as screen:
            subprocess.run(
                command,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT,
                timeout=_LONGEST_S,
                check=False,
            )
        directory = (folder / "latest").resolve()
        if (directory / VERDICT).exists():
            return directory
    raise SystemExit(f"{fault} gave no verdict; see {folder / 'screen.log'}")


def describe(name: str, directory: Path) -> tuple[bool, str]:
    """Return whether the right place is named first, and a line about it."""
    frames = read_run(directory)
    baseline = find_baseline(frames)
    budget = next(one for one in frames.scenario.budgets if one.is_relative)
    explanation = explain_time(frames, budget, baseline)
    shares = () if explanation is None else explanation.shares
    first = shares[0][0] if shares else None
    told = ", ".join(f"{place} {share * 100:.0f} %" for place, share in shares)
    grown = Profiles.of(frames, baseline).grown()
    changed = ", ".join(f"{one.function} {one.base} to {one.head}" for one in grown[:3])
    is_right = first == EXPECTED[name]
    mark = "right" if is_right else "WRONG"
    return is_right, f"{mark}  {name:<17} {told or 'no explanation'}; changed: {changed or 'none'}"


def main() -> int:
    """Run the slowdowns and return 0 when enough of them are explained."""
    parser = argparse.ArgumentParser(description="Seed slowdowns; the report must place them.")
    parser.add_argument("--only", action="append", choices=list(SLOWDOWNS))
    parser.add_argument("--runs", type=Path, default=Path("runs/places"))
    parser.add_argument("--base", type=Path, help="a run without a slowdown")
    options = parser.parse_args()
    base = options.base or run("places", CLEAN, options.runs / CLEAN, "--profile")
    right = 0
    wanted = options.only or list(SLOWDOWNS)
    for name in wanted:
        compared = ("--profile", "--baseline", str(base.resolve()))
        directory = run("places", name, options.runs / name, *compared)
        is_right, line = describe(name, directory)
        right += is_right
        print(line, flush=True)  # noqa: T201 - a command speaks
    print(f"{right} of {len(wanted)} named first")  # noqa: T201
    return 0 if right >= min(LEAST, len(wanted)) else 1


if __name__ == "__main__":
    sys.exit(main())
