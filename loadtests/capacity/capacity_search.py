"""``tidegate run`` of a scenario with ``[capacity]``: run the trials and report the capacity."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from loadtests.capacity.search import Bound, Found, Search, Trial, Tried
from loadtests.capacity.trials import Outcome, TrialFailed, run_trial, scenario_at
from loadtests.processes import child_environment
from loadtests.record.manifest import write_json
from loadtests.results import CAPACITY, FORMAT_VERSION, REPORT, ExitCode, Verdict
from loadtests.supervision.gateway_command import GatewayCommand
from loadtests.supervision.judging import judge_run
from loadtests.supervision.request import RunRefused, RunRequest, make_folder
from scenarios.capacity_table import Capacity
from scenarios.schema import Scenario, parse_scenario

LONGEST_S: Final = 3_600.0


def search_capacity(
    scenario: Scenario, request: RunRequest, environment: Mapping[str, str], console: Console
) -> int:
    """Search for the capacity and return the exit code; each trial is a separate run.

    Args:
        scenario: has a ``[capacity]`` table.
        request: the options of the command line.
        environment: this process's environment.
        console: shows progress.

    Raises:
        RunRefused: the request has options that a search does not accept, or no folder can be made.
    """
    unfit = {
        "--target": request.target,
        "--users": request.users,
        "--budgets": request.budgets,
        "--baseline": request.baseline,
        "--duration": request.duration_s,
        "--max-duration": request.max_duration_s,
    }
    given = [name for name, value in unfit.items() if value is not None]
    if given:
        words = f"{scenario.name} searches for the capacity and changes only the load"
        raise RunRefused(f"{words}; leave out {' and '.join(given)}")
    search = CapacitySearch(
        scenario,
        make_folder(request.runs, f"{scenario.name}_search"),
        environment,
        console,
        options=(
            *(() if request.gateway == GatewayCommand() else ("--gateway", request.gateway.name)),
            *(() if request.nodes is None else ("--nodes", str(request.nodes))),
            *(() if request.processes is None else ("--processes", str(request.processes))),
        ),
    )
    return search.run()


class CapacitySearch:
    """Runs the trials that a ``Search`` asks for, and keeps their outcomes.

    Args:
        scenario: has a ``capacity``.
        folder: the search's own; it exists.
        environment: this process's environment.
        console: shows progress.
        options: options of ``tidegate run`` for every trial.

    Raises:
        ValueError: the scenario has no ``capacity``.
    """

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        environment: Mapping[str, str],
        console: Console,
        *,
        options: Sequence[str] = (),
    ) -> None:
        if scenario.capacity is None:
            raise ValueError(f"{scenario.name} has no [capacity]")
        self.scenario = scenario
        self.capacity: Capacity = scenario.capacity
        self.folder = folder
        self._environment = child_environment(environment)
        self._console = console
        self._options = tuple(options)
        self._outcomes: list[tuple[Tried, Path]] = []

    def run(self) -> int:
        """Search, write ``capacity.json``, say the answer; return the exit code."""
        capacity = self.capacity
        search = Search(capacity.start, capacity.highest, capacity.resolution)
        ends_s = time.monotonic() + LONGEST_S
        try:
            while (trial := search.next_trial()) is not None and time.monotonic() < ends_s:
                outcome = self._try(trial, len(search.tried) + 1)
                search.tell(outcome.verdict, outcome.why)
                self._outcomes.append((search.tried[-1], outcome.run))
        except TrialFailed as error:
            self._write(search.found())
            self._say(f"the search ends here: {error}")
            return ExitCode.INVALID
        except KeyboardInterrupt:
            self._write(search.found())
            return ExitCode.INTERRUPTED
        found = search.found()
        self._write(found)
        self._say(describe(found, capacity))
        self._report()
        return judge(found, capacity)

    def _try(self, trial: Trial, number: int) -> Outcome:
        text = scenario_at(self.scenario, self.capacity, trial)
        scenario = parse_scenario(text, path=f"trial {number}")
        begun_s = time.monotonic()
        outcome = run_trial(
            text,
            number,
            self.folder,
            self._environment,
            options=self._options,
            span_s=scenario.load_s + scenario.phases.drain_s,
        )
        kind = "confirm" if trial.is_long else "trial"
        self._say(
            f"{kind:<8}{number:>3}  {trial.load:>10,.4g} {self.capacity.unit}  "
            f"{outcome.verdict:<12}  {time.monotonic() - begun_s:4.0f} s  "
            f"{'' if outcome.verdict is Verdict.PASS else outcome.why}"
        )
        return outcome

    def _write(self, found: Found) -> None:
        content: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "scenario": self.scenario.name,
            "of": self.capacity.of,
            "unit": self.capacity.unit,
            "low": found.low,
            "high": found.high,
            "is_confirmed": found.is_confirmed,
            "bound": str(found.bound),
            "why": found.why,
            "at_least": self.capacity.at_least,
            "trials": [
                {
                    "load": tried.trial.load,
                    "is_long": tried.trial.is_long,
                    "verdict": str(tried.verdict),
                    "why": tried.why,
                    "run": str(run.relative_to(self.folder.resolve())),
                }
                for tried, run in self._outcomes
            ],
        }
        write_json(self.folder / CAPACITY, content)

    def _report(self) -> None:
        """Copy the result into the last run that passed, and write its report again."""
        kept = [run for tried, run in self._outcomes if tried.verdict is Verdict.PASS]
        if not kept:
            self._say(f"every trial: {self.folder}")
            return
        shutil.copyfile(self.folder / CAPACITY, kept[-1] / CAPACITY)
        judge_run(kept[-1], self._environment)
        self._say(f"report: {kept[-1] / REPORT}\nevery trial: {self.folder}")

    def _say(self, words: str) -> None:
        self._console.print(words, markup=False, highlight=False, soft_wrap=True)


def describe(found: Found, capacity: Capacity) -> str:
    """Return the capacity and its bound as a sentence."""
    unit = capacity.unit
    if found.low is None:
        if found.high is None:
            return f"capacity: unknown; {found.why}"
        if found.bound is Bound.GENERATOR:
            told = f"capacity: unknown; the generator could not measure {found.high:,.4g} {unit}"
            return f"{told}: {found.why}"
        return f"capacity: below {found.high:,.4g} {unit}; {found.why}"
    confirmed = "confirmed by a long trial" if found.is_confirmed else "not confirmed"
    if found.bound is Bound.GATEWAY:
        return f"capacity: {found.low:,.4g} to {found.high:,.4g} {unit}, {confirmed}; {found.why}"
    limited = {
        Bound.GENERATOR: f"generator-limited: {found.why}",
        Bound.ASKED: "more was not asked for",
    }[found.bound]
    return f"capacity: at least {found.low:,.4g} {unit}, {confirmed}; {limited}"


def judge(found: Found, capacity: Capacity) -> int:
    """Return the exit code: compare the interval with ``at_least``, as for any budget."""
    if found.low is None:
        return ExitCode.BUDGET_BROKEN if found.bound is Bound.GATEWAY else ExitCode.INVALID
    if capacity.at_least is None:
        return ExitCode.PASS if found.is_confirmed else ExitCode.INCONCLUSIVE
    if found.is_confirmed and found.low >= capacity.at_least:
        return ExitCode.PASS
    if found.bound is Bound.GENERATOR:
        return ExitCode.INVALID
    if found.high is not None and found.high <= capacity.at_least:
        return ExitCode.BUDGET_BROKEN
    return ExitCode.INCONCLUSIVE
