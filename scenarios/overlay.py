"""A separate TOML file with ``budgets = [...]`` can override a scenario's budgets.

A budget of the file replaces the scenario's budgets with the same metric and statistic, absolute
or relative. The others stay. So a pipeline can be stricter, or add a ratio to a baseline, without
a copy of the scenario.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scenarios.budgets import Budget, parse_budget
from scenarios.model import Scenario
from scenarios.problems import Problem, ScenarioError, shown, suggest
from scenarios.producers import missing_producer
from scenarios.text import parse_toml, read_text

_RIGHT = 'write at least one, such as budgets = ["push.p99 <= 10 ms"]'


def read_overlay(path: Path, name: str = "") -> tuple[Budget, ...]:
    """Return the budgets of a file, each with its path and line.

    Args:
        path: the file.
        name: of the file in budgets and messages; its path when empty.

    Raises:
        ScenarioError: the file cannot be read or is not valid; it lists every problem.
    """
    called = name or str(path)
    try:
        text = read_text(path, "a TOML file with budgets = [...]")
    except ScenarioError as error:
        raise ScenarioError(called, error.problems) from None
    content, lines = parse_toml(text, called)
    problems = [
        Problem(lines.get((key,), 1), f"unknown key {key[:80]}; {suggest(key, ['budgets'])}")
        for key in content
        if key != "budgets"
    ]
    texts = content.get("budgets")
    if not isinstance(texts, list) or not texts:
        problems.append(Problem(lines.get(("budgets",), 1), f"budgets is not a list; {_RIGHT}"))
        texts = []
    found: list[Budget] = []
    for index, words in enumerate(texts):
        line = lines.get(("budgets", index), 1)
        if not isinstance(words, str):
            problems.append(Problem(line, f"budget {shown(words)} is not a text; {_RIGHT}"))
            continue
        try:
            found.append(parse_budget(words, line, called))
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        raise ScenarioError(called, problems)
    return tuple(found)


def lay_over(scenario: Scenario, over: Sequence[Budget]) -> Scenario:
    """Return the scenario with these budgets laid over its own.

    Raises:
        ScenarioError: a budget could never have data in this scenario, or is written twice.
    """
    problems = []
    for index, budget in enumerate(over):
        lacking = missing_producer(budget.metric, scenario)
        if lacking:
            words = f'budget "{budget.text}" would never have data in {scenario.name}: {lacking}'
            problems.append(Problem(budget.line, words))
        if any(other.text == budget.text for other in over[:index]):
            problems.append(Problem(budget.line, f'budget "{budget.text}" is written twice'))
    if problems:
        raise ScenarioError(over[0].path or "budgets", problems)
    replaced = {budget.subject for budget in over}
    kept = tuple(budget for budget in scenario.budgets if budget.subject not in replaced)
    return replace(scenario, budgets=(*kept, *over))
