"""Parcels: a packet encoded once for everybody, and what tells how it may be treated.

A :class:`Flow` says for an event name in which lane it leaves and whether a client that
cannot keep up may be given the newest alone; the transport knows nothing else of events.
"""

from __future__ import annotations

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
    """One Engine.IO message on its way to any number of clients.

    Attributes:
        data: the message: UTF-8 text, or the bytes of a binary one.
        frame: its WebSocket frame.
        is_binary: whether it is a binary message.
        key: the stream it may be conflated in, ``None`` for never.
        previous: what ``Flow.previous`` names has this value.
    """

    __slots__ = ("_encode", "_payload", "_previous_field", "data", "frame", "is_binary", "key")

    def __init__(self, data: bytes, *, is_binary: bool = False) -> None:
        self.data = data
        self.is_binary = is_binary
        self.frame = (
            frames.encode_frame(frames.BINARY, data)
            if is_binary
            else frames.encode_frame(frames.TEXT, b"4" + data)
        )
        self.key: tuple[object, ...] | None = None
        self._payload: Mapping[str, Any] | None = None
        self._previous_field: str | None = None
        self._encode: Encode | None = None

    def conflatable(
        self, event: str, payload: Mapping[str, Any], flow: Flow, encode: Encode
    ) -> None:
        """Let it be replaced by a newer one of its stream.

        Args:
            event: its name, part of the stream's.
            payload: what it was made from; a payload without all fields is left alone.
            flow: what names the stream.
            encode: makes the parcel of a payload that differs in ``flow.previous``.
        """
        try:
            key = (event, *(payload[field] for field in flow.conflate_by or ()))
            hash(key)
        except (KeyError, TypeError):
            return
        self.key = key
        if flow.previous is not None and flow.previous in payload:
            self._payload = payload
            self._previous_field = flow.previous
            self._encode = encode

    @property
    def previous(self) -> Any:
        """The number of the event before it in its stream, ``None`` where it carries none."""
        if self._payload is None or self._previous_field is None:
            return None
        return self._payload[self._previous_field]

    def after(self, previous: Any) -> Parcel:
        """Return it as it reads for a client whose last event of the stream was another one."""
        if self._payload is None or self._previous_field is None or self._encode is None:
            return self
        if self._payload[self._previous_field] == previous:
            return self
        return self._encode({**self._payload, self._previous_field: previous})

    def polled(self) -> bytes:
        """Return it as an HTTP polling body carries it."""
        return payloads.encode_binary_packet(self.data) if self.is_binary else b"4" + self.data
