"""The feed that the settings name."""

from __future__ import annotations

from gateway.server.clock import Clock
from gateway.settings import Settings
from gateway.sources.feeds.simulated import SimulatedFeed
from gateway.sources.market.feed import Feed
from gateway.sources.market.simulation import Simulation


def make_feed(settings: Settings, clock: Clock) -> Feed | None:
    """Return the feed of the setting ``market``, ``None`` where it is off.

    Args:
        settings: the settings.
        clock: the clock of the gateway.
    """
    if settings.market == "off":
        return None
    simulation = Simulation(settings.market_symbols, settings.market_seed)
    return SimulatedFeed(settings.market_symbols, simulation, settings.market_rate, clock)
