"""``LogBroadcaster``: publishes into the log, and sends its clients what comes out of it.

What this node publishes comes back like what the others publish: the log alone orders events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Final

from gateway.brokers.redis.broker import RedisBroker
from gateway.brokers.redis.log_state import LogAway
from gateway.contract import user_room
from gateway.nodes.entries import Entry, FrameRoute, draft_of, packet_of
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
            error = None if answers.cancelled() else answers.exception()
            if error is not None:
                self._metrics.publications_failed(len(drafts))
            if receipts.done():
                return
            if isinstance(error, LogAway):
                receipts.set_exception(busy(_UNSURE if error.is_unsure else _AWAY))
                receipts.exception()  # a source does not wait for it; the metric counts it
            elif error is not None or answers.cancelled():
                receipts.cancel()
            else:
                receipts.set_result([_receipt(answer) for answer in answers.result()])

        answers.add_done_callback(answered)
        return receipts

    def apply(self, entry: Entry) -> None:
        """Send a publication to the clients of this node that get it.

        Args:
            entry: the publication.
        """
        route = entry.route
        # Another host's clock says nothing to this node's clients.
        ts_us = entry.ts_us if route.clock == self._clock.id else self.ts_us()
        for index, frame in enumerate(route.frames):
            if frame.names_rooms and any(map(self._transport.participants.find, frame.rooms)):
                continue  # here the room's name is a client's id
            if route.symbol is not None and route.stream is not None:
                packet = packet_of(entry, index, ts_us)
                self._keep_value(frame, route.stream, route.symbol, entry.numbers, packet)
                self._send(frame, packet, route.symbol, entry.numbers)
                continue
            user_id, number = frame.user_id, entry.numbers.user_seq
            if user_id is not None and number is not None and self._broker.may_return(user_id):
                packet = packet_of(entry, index, entry.ts_us)
                self._broker.remember_private(user_id, number, packet)
            if self._has_recipients(frame):
                self._send(frame, packet_of(entry, index, ts_us), None, entry.numbers)

    def _has_recipients(self, frame: FrameRoute) -> bool:
        rooms: list[Any] = [*frame.rooms, *self._tiers.tier_rooms(frame.rooms)]
        if frame.user_id is not None:
            rooms.append(user_room(frame.user_id))
        if frame.client_id is not None:
            rooms.append(frame.client_id)
        return self._transport.participants.has_any(rooms)

    def _keep_value(
        self, frame: FrameRoute, stream: str, symbol: str, numbers: Numbers, packet: bytes
    ) -> None:
        if self._tiers.carriers and numbers.seq is not None:
            channel, symbol_room = frame.rooms
            rooms = (channel, symbol_room)
            self.remember_and_offer(Update(frame.event, symbol, rooms, stream, numbers.seq, packet))
        else:
            self._broker.remember_value(stream, packet)

    def _send(self, frame: FrameRoute, packet: bytes, symbol: str | None, numbers: Numbers) -> None:
        recipients = self._recipients(frame)
        if recipients is None:
            return
        rooms: Any
        skip: Collection[str]
        rooms, skip = recipients
        fields: dict[str, Any] = {}
        if symbol is not None and numbers.seq is not None:
            fields = {"symbol": symbol, "prevSeq": numbers.seq - 1}
        sent = self._transport.broadcast_encoded(
            frame.event, packet, fields, rooms=rooms, skip=skip, on_done=self._metrics.fanned_out
        )
        self._metrics.messages_out(frame.event, sent)


def _receipt(answer: bytes) -> Receipt:
    seq, user_seq, ts_us, stream = answer.decode().split(" ", 3)
    numbers = Numbers(int(seq) or None, int(user_seq) or None)
    return receipt_of(stream or None, numbers, int(ts_us))
