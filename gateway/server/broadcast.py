"""Broadcast: numbers are given and frames are queued here, one publication after the other.

One lock holds a publication's numbering and its queueing together, and a subscription's
join and its answer. So order within a stream is the order of its numbers, and the ``at``
of an answer is exact: nothing of the stream lies between it and the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from gateway.contract import ErrorCode, iso_timestamp, user_room
from gateway.errors import PublicationRejected
from gateway.metrics import GatewayMetrics
from gateway.publication import Delivery, Publication, parse_publication, plan
from gateway.server.clock import Clock
from gateway.streams import Streams
from gateway.transport import AsyncServer

_MAX_WAITING: Final = 64
"""Publish requests that may wait for the lock; one more is told to come back."""
_RETRY_AFTER_S: Final = 1.0


class Broadcaster:
    """The only way by which events reach more than the client that asked.

    Args:
        transport: queues frames.
        streams: the numbers.
        user_sids: ``user id -> sids`` of a user's connections.
        clock: for ``ts`` and ``timestamp``.
        metrics: messages out, fan-out time.
        key: for the public form's ids; new for each process.
    """

    def __init__(
        self,
        transport: AsyncServer,
        streams: Streams,
        user_sids: Callable[[str], Collection[str]],
        clock: Clock,
        metrics: GatewayMetrics,
        key: bytes,
    ) -> None:
        self._transport = transport
        self._streams = streams
        self._user_sids = user_sids
        self._clock = clock
        self._metrics = metrics
        self._key = key
        self._waiting = 0
        self.lock = asyncio.Lock()
        """Held while numbers are given and frames queued, and while rooms are joined or left."""

    def ts_us(self) -> int:
        """Return the gateway's monotonic clock in µs: what ``ts`` carries."""
        return self._clock.monotonic_ns() // 1_000

    def timestamp(self) -> str:
        """Return the wall clock as the wire writes it."""
        return iso_timestamp(self._clock.unix_s())

    async def publish(self, publications: Sequence[Publication]) -> list[dict[str, Any]]:
        """Number and queue publications, in order.

        Returns:
            For each: ``{stream, seq?, userSeq?, ts}``.

        Raises:
            PublicationRejected: 503, too many requests wait already; nothing was published.
        """
        if self._waiting >= _MAX_WAITING:
            raise PublicationRejected(
                503,
                [
                    {
                        "index": 0,
                        "message": "The gateway cannot keep up; try again later",
                        "code": ErrorCode.INTERNAL_ERROR,
                    }
                ],
                retry_after_s=_RETRY_AFTER_S,
            )
        self._waiting += 1
        try:
            return [await self._publish(publication) for publication in publications]
        finally:
            self._waiting -= 1

    async def _publish(self, publication: Publication) -> dict[str, Any]:
        async with self.lock:
            ts_us = self.ts_us()
            deliveries = plan(
                publication,
                self._streams,
                ts_us=ts_us,
                timestamp=self.timestamp(),
                key=self._key,
                now_ns=self._clock.monotonic_ns(),
            )
            for delivery in deliveries:
                await self._deliver(delivery)
        return _receipt(deliveries, ts_us)

    async def _deliver(self, delivery: Delivery) -> None:
        began_ns = self._clock.monotonic_ns()
        if delivery.client_id is not None:
            sent = int(
                await self._transport.send_event(
                    delivery.client_id, delivery.event, delivery.payload
                )
            )
        else:
            rooms = list(delivery.rooms)
            if delivery.user_id is not None:
                rooms.append(user_room(delivery.user_id))
            owner = delivery.except_user
            sent = await self._transport.deliver(
                delivery.event,
                delivery.payload,
                rooms=rooms,
                except_sids=() if owner is None else self._user_sids(owner),
            )
        self._metrics.fanned_out(delivery.event, sent, self._clock.monotonic_ns() - began_ns)

    async def to_everyone(self, event: str, data: Mapping[str, Any]) -> None:
        """Queue one of the gateway's own events, encoded once, for every client.

        Without the lock: it has no number that a subscription's ``at`` could name, and
        publications need not wait while thousands of heartbeats leave.
        """
        began_ns = self._clock.monotonic_ns()
        sent = await self._transport.deliver(event, data)
        self._metrics.fanned_out(event, sent, self._clock.monotonic_ns() - began_ns)

    async def broadcast_to_room(
        self, room_or_rooms: str | Sequence[str], event: str, data: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Publish an event to one room, or a market event to rooms of its symbol.

        Raises:
            PublicationRejected: the event may not be published so; its errors say why.
        """
        if isinstance(room_or_rooms, str):
            return await self.publish_one({"room": room_or_rooms, "event": event, "data": data})
        return await self.publish_one({"rooms": list(room_or_rooms), "event": event, "data": data})

    async def send_to_user(
        self, user_id: str, event: str, data: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Publish an event to all of one user's clients, numbered in the user's stream."""
        return await self.publish_one({"userId": user_id, "event": event, "data": data})

    async def send_to_client(
        self, client_id: str, event: str, data: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Send an event to one client, unnumbered."""
        return await self.publish_one({"clientId": client_id, "event": event, "data": data})

    async def publish_one(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Publish one item of the shape that ``POST /api/v1/publish`` takes."""
        return (await self.publish([parse_publication(item)]))[0]


def _receipt(deliveries: Sequence[Delivery], ts_us: int) -> dict[str, Any]:
    receipt: dict[str, Any] = {"stream": None, "ts": ts_us}
    for delivery in deliveries:
        if delivery.stream is not None and receipt["stream"] is None:
            receipt["stream"] = delivery.stream
        if delivery.seq is not None:
            receipt["seq"] = delivery.seq
        if delivery.user_seq is not None:
            receipt["userSeq"] = delivery.user_seq
    return receipt
