"""The feed that the settings name."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from gateway.errors import SourceFailed
from gateway.market_variables import UPSTREAMS
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

    Raises:
        SourceFailed: a package is missing, or the recorded session cannot be read.
    """
    if settings.market == "off":
        return None
    feed = _feed(settings, clock)
    if settings.market_record is None:
        return feed
    check_recording(settings.market_record)
    from gateway.sources.feeds.replay import recording

    return recording(feed, settings.market_record, clock)


def check_recording(path: str) -> None:
    """Return if a session can be recorded. The file is not made.

    Args:
        path: the file, which must not exist.

    Raises:
        SourceFailed: a package is missing, the file exists, or its folder takes none.
    """
    try:
        import_module("gateway.sources.feeds.session_file")
    except ImportError as error:
        raise _lacking("GATEWAY_MARKET_RECORD", error) from None
    file = Path(path)
    if file.exists() or not os.access(file.parent, os.W_OK):
        what = "the file exists" if file.exists() else "its folder takes no new file"
        raise SourceFailed(f"GATEWAY_MARKET_RECORD: {path}: {what}; name a new file")


def _feed(settings: Settings, clock: Clock) -> Feed:
    if settings.market in UPSTREAMS:
        return _upstream(settings, clock)
    if settings.market == "replay":
        return _replay(settings)
    simulation = Simulation(settings.market_symbols, settings.market_seed)
    return SimulatedFeed(settings.market_symbols, simulation, settings.market_rate, clock)


def _upstream(settings: Settings, clock: Clock) -> Feed:
    try:
        from gateway.sources.feeds.exchanges import open_exchange
        from gateway.sources.feeds.upstream import UpstreamFeed
    except ImportError as error:
        raise _lacking(f"GATEWAY_MARKET={settings.market}", error) from None
    exchange = open_exchange(settings.market, settings.market_url)
    return UpstreamFeed(exchange, settings.market_symbols, clock)


def _replay(settings: Settings) -> Feed:
    try:
        from gateway.sources.feeds.replay import open_replay
    except ImportError as error:
        raise _lacking("GATEWAY_MARKET=replay", error) from None
    return open_replay(
        settings.market_file or "", speed=settings.market_speed, is_endless=settings.market_loop
    )


def _lacking(setting: str, error: ImportError) -> SourceFailed:
    return SourceFailed(
        f"{setting} needs the package {error.name}; "
        "install the extra feeds: pip install 'tidegate[feeds]'"
    )
