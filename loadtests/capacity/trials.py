"""One trial of a search: the scenario at another load, run by a process of its own."""

from __future__ import annotations

import math
import signal
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tomli_w

from loadtests.capacity.search import Trial
from loadtests.processes import own_command
from loadtests.record.manifest import read_json
from loadtests.results import VERDICT, ExitCode, Verdict
from loadtests.supervision.children import Child
from scenarios.capacity_table import Capacity
from scenarios.schema import Scenario

TRIAL_OVERTIME_S: Final = 180.0
TRIAL_STOP_S: Final = 60.0
_UNFIT: Final = (ExitCode.USAGE, ExitCode.GATEWAY_FAILED, ExitCode.INTERRUPTED)


class TrialFailed(RuntimeError):  # noqa: N818 - the state, said in words
    """A trial could not run, and would not at any load."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trial's verdict, its first reason and its run directory."""

    verdict: Verdict
    why: str
    run: Path


def scenario_at(scenario: Scenario, capacity: Capacity, trial: Trial) -> str:
    """Return the text of the scenario at a trial's load.

    All publication rates, or all group counts, are multiplied by the same factor; a group keeps
    at least one user. An undecided budget fails.

    Args:
        scenario: the scenario of the search.
        capacity: its ``[capacity]`` table.
        trial: the load, in ``capacity.unit``, and whether the trial is long.
    """
    content: dict[str, Any] = tomllib.loads(scenario.source)
    del content["capacity"]
    content["phases"]["steady"] = f"{capacity.confirm_s if trial.is_long else capacity.trial_s:g} s"
    content.setdefault("policy", {})["inconclusive"] = "fail"
    if capacity.of == "publications":
        factor = trial.load / sum(publish.rate for publish in scenario.publish)
        for publish in content["publish"]:
            publish["rate"] = round(publish["rate"] * factor, 6)
    else:
        factor = trial.load / scenario.users.total
        for group in content["users"].values():
            group["count"] = max(1, math.floor(group["count"] * factor))
        spawn_rate = content["phases"].get("spawn_rate", scenario.phases.spawn_rate)
        content["phases"]["spawn_rate"] = max(spawn_rate, spawn_rate * factor)
    kind = "the long trial" if trial.is_long else "a trial"
    question = f"# {scenario.question} ({kind} at {trial.load:.4g} {capacity.unit})"
    return f"{question}\n\n{tomli_w.dumps(content)}"


def run_trial(
    text: str,
    number: int,
    folder: Path,
    environment: Mapping[str, str],
    *,
    options: Sequence[str],
    span_s: float,
) -> Outcome:
    """Run a trial with a new gateway and return its outcome.

    Args:
        text: the scenario's TOML.
        number: of the trial, from 1; it names its files.
        folder: holds its scenario file, log and run directory.
        environment: the process's environment.
        options: further options of ``tidegate run``.
        span_s: length of its phases, seconds.

    Raises:
        TrialFailed: it made no verdict; the message ends with the last lines of its log.
    """
    file = folder / f"trial-{number:02d}.toml"
    file.write_text(text, encoding="utf-8")
    runs = folder / f"trial-{number:02d}"
    log = folder / f"trial-{number:02d}.log"
    command = own_command("loadtests", "run", str(file), "--runs", str(runs), *options)
    trial = Child("trial", command, log=log, environment=environment, orphan_signal=signal.SIGTERM)
    try:
        if not trial.wait(span_s + TRIAL_OVERTIME_S):
            raise TrialFailed(f"the trial did not end in time; see {log}")
    finally:
        trial.stop(TRIAL_STOP_S)
    run = (runs / "latest").resolve()
    verdict = read_json(run / VERDICT)
    if trial.exit_code in _UNFIT or verdict is None:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        words = "; ".join(lines[-3:]) or "its log is empty"
        raise TrialFailed(f"the trial ended with exit code {trial.exit_code}: {words}")
    return Outcome(Verdict(verdict["verdict"]), str(verdict["reasons"][0]), run)
