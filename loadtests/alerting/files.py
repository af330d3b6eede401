"""The files of ``tidegate rules``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtests.alerting.budget_rules import AbsentRule, groups_of, rules_of
from loadtests.alerting.dashboard import dashboard
from loadtests.alerting.rules import rules_file
from loadtests.alerting.standing import STANDING
from scenarios.schema import Scenario

STANDING_FILE = "standing.yml"


def rule_files(scenario: Scenario) -> Mapping[str, str]:
    """Return the text of each file, by its name."""
    name = scenario.name
    found = rules_of(scenario)
    made = f"Written by tidegate rules {name}."
    comments = [made, *_listed(found.absent)]
    return {
        STANDING_FILE: rules_file(
            STANDING, ["Alerts of every gateway. Written by tidegate rules."]
        ),
        f"budgets-{name}.yml": rules_file(groups_of(name, found.rules), comments),
        f"dashboard-{name}.json": dashboard(name, found.rules),
    }


def _listed(absent: Sequence[AbsentRule]) -> list[str]:
    if not absent:
        return []
    lines = [f"  {budget.text}: {reason}" for budget, reason in absent]
    return ["These budgets have no series in production:", *lines]
