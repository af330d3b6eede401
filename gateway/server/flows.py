"""Flows: in which lane each of the gateway's events leaves, and what may be conflated."""

from __future__ import annotations

from typing import Final

from gateway.contract import Channel, MarketEvent, ServerEvent
from gateway.transport import Flow, Lane

FLOWS: Final = {
    event.value: Flow(lane=Lane.MARKET, conflate_by=("symbol",), previous="prevSeq")
    for event in MarketEvent
} | {
    # Only the last one matters: nobody is closed for not having read an older one.
    ServerEvent.CONNECTION_COUNT.value: Flow(conflate_by=()),
    ServerEvent.HEARTBEAT.value: Flow(conflate_by=()),
}
"""Market data wait behind everything else; of a symbol, of the connection count and
of the heartbeat a slow client gets the newest alone."""

LANES: Final = {
    Channel.TRADING: Lane.LOSSLESS,
    Channel.LLM: Lane.LOSSLESS,
    Channel.MARKET_DATA: Lane.MARKET,
}
"""The lane of each channel's numbered streams."""
