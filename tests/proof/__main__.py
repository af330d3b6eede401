"""``python -m tests.proof``: run the steps, keep what each came to, write the table.

A step that was done for this very tree is not run again: an interrupted proof goes on where
it stopped. A judged one that decided nothing (INCONCLUSIVE, INVALID, out of time) is not done: it
is tried again, and its row says how often it was tried. ``--only NAME`` runs steps whose name
begins so. Rows of an earlier tree are thrown away, or kept with ``--keep`` and marked with their
tree. The exit code is 0 when every judged step of this tree ended with 0.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from loadtests.processes import PROJECT
from loadtests.record.manifest import read_json, write_json
from loadtests.results import ExitCode
from tests.proof.steps import FAULT_TRIALS, RUNS, Step, steps

DOCUMENT: Final = Path("docs/proof.md")
STATE: Final = RUNS / "state.json"
_OUT_OF_TIME: Final = -1
_UNDECIDED: Final = (ExitCode.INCONCLUSIVE, ExitCode.INVALID, _OUT_OF_TIME)


def tree_id() -> str:
    """Return the commit, and a digest of what differs from it where something does."""
    commit = _git("rev-parse", "--short=12", "HEAD").decode().strip()
    changes = _git("diff", "HEAD", "--", ".", ":!docs", ":!*.md")
    return f"{commit}+{hashlib.sha256(changes).hexdigest()[:8]}" if changes else commit


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, check=True).stdout


def run_step(step: Step) -> dict[str, Any]:
    """Run a step and return its row: exit code, words, seconds."""
    log = RUNS / f"{step.name.replace(' ', '_').replace(':', '')}.log"
    began_s = time.monotonic()
    with log.open("wb") as output:
        try:
            code = subprocess.run(
                step.command,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=step.longest_s,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = _OUT_OF_TIME
    words = step.read() if step.read is not None else _last_line(log)
    seconds = time.monotonic() - began_s
    return {"exit_code": code, "words": words, "seconds": round(seconds, 1)}


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"


def write_table(tree: str, rows: dict[str, dict[str, Any]], all_steps: list[Step]) -> None:
    """Write the table of what was done, in the order of the steps."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    kernel = f"Linux {platform.release().partition('-')[0]}"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {kernel}"
    lines = [
        "# Proof",
        "",
        f"`make proof` of `{tree}`, {day}, {machine}. Exit codes:",
        "[commands.md](commands.md). `Node:` is the same scenario against Socket.IO for Node; its",
        "verdict does not count. Any other step that decided nothing (3, 4) is tried again when",
        "the proof goes on: `try` counts.",
        "",
        "| step | exit code | what it came to | s |",
        "|---|--:|---|--:|",
    ]
    for step in all_steps:
        row = rows.get(step.name)
        if row is not None:
            words = row["words"].replace("|", r"\|")
            if row["tries"] > 1:
                words = f"(try {row['tries']}) {words}"
            if row["tree"] != tree:
                words = f"(of `{row['tree']}`) {words}"
            lines.append(f"| {step.name} | {row['exit_code']} | {words} | {row['seconds']:.0f} |")
    missing = [step.name for step in all_steps if step.name not in rows]
    if missing:
        lines += ["", f"Not done: {', '.join(missing)}."]
    DOCUMENT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Run what is left; the table is written after each step."""
    parser = argparse.ArgumentParser(description="Prove everything at real times.")
    parser.add_argument("--keep", action="store_true", help="keep the rows of another tree")
    parser.add_argument("--only", action="append", metavar="NAME", help="steps that begin so")
    options = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    RUNS.mkdir(parents=True, exist_ok=True)
    tree = tree_id()
    state = read_json(STATE) or {}
    rows = {name: {"tries": 1, **row} for name, row in state.get("rows", {}).items()}
    if not options.keep:
        rows = {name: row for name, row in rows.items() if row["tree"] == tree}
    if state.get("tree") != tree:
        FAULT_TRIALS.unlink(missing_ok=True)  # of another tree; the step would go on with them
    all_steps = steps()
    for number, step in enumerate(all_steps, start=1):
        is_wanted = not options.only or any(step.name.startswith(name) for name in options.only)
        earlier = [rows[step.name]] if rows.get(step.name, {}).get("tree") == tree else []
        is_done = any(row["exit_code"] not in _UNDECIDED or not step.is_judged for row in earlier)
        if is_done or not is_wanted:
            continue
        console.print(
            f"{number:>2} of {len(all_steps)}  {step.name} …", markup=False, soft_wrap=True
        )
        tries = 1 + sum(row["tries"] for row in earlier)
        rows[step.name] = {"tree": tree, "tries": tries, **run_step(step)}
        console.print(
            f"    exit code {rows[step.name]['exit_code']}, {rows[step.name]['seconds']:.0f} s  "
            f"{rows[step.name]['words']}",
            markup=False,
            soft_wrap=True,
        )
        write_json(STATE, {"tree": tree, "rows": rows})
        write_table(tree, rows, all_steps)
    console.print(f"table: {DOCUMENT}", markup=False, soft_wrap=True)
    judged = [rows[step.name] for step in all_steps if step.is_judged and step.name in rows]
    return 0 if all(row["exit_code"] == 0 for row in judged if row["tree"] == tree) else 1


if __name__ == "__main__":
    sys.exit(main())
