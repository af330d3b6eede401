"""``python -m tests.faults``: run every fault against its scenario, and each scenario clean.

It prints the number of killed faults and of false alarms. ``--only NAME`` may be given several
times. ``--json`` and ``--markdown`` name files. ``--resume`` skips trials that are in the file of
``--json``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from rich.console import Console

from loadtests.processes import PROJECT
from loadtests.record.manifest import read_json, write_json
from tests.faults.catalogue import FAULTS
from tests.faults.proof import TRIALS, Trial, read_trial, summary, table

SCENARIOS: Final = Path(__file__).resolve().parent / "scenarios"
CLEAN: Final = "none"
_LONGEST_S: Final = 300.0


def run_trial(scenario: str, fault: str, runs: Path) -> Trial:
    """Run a scenario against a gateway with a fault, and read its verdict."""
    folder = runs / f"{scenario}_{fault}"
    command = [sys.executable, "-m", "loadtests", "run", str(SCENARIOS / f"{scenario}.toml")]
    command += [
        "--runs",
        str(folder),
        "--gateway",
        f"{sys.executable} -m tests.faults.gateway {fault}",
    ]
    began_s = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
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
    verdict = read_json(folder / "latest" / "verdict.json")
    return read_trial(scenario, fault, verdict, time.monotonic() - began_s)


def main() -> int:
    """Run the trials; return 0 if every fault was killed and no clean run failed."""
    parser = argparse.ArgumentParser(description="Seed faults; the laboratory must find them.")
    parser.add_argument("--only", action="append", metavar="NAME", help="a scenario or a fault")
    parser.add_argument("--runs", type=Path, default=Path("runs/faults"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--resume", action="store_true", help="keep what --json holds")
    options = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    kept = _kept(options.json) if options.resume and options.json else []
    wanted = [
        (scenario, fault)
        for scenario, faults in TRIALS.items()
        for fault in (CLEAN, *faults)
        if not options.only or scenario in options.only or fault in options.only
    ]
    trials = [trial for trial in kept if (trial.scenario, trial.fault) in wanted]
    done = {(trial.scenario, trial.fault) for trial in trials}
    for scenario, fault in wanted:
        if (scenario, fault) in done:
            continue
        trial = run_trial(scenario, fault, options.runs)
        trials.append(trial)
        console.print(describe(trial), markup=False, soft_wrap=True)
        if options.json:
            write_json(options.json, {"trials": [each.as_json() for each in trials]})
    meanings = {name: fault.meaning for name, fault in FAULTS.items()}
    if options.markdown:
        options.markdown.write_text("\n".join(table(trials, meanings)) + "\n", encoding="utf-8")
    console.print(summary(trials), markup=False, soft_wrap=True)
    found = all(trial.is_clean or trial.is_killed for trial in trials)
    return 0 if found and not any(trial.is_false_alarm for trial in trials) else 1


def describe(trial: Trial) -> str:
    """Return a trial as one line of text."""
    if trial.is_clean:
        mark = "ACCUSED" if trial.is_false_alarm else "clean"
    else:
        mark = "killed" if trial.is_killed else "ALIVE"
    told = "; ".join(trial.broken) or "; ".join(trial.undecided)
    return f"{mark:<8} {trial.scenario:<11} {trial.fault:<18} {trial.seconds:4.0f} s  {told}"


def _kept(path: Path) -> list[Trial]:
    content = read_json(path) or {"trials": []}
    return [Trial.from_json(row) for row in content["trials"]]


if __name__ == "__main__":
    sys.exit(main())
