"""Broadcast: numbers are given and frames are queued here, one publication after the other.

Nothing here awaits: a publication is numbered, its recipients are counted and it stands in
its lane before anything else happens. So order within a stream is the order of its numbers,
and the ``at`` of a subscription's answer, which goes through the same lane, is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from gateway.contract import ErrorCode, iso_timestamp, user_room
from gateway.errors import PublicationRejected
from gateway.metrics import GatewayMetrics
from gateway.publication import Delivery, Publication, parse_publication, plan
from gateway.server.clock import Clock
from gateway.streams import Streams
from gateway.transport import SocketServer

_MOST_WAITING_SENDS: Final = 250_000
"""Sends, one a recipient, that may wait in a lane; a publisher is told to come back when more
do. It is two to three seconds of work."""
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
        transport: SocketServer,
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

    def ts_us(self) -> int:
        """Return the gateway's monotonic clock in µs: what ``ts`` carries."""
        return self._clock.monotonic_ns() // 1_000

    def timestamp(self) -> str:
        """Return the wall clock as the wire writes it."""
        return iso_timestamp(self._clock.unix_s())

    def publish(self, publications: Sequence[Publication]) -> list[dict[str, Any]]:
        """Number and queue publications, in order.

        Returns:
            For each: ``{stream, seq?, userSeq?, ts}``.

        Raises:
            PublicationRejected: 503, too much waits in a lane already; nothing was published.
        """
        if max(self._transport.fanout.waiting) >= _MOST_WAITING_SENDS:
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
        return [self._publish(publication) for publication in publications]

    def _publish(self, publication: Publication) -> dict[str, Any]:
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
            self._deliver(delivery)
        return _receipt(deliveries, ts_us)

    def _deliver(self, delivery: Delivery) -> None:
        event = delivery.event
        rooms: str | list[str]
        if delivery.client_id is not None:
            rooms = delivery.client_id
        else:
            rooms = list(delivery.rooms)
            if delivery.user_id is not None:
                rooms.append(user_room(delivery.user_id))
        owner = delivery.except_user
        sent = self._transport.broadcast(
            event,
            delivery.payload,
            rooms=rooms,
            skip=() if owner is None else self._user_sids(owner),
            on_done=self._metrics.fanned_out,
        )
        self._metrics.messages_out(event, sent)

    def to_everyone(self, event: str, data: Mapping[str, Any]) -> None:
        """Queue one of the gateway's own events, encoded once, for every client."""
        # No subscription's answer names its number, so that answers need not wait for it.
        sent = self._transport.broadcast(
            event, data, on_done=self._metrics.fanned_out, is_passable=True
        )
        self._metrics.messages_out(event, sent)

    def broadcast_to_room(
        self, room_or_rooms: str | Sequence[str], event: str, data: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Publish an event to one room, or a market event to rooms of its symbol.

        Raises:
            PublicationRejected: the event may not be published so; its errors say why.
        """
        if isinstance(room_or_rooms, str):
            return self.publish_one({"room": room_or_rooms, "event": event, "data": data})
        return self.publish_one({"rooms": list(room_or_rooms), "event": event, "data": data})

    def send_to_user(self, user_id: str, event: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Publish an event to all of one user's clients, numbered in the user's stream."""
        return self.publish_one({"userId": user_id, "event": event, "data": data})

    def send_to_client(self, client_id: str, event: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Send an event to one client, unnumbered."""
        return self.publish_one({"clientId": client_id, "event": event, "data": data})

    def publish_one(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Publish one item of the shape that ``POST /api/v1/publish`` takes."""
        return self.publish([parse_publication(item)])[0]


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
