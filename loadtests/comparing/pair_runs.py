"""``tidegate compare``: compare stored runs, or run two gateways in turn and compare them.

A block is a supervised run without a verdict; ``python -m reports.compare`` judges all blocks
together. If six pairs decide nothing, as many again follow, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from rich.console import Console

from loadtests.outputs import is_standard_output, write_output
from loadtests.processes import child_environment
from loadtests.record.manifest import read_json, write_json
from loadtests.results import COMPARISON, JUNIT, MANIFEST, SUMMARY, ExitCode
from loadtests.supervision.gateway_command import GatewayCommand
from loadtests.supervision.judging import start_module
from loadtests.supervision.request import RunRefused, RunRequest, make_folder
from loadtests.supervision.supervisor import run_supervised
from scenarios.foresight import foresee

PLAN: Final = "plan.json"
FIRST_PAIRS: Final = 6
"""The fewest pairs that give a 95 % interval (``docs/gate.md``)."""
Side = Literal["base", "head"]
RunBlock = Callable[[RunRequest, Mapping[str, str], Console], int]
_FATAL: Final = (ExitCode.USAGE, ExitCode.INTERRUPTED)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The files that a comparison writes; None writes none."""

    junit: Path | None = None
    summary: Path | None = None
    json: Path | None = None

    def named(self) -> dict[str, Path | None]:
        """Return each file by its option, which ``python -m reports.compare`` has too."""
        return {"--junit": self.junit, "--summary": self.summary, "--json": self.json}

    def arguments(self) -> list[str]:
        """Return the files as arguments of ``python -m reports.compare``."""
        return [word for name, path in self.named().items() if path for word in (name, str(path))]


@dataclass(frozen=True, kw_only=True)
class Contest:
    """A comparison of two gateways that run in turn.

    Attributes:
        scenario: the scenario file of every block.
        runs: the folder in which the comparison creates its own.
        gateways: the gateway to start, by side.
        pairs: pairs of the first stage; as many again follow when it is undecided.
        budgets: a file that overrides the scenario's budgets.
        outputs: copies of the result files in the comparison's folder.
    """

    scenario: Path
    runs: Path
    gateways: Mapping[Side, GatewayCommand]
    pairs: int = FIRST_PAIRS
    budgets: Path | None = None
    outputs: Outputs = field(default_factory=Outputs)


def compare_runs(
    base: Sequence[Path],
    head: Sequence[Path],
    budgets: Path | None,
    outputs: Outputs,
    environment: Mapping[str, str],
    *,
    is_aside: bool = False,
) -> int:
    """Compare stored runs and return the exit code.

    Args:
        base: run directories, or folders of them.
        head: run directories, or folders of them.
        budgets: a file that overrides the scenario's budgets.
        outputs: files to write.
        environment: this process's environment.
        is_aside: whether the comparison is printed to standard error.
    """
    arguments = [
        *("--base", *(str(path) for path in base), "--head", *(str(path) for path in head)),
        *(("--budgets", str(budgets)) if budgets else ()),
        *outputs.arguments(),
    ]
    inherited = child_environment(environment)
    return start_module("reports.compare.comparing", arguments, inherited, is_aside=is_aside)


def run_contest(
    contest: Contest,
    environment: Mapping[str, str],
    console: Console,
    run: RunBlock = run_supervised,
) -> int:
    """Run the pairs, judge them, extend once when undecided, and return the exit code.

    Args:
        contest: the gateways and their scenario.
        environment: the environment of every process it starts.
        console: shows progress.
        run: runs one block and returns its exit code.

    Raises:
        RunRefused: the scenario is not valid.
        OSError: a result cannot be written.
    """
    _check(contest, console)
    directory = make_folder(contest.runs, "compare")
    names = {str(side): gateway.name for side, gateway in contest.gateways.items()}
    plan = {"scenario": str(contest.scenario), "pairs": contest.pairs, **names}
    write_json(directory / PLAN, plan)

    def say(words: str) -> None:
        console.print(words, markup=False, highlight=False, soft_wrap=True)

    say(f"comparing in {directory}: {contest.pairs} pairs, ABBA, a new gateway for each block")
    own = Outputs(json=directory / COMPARISON, junit=directory / JUNIT, summary=directory / SUMMARY)
    done, code = 0, int(ExitCode.INCONCLUSIVE)
    for pairs in (contest.pairs, 2 * contest.pairs):
        order = abba(pairs, done=done)
        stopped = _run_blocks(contest, directory, order, environment, console, run)
        if stopped is not None:
            say(f"the comparison stopped: a block ended with exit code {stopped}")
            return stopped
        done = pairs
        code, is_open = _judge(contest, directory, own, environment)
        if not is_open or pairs > contest.pairs:
            break
        say(f"undecided after {done} pairs: running {contest.pairs} more, once")
    for option, path in contest.outputs.named().items():
        written = own.named()[option]
        if path is not None and written is not None and written.exists():
            write_output(path, written.read_text(encoding="utf-8"))
    say(f"compare: {directory / COMPARISON}")
    return code


def abba(pairs: int, *, done: int = 0) -> Iterator[tuple[int, Side]]:
    """Yield pair (from 1) and side of each block, A B B A …, for pairs ``done`` + 1 to ``pairs``.

    The second block of a pair meets a machine that is warmer or busier. Base and head take
    turns in that place, so that a drift favours neither.
    """
    for pair in range(done + 1, pairs + 1):
        sides: tuple[Side, Side] = ("base", "head") if pair % 2 else ("head", "base")
        for side in sides:
            yield pair, side


def _check(contest: Contest, console: Console) -> None:
    asked = RunRequest(scenario=contest.scenario, runs=contest.runs, budgets=contest.budgets)
    scenario = asked.read()
    if contest.pairs < FIRST_PAIRS:
        words = f"{contest.pairs} pairs give no 95 % interval; use at least {FIRST_PAIRS}"
        raise RunRefused(words)
    kept = tuple(budget for budget in scenario.budgets if budget.is_relative)
    for words in foresee(replace(scenario, budgets=kept), has_baseline=True):
        console.print(f"warning: {words}", markup=False, highlight=False, soft_wrap=True)


def _run_blocks(
    contest: Contest,
    directory: Path,
    order: Iterable[tuple[int, Side]],
    environment: Mapping[str, str],
    console: Console,
    run: RunBlock,
) -> int | None:
    """Run the blocks in order; return the exit code that stops them, None after the last."""
    for pair, side in order:
        console.print(f"pair {pair}: {side}", markup=False, highlight=False)
        request = RunRequest(
            scenario=contest.scenario,
            runs=directory / side,
            gateway=contest.gateways[side],
            is_judged=False,
        )
        code = run(request, environment, console)
        if code in _FATAL:
            return code
        if not list((directory / side).glob(f"*/{MANIFEST}")):
            return code  # this block did not start, so the others would not either
    return None


def _judge(
    contest: Contest, directory: Path, own: Outputs, environment: Mapping[str, str]
) -> tuple[int, bool]:
    """Judge the blocks so far; return the exit code and whether a metric is undecided."""
    (directory / COMPARISON).unlink(missing_ok=True)
    sides = [directory / "base"], [directory / "head"]
    is_aside = any(is_standard_output(path) for path in contest.outputs.named().values())
    code = compare_runs(*sides, contest.budgets, own, environment, is_aside=is_aside)
    found = read_json(directory / COMPARISON)
    return code, found is not None and bool(found["undecided"])
