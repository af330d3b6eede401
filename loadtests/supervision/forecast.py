"""Warn, before a run starts, about budgets that will probably be inconclusive."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from loadtests.processes import bound_to_us, child_environment, own_command
from loadtests.supervision.judging import JUDGE_S
from loadtests.supervision.request import RunRefused
from scenarios.foresight import foresee
from scenarios.schema import Scenario


def warn_of_budgets(
    scenario: Scenario, baseline: Path | None, environment: Mapping[str, str], console: Console
) -> None:
    """Print a warning for each budget that is too strict for the run or for its baseline.

    Args:
        scenario: with the budgets that will be judged.
        baseline: the run that ratio budgets compare with; None for none.
        environment: this process's environment.
        console: prints the warnings.

    Raises:
        RunRefused: the baseline cannot be read.
    """
    lines = foresee(scenario, has_baseline=baseline is not None)
    ratios = [budget.text for budget in scenario.budgets if budget.is_relative]
    if baseline is not None and ratios:
        lines += foresee_ratios(baseline, ratios, environment)
    for words in lines:
        console.print(f"warning: {words}", markup=False, highlight=False, soft_wrap=True)


def foresee_ratios(baseline: Path, budgets: list[str], environment: Mapping[str, str]) -> list[str]:
    """Return a warning for each ratio budget that a run like its baseline could hardly decide.

    Reading runs needs pandas, so a process of its own does it.

    Args:
        baseline: the run directory.
        budgets: the ratio budgets, as text.
        environment: this process's environment.

    Raises:
        RunRefused: the baseline cannot be read, or not in time.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the project's own command
            own_command("reports.ratio_foresight", str(baseline), *budgets),
            env=child_environment(environment),
            timeout=JUDGE_S,
            check=False,
            capture_output=True,
            text=True,
            preexec_fn=bound_to_us(),
        )
    except subprocess.TimeoutExpired:
        raise RunRefused(f"the baseline {baseline} was not read within {JUDGE_S:g} s") from None
    if done.returncode:
        raise RunRefused(done.stderr.strip())
    return done.stdout.splitlines()
