"""What each producer of metric values needs in a scenario, and how many values it gives.

A budget on a metric whose producer is missing would never have data. A scenario is refused then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from scenarios.catalogue import METRICS
from scenarios.groups import DeadPeerKind
from scenarios.model import MARKET_EVENTS, TRADING_EVENTS, Deed, Scenario

_HEARTBEAT_S: Final = 30.0  # the contract's default


@dataclass(frozen=True, slots=True)
class _Need:
    """What a producer needs.

    Attributes:
        is_met: whether a scenario has it.
        message: what is missing and what to add.
        expected: about how many values a run of the scenario gives; None where unknown.
    """

    is_met: Callable[[Scenario], bool]
    message: str
    expected: Callable[[Scenario], float] | None = None


def missing_producer(metric: str, scenario: Scenario) -> str | None:
    """Return what a scenario lacks to have values of a metric; None when nothing."""
    need = NEEDS[METRICS[metric].producer]
    return None if need.is_met(scenario) else need.message


def expected_values(metric: str, scenario: Scenario) -> float | None:
    """Return about how many values of a metric a run will have; None where it is unknown."""
    expected = NEEDS[METRICS[metric].producer].expected
    return None if expected is None else expected(scenario)


def _publishes(*events: str) -> Callable[[Scenario], bool]:
    is_market = bool(set(events) & set(MARKET_EVENTS))

    def is_met(scenario: Scenario) -> bool:
        published = any(each.event in events for each in scenario.publish)
        return published or (is_market and scenario.has_market_source)

    return is_met


def _has(*groups: str) -> Callable[[Scenario], bool]:
    return lambda scenario: any(name in groups for name in scenario.users.named())


def _orders(*deeds: Deed) -> Callable[[Scenario], bool]:
    return lambda scenario: any(command.do in deeds for command in scenario.commands)


def _drops_and_returns(times: int) -> Callable[[Scenario], bool]:
    def is_met(scenario: Scenario) -> bool:
        deeds = [command.do for command in scenario.commands]
        return min(deeds.count("drop"), deeds.count("return")) >= times

    return is_met


def _dies(kind: DeadPeerKind) -> _Need:
    return _Need(
        lambda scenario: kind in getattr(scenario.users.dead_peer, "kinds", ()),
        f'no dead peer is {kind}; add [users.dead_peer] with "{kind}" in kinds',
    )


def _commands(deed: Deed) -> _Need:
    return _Need(_orders(deed), f'no command says {deed}; add [[commands]] with do = "{deed}"')


def _sends_requests(scenario: Scenario) -> bool:
    return _has("trader", "abuser")(scenario) or _orders("subscribe", "send")(scenario)


def _has_prices(scenario: Scenario) -> bool:
    return bool(scenario.users.symbols()) and _publishes(*MARKET_EVENTS)(scenario)


def _has_expiry(scenario: Scenario) -> bool:
    expiring = scenario.users.expiring
    return expiring is not None and expiring.refreshing < 1


def _has_returns(scenario: Scenario) -> bool:
    is_private = _publishes(*TRADING_EVENTS, "balance:updated")
    return scenario.users.returner is not None and is_private(scenario)


def _has_storm(scenario: Scenario) -> bool:
    return _drops_and_returns(1)(scenario) or _orders("restart")(scenario)


def _has_cycles(scenario: Scenario) -> bool:
    return scenario.users.churner is not None or _drops_and_returns(2)(scenario)


def _has_departure(scenario: Scenario) -> bool:
    falls = any(stage.users < scenario.most_users for stage in scenario.stages[1:])
    return falls or _orders("drop")(scenario)


def _publications(scenario: Scenario) -> float:
    return scenario.phases.steady_s * sum(publish.rate for publish in scenario.publish)


def _pushes(scenario: Scenario) -> float:
    return scenario.phases.steady_s * sum(
        publish.rate * _receivers(publish.event, scenario) for publish in scenario.publish
    )


def _receivers(event: str, scenario: Scenario) -> float:
    """Return about how many users one publication reaches.

    A fraction w of the publications is about a symbol of weight w. A user that holds k symbols
    holds this one with a probability of about min(1, k·w).
    """
    users = scenario.users.named()
    if event not in MARKET_EVENTS:
        public = float(users["trader"].count) if "trader" in users else 0.0
        return public + ("returner" in users)  # a returner gets its own alone
    weights = scenario.market.weights()
    return sum(
        weight * users[name].count * min(1.0, symbols * weight)
        for name, symbols in scenario.users.symbols().items()
        for weight in weights
    )


def _requests(scenario: Scenario) -> float:
    steady_s, users = scenario.phases.steady_s, scenario.users
    trader, abuser = users.trader, users.abuser
    asked = trader.count * steady_s / trader.request_every_s if trader else 0.0
    return asked + (abuser.count * steady_s if abuser else 0.0)


_places_orders: Final = _has("exchange_user")


def _placed_orders(scenario: Scenario) -> float:
    users = scenario.users.exchange_user
    return 0.0 if users is None else users.count * scenario.phases.steady_s / users.order_every_s


def _heartbeats(scenario: Scenario) -> float:
    every_s = float(scenario.gateway.get("GATEWAY_HEARTBEAT_SECONDS", _HEARTBEAT_S))
    heard_s = scenario.phases.warm_up_s + scenario.phases.steady_s
    return scenario.users.total * max(0.0, heard_s / every_s - 1)


_ALWAYS: Final = _Need(lambda _: True, "")
_PUBLISHED: Final = _Need(
    lambda scenario: bool(scenario.publish), "no event is published; add [[publish]]"
)
_DELIVERED: Final = _Need(
    lambda scenario: bool(scenario.publish) or scenario.has_market_source,
    "no event is published; add [[publish]], or GATEWAY_MARKET to [gateway]",
)
NEEDS: Final[Mapping[str, _Need]] = {
    "any run": _ALWAYS,
    "users": replace(_ALWAYS, expected=lambda scenario: float(scenario.users.total)),
    "heartbeats": replace(_ALWAYS, expected=_heartbeats),
    "publications": replace(_PUBLISHED, expected=_publications),
    "pushes": replace(_PUBLISHED, expected=_pushes),
    "publishing": _PUBLISHED,
    "deliveries": _DELIVERED,
    "trading events": _Need(
        lambda scenario: _publishes(*TRADING_EVENTS)(scenario) or _places_orders(scenario),
        "no trading event is published; add [[publish]] with an event such as order:created",
    ),
    "orders": _Need(
        _places_orders, "no user places orders; add [users.exchange_user]", _placed_orders
    ),
    "prices": _Need(
        _has_prices,
        "no user holds a price; add [users.subscriber] and [[publish]] with price:update",
    ),
    "requests": _Need(_sends_requests, "no user sends requests; add [users.trader]", _requests),
    "model users": _Need(_has("model_user"), "no user asks a model; add [users.model_user]"),
    "cancelling model users": _Need(
        lambda scenario: getattr(scenario.users.model_user, "cancelling", 0) > 0,
        "no answer is cancelled; add [users.model_user] with cancelling above 0",
    ),
    "dead peers": _Need(_has("dead_peer"), "no peer plays dead; add [users.dead_peer]"),
    "mute peers": _dies("mute"),
    "no pong peers": _dies("no-pong"),
    "stalled peers": _dies("stalled"),
    "storms": _Need(
        _has_storm,
        'no group drops and returns; add [[commands]] "drop" and "return", or "restart"',
    ),
    "rates": _Need(
        lambda scenario: bool(scenario.users.max_rates()) and _publishes(*MARKET_EVENTS)(scenario),
        "no user has a rate; add max_rate to a group of users, and [[publish]] with price:update",
    ),
    "returns": _Need(
        _has_returns,
        "no user returns to private events; add [users.returner] and [[publish]] with "
        "balance:updated",
    ),
    "abusers": _Need(_has("abuser"), "no user exceeds the limit; add [users.abuser]"),
    "tokens": _Need(
        _has("bad_token", "expiring"),
        "every token is valid; add [users.bad_token] or [users.expiring]",
    ),
    "expiring tokens": _Need(_has("expiring"), "no token expires; add [users.expiring]"),
    "expired tokens": _Need(
        _has_expiry, "no token expires; add [users.expiring] with refreshing below 1"
    ),
    "entitled users": _Need(
        lambda scenario: _has("entitled")(scenario) and _publishes(*MARKET_EVENTS)(scenario),
        "no user's token names symbols; add [users.entitled], and [[publish]] with price:update",
    ),
    "drains": _Need(
        _orders("terminate", "restart"),
        'the gateway never drains; add [[commands]] with do = "terminate"',
    ),
    "subscribe commands": _commands("subscribe"),
    "send commands": _commands("send"),
    "pause commands": _commands("pause"),
    "departures": _Need(
        _has_departure,
        'no user leaves; add [[commands]] with do = "drop", or a stage with fewer users',
    ),
    "cycles": _Need(
        _has_cycles,
        'no user comes and goes; add [users.churner], or [[commands]] "drop" and "return" twice',
    ),
}
