"""``LocalBroadcaster``: numbers publications in this process, and sends them in the same step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gateway.brokers.memory import MemoryBroker
from gateway.publication import Publication
from gateway.rates.tier import Update
from gateway.routing import Delivery, Numbers, Outline, plan
from gateway.server.broadcast import BY_SYMBOL, Broadcaster, Receipt, busy, receipt_of
from gateway.transport import Keep


class LocalBroadcaster(Broadcaster):
    """Sends events to rooms, users and clients of this process."""

    _broker: MemoryBroker

    def publish(self, publications: Sequence[Publication]) -> list[Receipt]:
        """Number and queue publications, in order. One whose ``id`` is known is not sent again.

        Returns:
            The receipt of each publication. Of one whose ``id`` is known, what was returned the
            first time.

        Raises:
            PublicationRejected: nothing was published. 400: a room is named like a client. 503: a
                lane is full, or no more ids can be remembered.
        """
        self._refuse(publications)
        ids = {publication.id for publication in publications if publication.id is not None}
        if not ids:
            return [self._publish(publication) for publication in publications]
        if not self._broker.can_keep_receipts(ids, self._clock.monotonic_ns()):
            raise busy("The gateway cannot remember more ids; try again later")
        return [self._publish_once(publication) for publication in publications]

    def _publish_once(self, publication: Publication) -> Receipt:
        """Publish, unless a publication with the same ``id`` was published in the last minute."""
        if publication.id is None:
            return self._publish(publication)
        now_ns = self._clock.monotonic_ns()
        receipt = self._broker.receipt(publication.id, now_ns)
        if receipt is None:
            receipt = self._publish(publication)
            self._broker.keep_receipt(publication.id, receipt, now_ns)
        return receipt

    def _publish(self, publication: Publication) -> Receipt:
        now_ns = self._clock.monotonic_ns()
        outline, numbers = plan(
            publication,
            self._broker.streams,
            now_ns=now_ns,
            timestamp=self.timestamp(),
            key=self._broker.key,
        )
        for delivery in outline.deliveries:
            self._deliver(delivery, self._keeper(outline, delivery, numbers))
        return receipt_of(outline.first_stream, numbers, now_ns // 1_000)

    def _deliver(self, delivery: Delivery, keep: Keep | None) -> None:
        recipients = self._recipients(delivery)
        if recipients is None:
            return
        rooms, skip = recipients
        sent = self._transport.broadcast(
            delivery.event,
            delivery.payload,
            rooms=rooms,
            skip=skip,
            on_done=self._metrics.fanned_out,
            keep=keep,
        )
        self._metrics.messages_out(delivery.event, sent)

    def _keeper(self, outline: Outline, delivery: Delivery, numbers: Numbers) -> Keep | None:
        """Return what remembers an encoded event, ``None`` if nobody will ask for it."""
        broker = self._broker
        user_id, number = delivery.user_id, numbers.user_seq
        if number is not None and user_id is not None:
            if broker.may_return(user_id):
                return partial(broker.remember_private, user_id, number)
        elif delivery.event in BY_SYMBOL and outline.stream is not None:
            if self._tiers.carriers:
                return partial(self._offer_delivery, delivery, outline.stream)
            return partial(broker.remember_value, outline.stream)
        return None

    def _offer_delivery(self, delivery: Delivery, stream: str, packet: bytes) -> None:
        channel, symbol_room = delivery.rooms
        self._broker.remember_value(stream, packet)
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
