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
from typing import Any, Final

from loadtests.processes import PROJECT
from loadtests.record.manifest import read_json
from loadtests.results import VERDICT
from reports.explanation import Profiles
from reports.places import Place
from reports.run_frames import find_baseline, read_run
from tests.faults.__main__ import CLEAN, SCENARIOS
from tests.faults.slowdowns import SLOWDOWNS

EXPECTED: Final = {
    "slow-accept": Place.ACCEPT,
    "slow-fan-out": Place.FANOUT,
    "slow-collections": Place.COLLECTIONS,
    "slow-loop": Place.LOOP,
    "slow-host": Place.HOST,
}
"""The place that must be named first."""
LEAST: Final = 4
ATTEMPTS: Final = 3
"""On a busy machine a gateway may start too late for its run."""
_LONGEST_S: Final = 300.0


def run(name: str, runs: Path, *more: str) -> Path:
    """Run the scenario against a gateway with a slowdown; return the run directory."""
    folder = runs / name
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "loadtests", "run", str(SCENARIOS / "places.toml")]
    command += ["--runs", str(folder), "--profile", *more]
    command += ["--gateway", f"{sys.executable} -m tests.faults.gateway {name}"]
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
    raise SystemExit(f"{name} gave no verdict; see {folder / 'screen.log'}")


def explanation_of(directory: Path) -> dict[str, Any]:
    """Return a run's explanation; empty without one."""
    found = (read_json(directory / "verdict.json") or {}).get("explanation")
    return found if isinstance(found, dict) else {}


def describe(name: str, directory: Path) -> tuple[bool, str]:
    """Return whether the right place is named first, and a line about it."""
    shares = explanation_of(directory).get("shares", {})
    first = next(iter(shares), "nothing")
    told = ", ".join(f"{place} {share * 100:.0f} %" for place, share in shares.items())
    frames = read_run(directory)
    grown = Profiles.of(frames, find_baseline(frames)).grown()
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
    base = options.base or run(CLEAN, options.runs)
    right = 0
    wanted = options.only or list(SLOWDOWNS)
    for name in wanted:
        directory = run(name, options.runs, "--baseline", str(base.resolve()))
        is_right, line = describe(name, directory)
        right += is_right
        print(line, flush=True)  # noqa: T201 - a command speaks
    print(f"{right} of {len(wanted)} named first")  # noqa: T201
    return 0 if right >= min(LEAST, len(wanted)) else 1


if __name__ == "__main__":
    sys.exit(main())
