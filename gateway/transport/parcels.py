"""Parcels: packets encoded once for all recipients, and how each event is delivered.

A :class:`Flow` names the lane of an event, and whether a client that cannot keep up gets only
the newest one. The transport knows nothing else about events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from gateway.transport import frames, payloads


class Lane(IntEnum):
    """Queues of the fan-out. The lossless lane goes first; within a lane, order is kept."""

    LOSSLESS = 0
    MARKET = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """How events of one name are delivered.

    Attributes:
        lane: the lane that they are queued in.
        conflate_by: payload fields that identify a stream. A client that cannot keep up gets
            only the newest event of each stream. Empty: all events of the name are one
            stream. ``None``: never conflated.
        previous: payload field with the number of the stream's previous event. It is
            corrected for a client that missed events.
    """

    lane: Lane = Lane.LOSSLESS
    conflate_by: tuple[str, ...] | None = None
    previous: str | None = None


LOSSLESS: Final = Flow()

Encode = Callable[[Any], "Parcel"]


class Parcel:
    """One Socket.IO packet, encoded once for any number of clients.

    Attributes:
        frame: its WebSocket frames: one, and one more for each binary part.
        key: the stream in which it may be conflated, ``None`` for never.
        previous: the value of the field that ``Flow.previous`` names.
        follows_all: it must not overtake conflated parcels.
    """

    __slots__ = ("_encode", "_parts", "_previous_field", "follows_all", "frame", "key", "previous")

    def __init__(self, *parts: str | bytes) -> None:
        """Encode a packet.

        Args:
            *parts: the text, followed by the binary parts; or one binary message.
        """
        self._parts: tuple[bytes, ...] | bytes
        if len(parts) == 1 and isinstance(parts[0], str):
            self._parts = text = parts[0].encode()
            self.frame = frames.encode_frame(frames.TEXT, b"4" + text)
        else:
            self._parts = tuple(_polled(part) for part in parts)
            self.frame = b"".join([_frame(part) for part in parts])
        self.key: tuple[object, ...] | None = None
        self.previous: Any = None
        self.follows_all = False
        self._previous_field: str | None = None
        self._encode: Encode | None = None

    def conflatable(
        self,
        name: tuple[str, ...],
        payload: Mapping[str, Any],
        flow: Flow,
        encode: Encode | None = None,
    ) -> None:
        """Allow a newer parcel of its stream to replace it.

        Args:
            name: namespace and event, the first part of the stream's key.
            payload: the payload. It is not conflated if it lacks a field of the key.
            flow: names the fields of the key.
            encode: returns the parcel of a payload with another ``flow.previous``. ``None``: the
                payload has no such field.
        """
        try:
            key = (*name, *(payload[field] for field in flow.conflate_by or ()))
            hash(key)
        except (KeyError, TypeError):
            return
        self.key = key
        if flow.previous is not None and flow.previous in payload:
            self.previous = payload[flow.previous]
            self._previous_field = flow.previous
            self._encode = encode

    def after(self, previous: Any) -> Parcel:
        """Return the parcel for a client whose last event of the stream has this number."""
        if self._encode is None or self.previous == previous or not isinstance(self._parts, bytes):
            return self
        # Decode its own bytes: the application may have changed the payload since.
        payload = json.loads(self._parts[self._parts.index(b"[") :])[1]
        return self._encode({**payload, self._previous_field: previous})

    @property
    def text(self) -> bytes:
        """The packet's text, UTF-8.

        Raises:
            TypeError: it has binary parts.
        """
        if not isinstance(self._parts, bytes):
            raise TypeError("a packet with binary parts is no text")
        return self._parts

    def polled(self) -> bytes:
        """Return the packet in the form of an HTTP polling body."""
        if isinstance(self._parts, bytes):
            return b"4" + self._parts
        return payloads.encode_payload(self._parts)


def _polled(part: str | bytes) -> bytes:
    return b"4" + part.encode() if isinstance(part, str) else payloads.encode_binary_packet(part)


def _frame(part: str | bytes) -> bytes:
    if isinstance(part, str):
        return frames.encode_frame(frames.TEXT, b"4" + part.encode())
    return frames.encode_frame(frames.BINARY, bytes(part))
