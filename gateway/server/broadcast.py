"""``Broadcaster``: numbers publications and queues them for their recipients.

Nothing here awaits. A publication is numbered, its recipients are chosen and it is queued in
its lane in one step. So events of a stream arrive in the order of their numbers, and the
``at`` of a subscription's answer, which takes the same lane, is exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from gateway.brokers.port import Broker
from gateway.contract import EVENTS, UNLISTED, Audience, ErrorCode, iso_timestamp, user_room
from gateway.errors import PublicationRejected
from gateway.metrics import GatewayMetrics
from gateway.nodes.entries import FrameRoute
from gateway.publication import Publication, parse_publication
from gateway.rates.rate_tiers import EVERY
from gateway.routing import Delivery, Numbers
from gateway.server.clock import Clock
from gateway.server.rate_slots import RateSlots
from gateway.transport import SocketServer

_MOST_WAITING_SENDS: Final = 250_000
"""Queued sends of a lane above which a publication is refused. A publication counts once per
recipient. It is two to three seconds of work."""
_RETRY_AFTER_S: Final = 1.0
_SYMBOL_ROOMS: Final = Audience.SYMBOL_ROOMS
BY_SYMBOL: Final = frozenset(name for name, row in EVENTS.items() if row.audience is _SYMBOL_ROOMS)
_CLIENT_ROOM: Final = "a client's id is no room; name the client by clientId"

Receipt = dict[str, Any]
"""``{stream, seq?, userSeq?, ts}``: what a publisher is told of a publication."""


class Broadcaster(ABC):
    """Sends events to rooms, users and clients. Only replies do not pass through it.

    Args:
        transport: sends the events.
        broker: gives the numbers, and remembers what is sent.
        user_sids: returns the ids of a user's connections.
        clock: the clock of ``ts`` and ``timestamp``.
        metrics: counts messages, and times the fan-out.
        rates: sends market data to clients with a rate of their own.
    """

    def __init__(
        self,
        transport: SocketServer,
        broker: Broker,
        user_sids: Callable[[str], Collection[str]],
        clock: Clock,
        metrics: GatewayMetrics,
        rates: RateSlots,
    ) -> None:
        self._transport = transport
        self._broker = broker
        self._user_sids = user_sids
        self._clock = clock
        self._metrics = metrics
        self._rates = rates
        self._tiers = rates.tiers

    def ts_us(self) -> int:
        """Return the monotonic clock in µs, the unit of ``ts``."""
        return self._clock.monotonic_ns() // 1_000

    def timestamp(self) -> str:
        """Return the wall clock in the format of ``timestamp``."""
        return iso_timestamp(self._clock.unix_s())

    @abstractmethod
    def publish(
        self, publications: Sequence[Publication]
    ) -> list[Receipt] | Awaitable[list[Receipt]]:
        """Number and queue publications, in order. One whose ``id`` is known is not sent again.

        Returns:
            The receipt of each publication. Of one whose ``id`` is known, what was returned the
            first time. An awaitable where the numbers come from another process.

        Raises:
            PublicationRejected: nothing was published. 400: a room is named like a client. 503:
                the gateway cannot take it now.
        """

    def _refuse(self, publications: Sequence[Publication]) -> None:
        """Raise ``PublicationRejected`` where nothing of a request can be published."""
        self._refuse_clients_as_rooms(publications)
        if self.is_full():
            raise busy("The gateway cannot keep up; try again later")

    def is_full(self) -> bool:
        """Return whether a lane has so much to send that no publication may follow."""
        return max(self._transport.fanout.waiting) >= _MOST_WAITING_SENDS

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

    def _recipients(self, delivery: Delivery | FrameRoute) -> tuple[Any, Collection[str]] | None:
        """Return the rooms of a frame and the clients to leave out, ``None`` if it has nobody."""
        rooms: str | list[Any]
        if delivery.client_id is not None:
            if self._transport.participants.find(delivery.client_id) is None:
                return None  # a room's name, or the id of a client that has left
            rooms = delivery.client_id
        else:
            rooms = list(delivery.rooms)
            if delivery.user_id is not None:
                rooms.append(user_room(delivery.user_id))
        owner = delivery.except_user
        skip: Collection[str] = () if owner is None else self._user_sids(owner)
        if self._tiers.carriers and delivery.rooms:
            if delivery.event in BY_SYMBOL:
                skip = self._tiers.apart.get((delivery.rooms[-1], EVERY), ())
            elif isinstance(rooms, list):
                rooms += self._tiers.tier_rooms(delivery.rooms)
        return rooms, skip

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
    ) -> Receipt | Awaitable[Receipt]:
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

    def send_to_user(
        self, user_id: str, event: str, data: Mapping[str, Any]
    ) -> Receipt | Awaitable[Receipt]:
        """Publish an event to all clients of a user, numbered in the user's stream.

        Args:
            user_id: the user.
            event: the event's name.
            data: its payload.
        """
        return self.publish_one({"userId": user_id, "event": event, "data": data})

    def send_to_client(
        self, client_id: str, event: str, data: Mapping[str, Any]
    ) -> Receipt | Awaitable[Receipt]:
        """Send an event to one client, without a number.

        Args:
            client_id: the client.
            event: the event's name.
            data: its payload.
        """
        return self.publish_one({"clientId": client_id, "event": event, "data": data})

    def publish_one(self, item: Mapping[str, Any]) -> Receipt | Awaitable[Receipt]:
        """Publish one item of the form that ``POST /api/v1/publish`` takes."""
        receipts = self.publish([parse_publication(item)])
        return receipts[0] if isinstance(receipts, list) else _first(receipts)


async def _first(receipts: Awaitable[list[Receipt]]) -> Receipt:
    return (await receipts)[0]


def busy(message: str) -> PublicationRejected:
    """Return the refusal of a request that may be sent again later."""
    entry = {"index": 0, "message": message, "code": ErrorCode.INTERNAL_ERROR}
    return PublicationRejected(503, [entry], retry_after_s=_RETRY_AFTER_S)


def receipt_of(stream: str | None, numbers: Numbers, ts_us: int) -> Receipt:
    """Return the receipt of a publication.

    Args:
        stream: its first stream, ``None`` for none.
        numbers: its numbers.
        ts_us: its time, µs.
    """
    receipt: Receipt = {"stream": stream, "ts": ts_us}
    if numbers.seq is not None:
        receipt["seq"] = numbers.seq
    if numbers.user_seq is not None:
        receipt["userSeq"] = numbers.user_seq
    return receipt
