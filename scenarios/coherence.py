"""Whether the parts of a scenario belong together.

A scenario in which nobody could hear what is published, or whose budgets could never
have data, would run for minutes and prove nothing: it is refused before it starts.
"""

from __future__ import annotations

from scenarios.budgets import Budget
from scenarios.model import MARKET_EVENTS, TRADING_EVENTS, Scenario
from scenarios.reading import Source


def check_coherence(scenario: Scenario, source: Source) -> None:
    """Report everything in a well-formed scenario that contradicts something else in it."""
    _check_users(scenario, source)
    _check_stages(scenario, source)
    _check_publications(scenario, source)
    for index, budget in enumerate(scenario.budgets):
        _check_budget(budget, scenario, source, index)


def _check_users(scenario: Scenario, source: Source) -> None:
    users, held = scenario.users, scenario.market.symbols
    if not users.total:
        source.report(("users",), "nobody connects; add [users.subscriber], trader or abuser")
    for name, group in (("subscriber", users.subscriber), ("trader", users.trader)):
        if group is not None and group.symbols > held:
            words = f"users.{name}.symbols = {group.symbols}, but market.symbols is {held}"
            source.report(("users", name, "symbols"), f"{words}; write at most {held}")


def _check_stages(scenario: Scenario, source: Source) -> None:
    before_s = -1.0
    for index, stage in enumerate(scenario.stages):
        path = ("stages", index, "at")
        if stage.at_s <= before_s:
            source.report(path, "stages.at does not rise; write the stages in the order of time")
        if stage.at_s >= scenario.phases.steady_s:
            end = f"phases.steady is {scenario.phases.steady_s:g} s"
            source.report(path, f"stages.at lies beyond the steady phase: {end}")
        before_s = stage.at_s


def _check_publications(scenario: Scenario, source: Source) -> None:
    users = scenario.users
    listens = users.subscriber is not None or (users.trader is not None and users.trader.symbols)
    for index, publish in enumerate(scenario.publish):
        path = ("publish", index, "event")
        if publish.event in MARKET_EVENTS and not listens:
            words = f"{publish.event} is published and no user subscribes to a symbol"
            source.report(path, f"{words}; add [users.subscriber]")
        if publish.event in TRADING_EVENTS and users.trader is None:
            words = f"{publish.event} is published and no user is in the trading channel"
            source.report(path, f"{words}; add [users.trader]")


def _check_budget(budget: Budget, scenario: Scenario, source: Source, index: int) -> None:
    path = ("budgets", index)
    family = budget.metric.split(".", maxsplit=1)[0]
    needs = {
        "push": "publish",
        "push_service": "publish",
        "publish_delay": "publish",
        "publish_ack": "publish",
        "delivery": "publish",
        "ack": "asks",
        "ack_service": "asks",
        "schedule_delay": "asks",
        "rate_limit": "abuser",
    }.get(family)
    users = scenario.users
    words = {
        "publish": None if scenario.publish else "nothing is published; add [[publish]]",
        "asks": None if users.trader or users.abuser else "no user asks; add [users.trader]",
        "abuser": None if users.abuser else "nobody exceeds the limit; add [users.abuser]",
    }.get(needs or "")
    if words:
        source.report(path, f'budget "{budget.text}" would never have data: {words}')
    if any(other.text == budget.text for other in scenario.budgets[:index]):
        source.report(path, f'budget "{budget.text}" stands here twice; remove one')
