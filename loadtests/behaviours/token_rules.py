"""The rules by which a gateway accepts tokens: the scenario's settings, or the contract's. Pure."""

from __future__ import annotations

from typing import Final

from gateway.contract import MAX_TOKEN_HOURS, TOKEN_EXPIRING_SECONDS, TOKEN_LEEWAY_SECONDS
from scenarios.schema import Scenario

_SECONDS_PER_HOUR: Final = 3_600


def leeway_s(scenario: Scenario) -> int:
    """Return how far clocks may differ for ``exp``, ``nbf`` and ``iat``, in whole seconds."""
    return int(_setting(scenario, "GATEWAY_TOKEN_LEEWAY_SECONDS", TOKEN_LEEWAY_SECONDS))


def expiring_s(scenario: Scenario) -> float:
    """Return how long before ``exp`` a client gets a warning, in seconds."""
    return _setting(scenario, "GATEWAY_TOKEN_EXPIRING_SECONDS", TOKEN_EXPIRING_SECONDS)


def longest_token_s(scenario: Scenario) -> int:
    """Return how far ahead ``exp`` may lie, in seconds."""
    hours = _setting(scenario, "GATEWAY_MAX_TOKEN_HOURS", MAX_TOKEN_HOURS)
    return int(hours * _SECONDS_PER_HOUR)


def _setting(scenario: Scenario, name: str, default: float) -> float:
    return float(scenario.gateway.get(name, default))
