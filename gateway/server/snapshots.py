"""``Snapshots``: sends the last values of newly held symbols, encoded once for all clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway import strict_json
from gateway.brokers.port import Broker
from gateway.channels import is_symbol_room
from gateway.contract import named_streams
from gateway.transport import Lane, Parcel, SocketServer

_MOST_BYTES: Final = 8_388_608  # encoded snapshots kept for the next client, and their events


class Snapshots:
    """The snapshots of all symbols.

    Args:
        broker: has the last event of each stream.
        transport: sends the snapshots.
    """

    def __init__(self, broker: Broker, transport: SocketServer) -> None:
        self._broker = broker
        self._transport = transport
        self._encoded: dict[str, tuple[bytes, Parcel]] = {}  # each with the event that it is of
        self._bytes = 0

    def send(self, sid: str, rooms: Iterable[str], lane: Lane) -> None:
        """Send a client the last values of rooms that it has just entered.

        Call it in the step in which the client entered them, after their answer was queued. So
        nothing of a stream lies between its mark and its snapshot.

        Args:
            sid: the client.
            rooms: the rooms. Only those of symbols have snapshots.
            lane: the lane of the answer.
        """
        for room in rooms:
            if not is_symbol_room(room):
                continue
            for stream in named_streams(room):
                packet = self._broker.last_value(stream)
                if packet is not None:
                    self._transport.reply_parcel(sid, self._parcel(stream, packet), lane)

    def _parcel(self, stream: str, packet: bytes) -> Parcel:
        known = self._encoded.get(stream)
        if known is not None:
            if known[0] == packet:
                return known[1]
            self._bytes -= len(known[0]) + len(known[1].frame)
        event, payload = strict_json.loads(packet[1:])  # after the packet's type
        parcel = self._transport.state(event, snapshot_of(payload), payload["seq"])
        if self._bytes > _MOST_BYTES:
            self._encoded.clear()
            self._bytes = 0
        self._encoded[stream] = (packet, parcel)
        self._bytes += len(packet) + len(parcel.frame)
        return parcel


def snapshot_of(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the snapshot that a market event's payload becomes."""
    return {name: value for name, value in payload.items() if name != "prevSeq"} | {
        "snapshot": True
    }
