"""What of a scenario produces each metric: a budget on a metric without it never has data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from scenarios.groups import DeadPeerKind
from scenarios.model import MARKET_EVENTS, TRADING_EVENTS, Deed, Scenario


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a scenario must have.

    Attributes:
        is_met: by a scenario, or not.
        words: what is wrong without it, and what would be right.
    """

    is_met: Callable[[Scenario], bool]
    words: str


def missing_producer(metric: str, scenario: Scenario) -> str | None:
    """Return in words what a scenario lacks to have data for a metric; None when nothing."""
    found = _OF_METRICS.get(metric) or _OF_FAMILIES.get(metric.split(".", maxsplit=1)[0])
    return None if found is None or found.is_met(scenario) else found.words


def _publishes(*events: str) -> Callable[[Scenario], bool]:
    return lambda scenario: any(each.event in events for each in scenario.publish)


def _has(*groups: str) -> Callable[[Scenario], bool]:
    return lambda scenario: any(name in groups for name in scenario.users.named())


def _orders(*deeds: Deed) -> Callable[[Scenario], bool]:
    return lambda scenario: any(command.do in deeds for command in scenario.commands)


def _drops_and_returns(times: int) -> Callable[[Scenario], bool]:
    def is_met(scenario: Scenario) -> bool:
        deeds = [command.do for command in scenario.commands]
        return min(deeds.count("drop"), deeds.count("return")) >= times

    return is_met


def _dies(kind: DeadPeerKind) -> Need:
    def is_met(scenario: Scenario) -> bool:
        return scenario.users.dead_peer is not None and kind in scenario.users.dead_peer.kinds

    return Need(is_met, f'nobody dies so; add [users.dead_peer] with "{kind}" in kinds')


def _asks(scenario: Scenario) -> bool:
    return _has("trader", "abuser")(scenario) or _orders("subscribe", "send")(scenario)


def _expires(scenario: Scenario) -> bool:
    expiring = scenario.users.expiring
    return expiring is not None and expiring.refreshing < 1


def _has_storm(scenario: Scenario) -> bool:
    return _drops_and_returns(1)(scenario) or _orders("restart")(scenario)


def _has_cycles(scenario: Scenario) -> bool:
    return scenario.users.churner is not None or _drops_and_returns(2)(scenario)


def _empties(scenario: Scenario) -> bool:
    falls = any(stage.users < scenario.most_users for stage in scenario.stages[1:])
    return falls or _orders("drop")(scenario)


_PUBLISHED: Final = Need(
    lambda scenario: bool(scenario.publish), "nothing is published; add [[publish]]"
)
_ASKED: Final = Need(_asks, "no user asks; add [users.trader]")
_DRAINED: Final = Need(
    _orders("terminate", "restart"), 'nothing drains; add [[commands]] with do = "terminate"'
)
_TRADED: Final = Need(
    _publishes(*TRADING_EVENTS),
    "no trading event has an owner; add [[publish]] with such as order:created",
)
_CYCLED: Final = Need(
    _has_cycles,
    'nobody comes and goes; add [users.churner], or [[commands]] "drop" and "return" twice',
)

_OF_FAMILIES: Final[Mapping[str, Need]] = {
    **dict.fromkeys(
        (
            *("push", "push_service", "accept", "kernel", "read", "fanout", "publish_delay"),
            *("publish_ack", "delivery", "isolation", "fairness"),
        ),
        _PUBLISHED,
    ),
    **dict.fromkeys(("ack", "ack_service", "schedule_delay"), _ASKED),
    "staleness": Need(
        lambda scenario: bool(scenario.users.symbols()) and _publishes(*MARKET_EVENTS)(scenario),
        "nobody holds a price; add [users.subscriber] and [[publish]] with price:update",
    ),
    "dead_peer": Need(_has("dead_peer"), "nobody plays dead; add [users.dead_peer]"),
    "storm": Need(
        _has_storm, 'nobody drops and returns; add [[commands]] "drop" and "return", or "restart"'
    ),
    "rate_limit": Need(_has("abuser"), "nobody exceeds the limit; add [users.abuser]"),
    "auth": Need(
        _has("bad_token", "expiring"),
        "every token is good; add [users.bad_token] or [users.expiring]",
    ),
    "drain": _DRAINED,
}

_OF_METRICS: Final[Mapping[str, Need]] = {
    "dead_peer.mute": _dies("mute"),
    "dead_peer.no_pong": _dies("no-pong"),
    "dead_peer.stalled": _dies("stalled"),
    "auth.expiry": Need(
        _expires, "no token runs out; add [users.expiring] with refreshing below 1"
    ),
    "auth.overstayed": Need(_has("expiring"), "no token runs out; add [users.expiring]"),
    "isolation.foreign": _TRADED,
    "isolation.private_fields": _TRADED,
    "memory.per_subscription": Need(
        _orders("subscribe"), 'nobody joins more; add [[commands]] with do = "subscribe"'
    ),
    "memory.per_message": Need(
        _orders("send"), 'nobody is told to ask; add [[commands]] with do = "send"'
    ),
    "memory.per_backlog": Need(
        _orders("pause"), 'nobody stops reading; add [[commands]] with do = "pause"'
    ),
    "memory.returned": Need(
        _empties, 'nobody leaves; add [[commands]] with do = "drop", or a stage of fewer users'
    ),
    "memory.per_cycle": _CYCLED,
    "memory.left_sessions": _CYCLED,
    "memory.left_fds": _CYCLED,
}
