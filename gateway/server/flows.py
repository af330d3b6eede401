"""Flows: the lane in which each event leaves, and whether it may be conflated there."""

from __future__ import annotations

from typing import Final

from gateway.contract import CHANNELS, EVENTS, Audience, Channel, EventRow
from gateway.transport import Flow, Lane


def _flow(row: EventRow) -> Flow:
    previous = "prevSeq" if row.audience is Audience.SYMBOL_ROOMS else None
    return Flow(lane=Lane[row.lane], conflate_by=row.conflated_by, previous=previous)


FLOWS: Final = {name: flow for name, row in EVENTS.items() if (flow := _flow(row)) != Flow()}
"""Events that the transport does not simply send in order and whole."""

LANES: Final[dict[Channel, Lane]] = {name: Lane[row.lane] for name, row in CHANNELS.items()}
"""The lane of each channel's numbered streams."""
