"""``LogBroadcaster``: publishes into the log, and sends its clients what comes out of it.

What this node publishes comes back like what the others publish: the log alone orders events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from gateway.brokers.redis.broker import RedisBroker
from gateway.brokers.redis.log_state import LogAway
from gateway.nodes.entries import Entry, Route, draft_of, packet_of
from gateway.publication import Publication
from gateway.rates.tier import Update
from gateway.routing import Numbers, outline_of, stamps_of
from gateway.server.broadcast import BY_SYMBOL, Broadcaster, Receipt, busy, receipt_of

_AWAY: Final = "The log of the nodes is away; nothing was published; try again later"
_UNSURE: Final = (
    "The log of the nodes did not answer; this may have been published; try again with the same id"
)


class LogBroadcaster(Broadcaster):
    """Sends events to rooms, users and clients of all nodes."""

    _broker: RedisBroker

    def publish(self, publications: Sequence[Publication]) -> asyncio.Future[list[Receipt]]:
        """Append publications to the log, in order, all or none.

        Returns:
            The receipts, once the log has numbered them. It fails with ``PublicationRejected``:
            503 when the log is away. Nobody needs to wait for it.

        Raises:
            PublicationRejected: nothing was published. 400: a room is named like a client. 503:
                a lane is full, or the log is away.
        """
        self._refuse(publications)
        ts_us, timestamp = self.ts_us(), self.timestamp()
        drafts = []
        for publication in publications:
            outline = outline_of(publication, key=self._broker.key)
            drafts.append(
                draft_of(
                    outline,
                    publication_id=publication.id,
                    is_value=publication.event in BY_SYMBOL,
                    ts_us=ts_us,
                    stamps=stamps_of(publication, timestamp),
                    clock=self._clock.id,
                )
            )
        try:
            answers = self._broker.link.append(drafts)
        except LogAway:
            self._metrics.publications_failed(len(drafts))
            raise busy(_AWAY) from None
        receipts: asyncio.Future[list[Receipt]] = asyncio.get_running_loop().create_future()

        def answered(answers: asyncio.Future[list[bytes]]) -> None:
            error = answers.exception()
            if error is not None:
                self._metrics.publications_failed(len(drafts))
            if receipts.done():  # its publisher has hung up
                return
            if error is None:
                receipts.set_result([_receipt(answer) for answer in answers.result()])
            else:
                is_unsure = isinstance(error, LogAway) and error.is_unsure
                receipts.set_exception(busy(_UNSURE if is_unsure else _AWAY))
                receipts.exception()  # who does not wait for it needs no warning of asyncio

        answers.add_done_callback(answered)
        return receipts

    def wants(self, route: Route) -> bool:
        """Return whether clients of this node get a market event.

        Args:
            route: of the event.
        """
        rooms, carriers = route.frames[0].rooms, self._tiers.carriers
        return self._transport.participants.has_members(rooms) or (
            bool(carriers) and not carriers.keys().isdisjoint(rooms)
        )

    def apply(self, entry: Entry) -> None:
        """Send a publication to the clients of this node that get it.

        Args:
            entry: the publication, with ``ts`` of this node's clock.
        """
        for index, frame in enumerate(entry.route.frames):
            if frame.names_rooms and any(map(self._transport.participants.find, frame.rooms)):
                continue  # here the room's name is a client's id
            self._apply_frame(entry, index)

    def _apply_frame(self, entry: Entry, index: int) -> None:
        route, frame = entry.route, entry.route.frames[index]
        fields: dict[str, Any] = {}
        packet = None
        if route.symbol is not None and route.stream is not None:
            packet = packet_of(entry, index)
            fields = {"symbol": route.symbol, "prevSeq": entry.seq - 1}
            if self._tiers.carriers:
                channel, symbol_room = frame.rooms
                self._rates.offer(
                    Update(
                        event=frame.event,
                        symbol=route.symbol,
                        rooms=(channel, symbol_room),
                        stream=route.stream,
                        number=entry.seq,
                        packet=packet,
                    )
                )
        elif (
            frame.user_id is not None and entry.user_seq and self._broker.may_return(frame.user_id)
        ):
            packet = packet_of(entry, index)
            self._broker.remember_private(frame.user_id, entry.user_seq, packet)
        recipients = self._recipients(frame)
        if recipients is None or not self._transport.participants.has_any(recipients[0]):
            return
        rooms, skip = recipients
        sent = self._transport.broadcast_encoded(
            frame.event,
            packet or packet_of(entry, index),
            fields,
            rooms=rooms,
            skip=skip,
            on_done=self._metrics.fanned_out,
        )
        self._metrics.messages_out(frame.event, sent)


def _receipt(answer: bytes) -> Receipt:
    seq, user_seq, ts_us, stream = answer.decode().split(" ", 3)
    numbers = Numbers(int(seq) or None, int(user_seq) or None)
    return receipt_of(stream or None, numbers, int(ts_us))
