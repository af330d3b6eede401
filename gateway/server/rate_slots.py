"""``RateSlots``: sends market data to clients with a rate of their own, when a slot ends.

A tier has a timer only while events wait for its slot. Joining a tier, leaving it and sending a
slot's frames are steps that never await, so a client gets each number once and in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from gateway.channels import SubscriptionRequest
from gateway.metrics import GatewayMetrics
from gateway.rates.rate_tiers import EVERY, RateChange, RateTiers
from gateway.rates.tier import SlotFrame, Update
from gateway.server.clock import Clock
from gateway.transport import SocketServer

_STREAMS_A_TURN: Final = 100  # 1 to 3 ms with a thousand recipients each
_NS_PER_S: Final = 1e9


class RateSlots:
    """The timers of the tiers.

    Args:
        transport: sends the frames, and has the rooms of the tiers.
        clock: the clock of the slots.
        metrics: counts messages, and times the fan-out.

    Attributes:
        tiers: the rates of all clients.
    """

    def __init__(self, transport: SocketServer, clock: Clock, metrics: GatewayMetrics) -> None:
        self.tiers = RateTiers()
        self._transport = transport
        self._clock = clock
        self._metrics = metrics

    def subscribe(
        self, sid: str, request: SubscriptionRequest, held: tuple[str, ...]
    ) -> dict[str, int]:
        """Let a client enter the rooms of a subscription, or move to its rate in them.

        Events that it lacks at its former rate are queued before the answer.

        Args:
            sid: the client.
            request: the subscription.
            held: the rooms that it held before.

        Returns:
            The last number that it has of its streams, where that is not the stream's last.
        """
        rate = EVERY if request.max_rate is None else request.max_rate
        return self._apply(sid, self.tiers.subscribe(sid, request.rooms, rate, held))

    def unsubscribe(
        self, sid: str, request: SubscriptionRequest, held: tuple[str, ...]
    ) -> dict[str, int]:
        """Let a client leave the rooms of a subscription.

        Args:
            sid: the client.
            request: the subscription.
            held: the rooms that it held before.

        Returns:
            The last number that it has of its streams, where that is not the stream's last.
        """
        return self._apply(sid, self.tiers.unsubscribe(sid, request.rooms, held))

    def offer(self, update: Update) -> None:
        """Take the newest event of a stream, for the next slot of each tier that carries it."""
        now_ns = self._clock.monotonic_ns()
        for rate, due_ns in self.tiers.offer(update, now_ns):
            asyncio.get_running_loop().call_later((due_ns - now_ns) / _NS_PER_S, self._send, rate)

    def _apply(self, sid: str, change: RateChange) -> dict[str, int]:
        self._broadcast(change.catch_up)
        if change.left:
            self._transport.leave_rooms(sid, change.left)
        if change.entered:
            self._transport.enter_rooms(sid, change.entered)
        return change.marks

    def _send(self, rate: int) -> None:
        frames, has_more = self.tiers.take(rate, _STREAMS_A_TURN)
        if has_more:
            asyncio.get_running_loop().call_soon(self._send, rate)
        self._broadcast(frames)

    def _broadcast(self, frames: Iterable[SlotFrame]) -> None:
        for frame in frames:
            update = frame.update
            sent = self._transport.broadcast_encoded(
                update.event,
                frame.packet,
                {"symbol": update.symbol, "prevSeq": frame.previous},
                rooms=frame.rooms,
                skip=frame.skip,
                on_done=self._metrics.fanned_out,
            )
            self._metrics.messages_out(update.event, sent)
