"""Checks that the parts of a scenario fit together.

A scenario whose events have no receiver, or whose budgets never have data, would run for minutes
and prove nothing. It is refused before it starts.
"""

from __future__ import annotations

from scenarios.budgets import Budget
from scenarios.commands import check_commands
from scenarios.model import MARKET_EVENTS, Scenario
from scenarios.producers import missing_producer
from scenarios.reading import Source


def check_coherence(scenario: Scenario, source: Source) -> None:
    """Report every contradiction in a well-formed scenario."""
    _check_users(scenario, source)
    _check_stages(scenario, source)
    check_commands(scenario, source)
    _check_publications(scenario, source)
    for index, budget in enumerate(scenario.budgets):
        _check_budget(budget, scenario, source, index)


def _check_users(scenario: Scenario, source: Source) -> None:
    users, held = scenario.users, scenario.market.symbols
    if not users.total:
        source.report(("users",), "the scenario has no users; add [users.subscriber]")
    for name, symbols in users.symbols().items():
        if symbols > held:
            words = f"users.{name}.symbols = {symbols}, but market.symbols is {held}"
            source.report(("users", name, "symbols"), f"{words}; write at most {held}")
    dead = users.dead_peer
    if dead is not None and dead.count < len(dead.kinds):
        words = f"users.dead_peer.count = {dead.count}, but there are {len(dead.kinds)} kinds"
        source.report(("users", "dead_peer", "count"), f"{words}; write at least {len(dead.kinds)}")


def _check_stages(scenario: Scenario, source: Source) -> None:
    before_s = -1.0
    for index, stage in enumerate(scenario.stages):
        path = ("stages", index, "at")
        if stage.at_s <= before_s:
            source.report(path, "stages.at must rise; write the stages in order of time")
        if stage.at_s >= scenario.phases.steady_s:
            end = f"phases.steady is {scenario.phases.steady_s:g} s"
            source.report(path, f"stages.at is after the steady phase: {end}")
        before_s = stage.at_s


def _check_publications(scenario: Scenario, source: Source) -> None:
    users = scenario.users
    joins = any(command.do == "subscribe" for command in scenario.commands)
    listens = bool(users.symbols()) or joins
    for index, publish in enumerate(scenario.publish):
        path = ("publish", index, "event")
        if publish.event in MARKET_EVENTS and not listens:
            words = f"{publish.event} is published, but no user subscribes to a symbol"
            source.report(path, f"{words}; add [users.subscriber]")
        has_owners = users.trader is not None or users.returner is not None
        if publish.event not in MARKET_EVENTS and not has_owners:
            words = f"{publish.event} is published, but no user is in the trading channel"
            source.report(path, f"{words}; add [users.trader]")


def _check_budget(budget: Budget, scenario: Scenario, source: Source, index: int) -> None:
    path = ("budgets", index)
    words = missing_producer(budget.metric, scenario)
    if words is not None:
        source.report(path, f'budget "{budget.text}" would never have data: {words}')
    if any(other.text == budget.text for other in scenario.budgets[:index]):
        source.report(path, f'budget "{budget.text}" is written twice; remove one')
