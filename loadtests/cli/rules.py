"""``tidegate rules``: alert rules and a dashboard from a scenario's budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtests.cli.options import BudgetsOption, ScenarioArgument, find_file, refuse
from loadtests.ending import print_result


def rules(
    scenario: ScenarioArgument,
    output: Annotated[
        Path, typer.Option("--output", metavar="FOLDER", help="The folder to write into.")
    ] = Path("rules"),
    budgets: BudgetsOption = None,
) -> None:
    """Write Prometheus rules and a Grafana dashboard from a scenario's budgets.

    Files: standing.yml (alerts of every gateway), budgets-SCENARIO.yml, dashboard-SCENARIO.json.
    A budget that no metric shows is listed in a comment, with the reason. Exit codes: 0 2 4.
    """
    from loadtests.alerting.files import rule_files
    from loadtests.outputs import check_folder, write_together
    from scenarios.overlay import lay_over, read_overlay
    from scenarios.schema import ScenarioError, read_scenario

    try:
        found = read_scenario(find_file(scenario))
        if budgets is not None:
            found = lay_over(found, read_overlay(budgets))
    except ScenarioError as error:
        refuse(str(error))
    check_folder("--output", output)
    texts = {output / name: text for name, text in rule_files(found).items()}
    write_together(texts)
    for path in texts:
        print_result(f"{path}\n")
