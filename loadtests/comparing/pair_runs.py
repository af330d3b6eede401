"""``tidegate compare``: compare stored runs, or run two gateways in pairs and compare them.

A pair has a fresh gateway on each side. Where the load can alternate, both sides run at the same
time and take turns in slices of 230 ms (``loadtests.plan.turns``). What slices cannot measure, such
as memory, is measured in blocks: one side's run after the other's. A block or a side is a
supervised run without a verdict; ``python -m reports.compare`` judges all of them together, at
each look (``looks``), until the budgets are decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from loadtests.comparing.contest import (
    FEWEST_PAIRS,
    SIDES,
    Contest,
    Methods,
    Outputs,
    looks,
    methods_for,
    order,
)
from loadtests.comparing.side_by_side import run_side_by_side
from loadtests.outputs import is_standard_output, write_output
from loadtests.plan.turns import PLACES
from loadtests.processes import child_environment
from loadtests.record.finisher import is_finished
from loadtests.record.manifest import read_json, write_json
from loadtests.results import COMPARISON, JUNIT, MANIFEST, SUMMARY, ExitCode
from loadtests.supervision.judging import finish_tables, start_module
from loadtests.supervision.request import RunRefused, RunRequest, make_folder
from loadtests.supervision.supervisor import run_supervised
from scenarios.alternation import ALTERNATING, why_not_alternating
from scenarios.foresight import foresee

PLAN: Final = "plan.json"
TURNS: Final = "turns"
"""The folder in which the two sides of a pair meet, and keep their logs."""
RunBlock = Callable[[RunRequest, Mapping[str, str], Console], int]
RunPair = Callable[[Sequence[RunRequest], Mapping[str, str], Console], int]
_RUNS: Final = f"*/{MANIFEST}"
_FATAL: Final = (ExitCode.USAGE, ExitCode.INTERRUPTED)


def compare_runs(
    base: Sequence[Path],
    head: Sequence[Path],
    budgets: Path | None,
    outputs: Outputs,
    environment: Mapping[str, str],
    *,
    is_aside: bool = False,
    planned: Sequence[int] = (),
) -> int:
    """Compare stored runs and return the exit code.

    Args:
        base: run directories, or folders of them.
        head: run directories, or folders of them.
        budgets: a file that overrides the scenario's budgets.
        outputs: files to write.
        environment: this process's environment.
        is_aside: whether the comparison is printed to standard error.
        planned: pairs at each look of a comparison that goes on, up to this one and to the last.
    """
    arguments = [
        *("--base", *(str(path) for path in base), "--head", *(str(path) for path in head)),
        *(("--budgets", str(budgets)) if budgets else ()),
        *outputs.arguments(),
        *(("--looks", *(str(look) for look in planned)) if planned else ()),
    ]
    inherited = child_environment(environment)
    return start_module("reports.compare.comparing", arguments, inherited, is_aside=is_aside)


def run_contest(
    contest: Contest,
    environment: Mapping[str, str],
    console: Console,
    run: RunBlock = run_supervised,
    run_pair: RunPair = run_side_by_side,
) -> int:
    """Run pairs and judge them at each look until they decide; return the exit code.

    Args:
        contest: the gateways and their scenario.
        environment: the environment of every process it starts.
        console: shows progress.
        run: runs one block and returns its exit code.
        run_pair: runs both sides of a pair at the same time and returns the exit code.

    Raises:
        RunRefused: the scenario is not valid.
        OSError: a result cannot be written.
    """
    methods, planned = _check(contest, console), looks(contest.pairs)
    directory = make_folder(contest.runs, "compare")
    write_json(directory / PLAN, contest.describe() | {"looks": planned, **vars(methods)})

    def say(words: str) -> None:
        console.print(words, markup=False, highlight=False, soft_wrap=True)

    def run_all(requests: Sequence[RunRequest]) -> int:
        if len(requests) == 1:
            return run(requests[0], environment, console)
        return run_pair(requests, environment, console)

    say(f"comparing in {directory}: at most {contest.pairs} pairs; {methods.words}")
    own = Outputs(json=directory / COMPARISON, junit=directory / JUNIT, summary=directory / SUMMARY)
    code, is_open = int(ExitCode.INCONCLUSIVE), True
    for pair in range(1, contest.pairs + 1):
        say(f"pair {pair} of at most {contest.pairs}")
        for requests in requests_of(contest, methods, directory, pair):
            stopped = run_all(requests)
            if _is_fatal(stopped, requests):
                say(f"the comparison stopped: a run ended with exit code {stopped}")
                return stopped
        if pair in planned:
            code, is_open = _judge(contest, directory, own, environment, planned)
            if not is_open:
                break
            say(f"undecided after {pair} pairs")
    _hand_out(own, contest.outputs)
    say(f"compare: {directory / COMPARISON}")
    return code


def requests_of(
    contest: Contest, methods: Methods, directory: Path, pair: int
) -> Iterator[tuple[RunRequest, ...]]:
    """Yield what runs one after the other in a pair; two requests run at the same time.

    Args:
        contest: the gateways and their scenario.
        methods: how the pair runs.
        directory: the comparison's folder.
        pair: the pair's number, from 1.
    """
    sides = order(pair)
    if methods.in_slices:
        meeting = directory / TURNS / f"pair-{pair:02d}"
        meeting.mkdir(parents=True)
        yield tuple(
            contest.request(side, directory, meeting / place)
            for side, place in zip(sides, PLACES, strict=True)
        )
    if methods.in_blocks:
        for side in sides:
            yield (contest.request(side, directory),)


def finish_runs(directory: Path, environment: Mapping[str, str]) -> int:
    """Make the tables of all runs of a comparison that have none yet; return the exit code."""
    found = [found.parent for side in SIDES for found in sorted((directory / side).glob(_RUNS))]
    waiting = [run for run in found if not run.is_symlink() and not is_finished(run)]
    return finish_tables(waiting, child_environment(environment)) if waiting else ExitCode.PASS


def _hand_out(own: Outputs, wanted: Outputs) -> None:
    """Copy the result files of the comparison's folder to where the caller wants them."""
    for option, path in wanted.named().items():
        written = own.named()[option]
        if path is not None and written is not None and written.exists():
            write_output(path, written.read_text(encoding="utf-8"))


def _check(contest: Contest, console: Console) -> Methods:
    asked = RunRequest(scenario=contest.scenario, runs=contest.runs, budgets=contest.budgets)
    scenario = asked.read()
    if contest.pairs < FEWEST_PAIRS:
        words = f"{contest.pairs} pairs give no 95 % interval; use at least {FEWEST_PAIRS}"
        raise RunRefused(words)
    kept = tuple(budget for budget in scenario.budgets if budget.is_relative)
    for words in foresee(replace(scenario, budgets=kept), has_baseline=True):
        console.print(f"warning: {words}", markup=False, highlight=False, soft_wrap=True)
    methods = methods_for(scenario)
    if not methods.in_slices and any(budget.metric in ALTERNATING for budget in kept):
        why = why_not_alternating(scenario)
        words = f"warning: the load of {scenario.name} cannot alternate, because {why}"
        words += "; times of blocks differ more, so expect INCONCLUSIVE"
        console.print(words, markup=False, highlight=False, soft_wrap=True)
    return methods


def _is_fatal(code: int, requests: Sequence[RunRequest]) -> bool:
    """Return whether an exit code stops the comparison: no other run would start either."""
    if code in _FATAL:
        return True
    return any(not list(request.runs.glob(_RUNS)) for request in requests)


def _judge(
    contest: Contest,
    directory: Path,
    own: Outputs,
    environment: Mapping[str, str],
    planned: Sequence[int],
) -> tuple[int, bool]:
    """Judge the pairs so far; return the exit code and whether a metric is undecided."""
    (directory / COMPARISON).unlink(missing_ok=True)
    if code := finish_runs(directory, environment):
        return code, False
    sides = [directory / "base"], [directory / "head"]
    is_aside = any(is_standard_output(path) for path in contest.outputs.named().values())
    code = compare_runs(
        *sides, contest.budgets, own, environment, is_aside=is_aside, planned=planned
    )
    found = read_json(directory / COMPARISON)
    return code, found is not None and bool(found["undecided"])
