"""What two gateways can be compared on while the load alternates between them.

The load alternates when all of it has intended times: publications and the requests of traders.
Commands, load stages and other groups of users make load at times of their own.
"""

from __future__ import annotations

from typing import Final

from scenarios.model import Scenario

ALTERNATING: Final = frozenset(
    {
        "push",
        "push_service",
        "accept",
        "kernel",
        "read",
        "publish_ack",
        "ack",
        "ack_service",
        "loop_lag",
        "cost.per_message",
        "cost.instructions",
    }
)
"""Metrics whose values come from the load alone, so that slices measure them."""
_GROUPS: Final = frozenset({"subscriber", "trader", "idle"})


def why_not_alternating(scenario: Scenario) -> str:
    """Return why the load of a scenario cannot alternate; empty when it can."""
    others = [name for name in scenario.users.named() if name not in _GROUPS]
    if others:
        return f"its users include {', '.join(others)}"
    if scenario.commands or scenario.stages:
        return "it has commands" if scenario.commands else "it has load stages"
    if not scenario.publish and scenario.users.trader is None:
        return "it publishes nothing and has no traders"
    return ""
