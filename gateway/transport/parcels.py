"""Parcels: a packet encoded once for everybody, and what tells how it may be treated.

A :class:`Flow` says for an event name in which lane it leaves and whether a client that
cannot keep up may be given the newest alone; the transport knows nothing else of events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from gateway.transport import frames, payloads


class Lane(IntEnum):
    """The order in which what waits leaves; within a lane first come, first served."""

    LOSSLESS = 0
    MARKET = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """How events of one name are treated.

    Attributes:
        lane: where they wait.
        conflate_by: fields of the payload that name a stream; of each stream a client that
            cannot keep up is kept the newest alone. Empty: all of the name are one stream.
            ``None``: never conflated.
        previous: field with the number of the event before in the stream; it is put right
            for who missed some.
    """

    lane: Lane = Lane.LOSSLESS
    conflate_by: tuple[str, ...] | None = None
    previous: str | None = None


LOSSLESS: Final = Flow()

Encode = Callable[[Any], "Parcel"]


class Parcel:
    """One Socket.IO packet on its way to any number of clients: encoded once, sent whole.

    Attributes:
        frame: its WebSocket frames, one and one more for each binary part.
        key: the stream it may be conflated in, ``None`` for never.
        previous: what ``Flow.previous`` names has this value.
        follows_all: it must not overtake what may be conflated.
    """

    __slots__ = ("_encode", "_parts", "_previous_field", "follows_all", "frame", "key", "previous")

    def __init__(self, *parts: str | bytes) -> None:
        """Encode a packet.

        Args:
            *parts: its text, then its binary parts; or a binary message alone.
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
        self, name: tuple[str, ...], payload: Mapping[str, Any], flow: Flow, encode: Encode
    ) -> None:
        """Let it be replaced by a newer one of its stream.

        Args:
            name: of its namespace and event, part of the stream's.
            payload: what it was made from; a payload without all fields is left alone.
            flow: what names the stream.
            encode: makes the parcel of a payload that differs in ``flow.previous``.
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
        """Return it as it reads for a client whose last event of the stream was another one."""
        if self._encode is None or self.previous == previous or not isinstance(self._parts, bytes):
            return self
        # From its own bytes: the application may have changed the payload since.
        payload = json.loads(self._parts[self._parts.index(b"[") :])[1]
        return self._encode({**payload, self._previous_field: previous})

    def polled(self) -> bytes:
        """Return it as an HTTP polling body carries it."""
        if isinstance(self._parts, bytes):
            return b"4" + self._parts
        return payloads.encode_payload(self._parts)


def _polled(part: str | bytes) -> bytes:
    return b"4" + part.encode() if isinstance(part, str) else payloads.encode_binary_packet(part)


def _frame(part: str | bytes) -> bytes:
    if isinstance(part, str):
        return frames.encode_frame(frames.TEXT, b"4" + part.encode())
    return frames.encode_frame(frames.BINARY, bytes(part))
