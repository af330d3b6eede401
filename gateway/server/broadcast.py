"""``Broadcaster``: numbers publications and queues them for their recipients.

Nothing here awaits. A publication is numbered, its recipients are chosen and it is queued in
its lane in one step. So events of a stream arrive in the order of their numbers, and the
``at`` of a subscription's answer, which takes the same lane, is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from gateway.brokers.port import Broker
from gateway.contract import EVENTS, UNLISTED, Audience, ErrorCode, iso_timestamp, user_room
from gateway.errors import PublicationRejected
from gateway.metrics import GatewayMetrics
from gateway.publication import Publication, parse_publication
from gateway.rates.rate_tiers import EVERY
from gateway.rates.tier import Update
from gateway.routing import Delivery, plan
from gateway.server.clock import Clock
from gateway.server.rate_slots import RateSlots
from gateway.transport import Keep, SocketServer

_MOST_WAITING_SENDS: Final = 250_000
"""Queued sends of a lane above which a publication is refused. A publication counts once per
recipient. It is two to three seconds of work."""
_RETRY_AFTER_S: Final = 1.0
_SYMBOL_ROOMS: Final = Audience.SYMBOL_ROOMS
_BY_SYMBOL: Final = frozenset(name for name, row in EVENTS.items() if row.audience is _SYMBOL_ROOMS)
_CLIENT_ROOM: Final = "a client's id is no room; name the client by clientId"


class Broadcaster:
    """Sends events to rooms, users and clients. Only replies do not pass through it.

    Args:
        transport: sends the events.
        broker: gives the numbers, and remembers what is sent.
        user_sids: returns the ids of a user's connections.
        clock: the clock of ``ts`` and ``timestamp``.
        metrics: counts messages, and times the fan-out.
        rates: sends market data to clients with a rate of their own.
        key: the hash key of the public form's ids, new for each process.
    """

    def __init__(
        self,
        transport: SocketServer,
        broker: Broker,
        user_sids: Callable[[str], Collection[str]],
        clock: Clock,
        metrics: GatewayMetrics,
        rates: RateSlots,
        key: bytes,
    ) -> None:
        self._transport = transport
        self._broker = broker
        self._user_sids = user_sids
        self._clock = clock
        self._metrics = metrics
        self._rates = rates
        self._tiers = rates.tiers
        self._key = key

    def ts_us(self) -> int:
        """Return the monotonic clock in µs, the unit of ``ts``."""
        return self._clock.monotonic_ns() // 1_000

    def timestamp(self) -> str:
        """Return the wall clock in the format of ``timestamp``."""
        return iso_timestamp(self._clock.unix_s())

    def publish(self, publications: Sequence[Publication]) -> list[dict[str, Any]]:
        """Number and queue publications, in order. One whose ``id`` is known is not sent again.

        Returns:
            For each publication: ``{stream, seq?, userSeq?, ts}``. Of one whose ``id`` is known,
            what was returned the first time.

        Raises:
            PublicationRejected: nothing was published. 400: a room is named like a client. 503: a
                lane is full, or no more ids can be remembered.
        """
        self._refuse_clients_as_rooms(publications)
        if max(self._transport.fanout.waiting) >= _MOST_WAITING_SENDS:
            raise _busy("The gateway cannot keep up; try again later")
        ids = {publication.id for publication in publications if publication.id is not None}
        if not ids:
            return [self._publish(publication) for publication in publications]
        if not self._broker.can_keep_receipts(ids, self._clock.monotonic_ns()):
            raise _busy("The gateway cannot remember more ids; try again later")
        return [self._publish_once(publication) for publication in publications]

    def _publish_once(self, publication: Publication) -> dict[str, Any]:
        """Publish, unless a publication with the same ``id`` was published in the last minute."""
        if publication.id is None:
            return self._publish(publication)
        now_ns = self._clock.monotonic_ns()
        receipt = self._broker.receipt(publication.id, now_ns)
        if receipt is None:
            receipt = self._publish(publication)
            self._broker.keep_receipt(publication.id, receipt, now_ns)
        return receipt

    def _refuse_clients_as_rooms(self, publications: Sequence[Publication]) -> None:
        """Refuse rooms that are clients' ids, by which the transport finds the client."""
        errors = [
            {"index": index, "message": _CLIENT_ROOM, "code": ErrorCode.NOT_ALLOWED}
            for index, publication in enumerate(publications)
            if publication.row is UNLISTED  # all other events name the rooms of the contract
            and any(map(self._transport.participants.find, publication.rooms))
        ]
        if errors:
            raise PublicationRejected(400, errors)

    def _publish(self, publication: Publication) -> dict[str, Any]:
        now_ns = self._clock.monotonic_ns()
        deliveries = plan(
            publication,
            self._broker.streams,
            now_ns=now_ns,
            timestamp=self.timestamp(),
            key=self._key,
        )
        for delivery in deliveries:
            self._deliver(delivery, self._keeper(publication, delivery))
        return _receipt(deliveries, now_ns // 1_000)

    def _deliver(self, delivery: Delivery, keep: Keep | None) -> None:
        event = delivery.event
        rooms: str | list[Any]
        if delivery.client_id is not None:
            if self._transport.participants.find(delivery.client_id) is None:
                return  # a room's name, or the id of a client that has left
            rooms = delivery.client_id
        else:
            rooms = list(delivery.rooms)
            if delivery.user_id is not None:
                rooms.append(user_room(delivery.user_id))
        owner = delivery.except_user
        skip: Collection[str] = () if owner is None else self._user_sids(owner)
        if self._tiers.carriers and delivery.rooms:
            if event in _BY_SYMBOL:
                skip = self._tiers.apart.get((delivery.rooms[-1], EVERY), ())
            elif isinstance(rooms, list):
                rooms += self._tiers.tier_rooms(delivery.rooms)
        sent = self._transport.broadcast(
            event,
            delivery.payload,
            rooms=rooms,
            skip=skip,
            on_done=self._metrics.fanned_out,
            keep=keep,
        )
        self._metrics.messages_out(event, sent)

    def _keeper(self, publication: Publication, delivery: Delivery) -> Keep | None:
        """Return what remembers an encoded event, ``None`` if nobody will ask for it."""
        broker = self._broker
        user_id, number = delivery.user_id, delivery.user_seq
        if number is not None and user_id is not None:
            if broker.may_return(user_id):
                return partial(broker.remember_private, user_id, number)
        elif publication.row.audience is _SYMBOL_ROOMS and delivery.stream is not None:
            if self._tiers.carriers:
                return partial(self._remember_and_offer, delivery, delivery.stream)
            return partial(broker.remember_value, delivery.stream)
        return None

    def _remember_and_offer(self, delivery: Delivery, stream: str, packet: bytes) -> None:
        self._broker.remember_value(stream, packet)
        channel, symbol_room = delivery.rooms
        self._rates.offer(
            Update(
                event=delivery.event,
                symbol=delivery.payload["symbol"],
                rooms=(channel, symbol_room),
                stream=stream,
                number=delivery.payload["seq"],
                packet=packet,
            )
        )

    def to_everyone(self, event: str, data: Mapping[str, Any]) -> None:
        """Queue one of the gateway's own events, encoded once, for every client."""
        # It is in no stream that a subscription's answer names, so answers may overtake it.
        sent = self._transport.broadcast(
            event, data, on_done=self._metrics.fanned_out, is_passable=True
        )
        self._metrics.messages_out(event, sent)

    def to_clients(self, sids: Sequence[str], event: str, data: Mapping[str, Any]) -> None:
        """Queue one of the gateway's own numbered events, encoded once, for clients.

        Args:
            sids: the clients.
            event: the event's name.
            data: its payload, without ``ts`` and ``timestamp``.
        """
        payload = {**data, "ts": self.ts_us(), "timestamp": self.timestamp()}
        sent = self._transport.broadcast(
            event, payload, rooms=list(sids), on_done=self._metrics.fanned_out
        )
        self._metrics.messages_out(event, sent)

    def broadcast_to_room(
        self, room_or_rooms: str | Sequence[str], event: str, data: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Publish an event to one room, or a market event to rooms of its symbol.

        Args:
            room_or_rooms: the room or the rooms.
            event: the event's name.
            data: its payload.

        Returns:
            ``{stream, seq?, userSeq?, ts}``.

        Raises:
            PublicationRejected: the publication is invalid. The errors say why.
        """
        if isinstance(room_or_rooms, str):
            return self.publish_one({"room": room_or_rooms, "event": event, "data": data})
        return self.publish_one({"rooms": list(room_or_rooms), "event": event, "data": data})

    def send_to_user(self, user_id: str, event: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Publish an event to all clients of a user, numbered in the user's stream.

        Args:
            user_id: the user.
            event: the event's name.
            data: its payload.
        """
        return self.publish_one({"userId": user_id, "event": event, "data": data})

    def send_to_client(self, client_id: str, event: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Send an event to one client, without a number.

        Args:
            client_id: the client.
            event: the event's name.
            data: its payload.
        """
        return self.publish_one({"clientId": client_id, "event": event, "data": data})

    def publish_one(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Publish one item of the form that ``POST /api/v1/publish`` takes."""
        return self.publish([parse_publication(item)])[0]


def _busy(message: str) -> PublicationRejected:
    entry = {"index": 0, "message": message, "code": ErrorCode.INTERNAL_ERROR}
    return PublicationRejected(503, [entry], retry_after_s=_RETRY_AFTER_S)


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
