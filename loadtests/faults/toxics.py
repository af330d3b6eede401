"""What can be done to a connection, in the words of toxiproxy, as frozen records.

ValueError
└── ToxicError       a description of a toxic is unknown, incomplete or out of range
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, Final


class ToxicError(ValueError):
    """A toxic that cannot be; the words say what would be right."""


class Stream(StrEnum):
    """Which way: towards the server, or towards the client."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


class Carrier(StrEnum):
    """Which connections: WebSocket ones alone, or all."""

    WEBSOCKET = "websocket"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Toxic:
    """What every toxic says.

    Attributes:
        stream: the direction that suffers.
        carrier: the connections that suffer. What asks for an upgrade in its first request
            is a WebSocket connection.
        toxicity: the share of those connections, drawn by seed for each: 0 to 1.
    """

    kind: ClassVar[str] = ""
    stream: Stream = Stream.DOWNSTREAM
    carrier: Carrier = Carrier.WEBSOCKET
    toxicity: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.toxicity <= 1:
            raise ToxicError(f"toxicity is {self.toxicity}; it is a share from 0 to 1")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and value < 0:
                raise ToxicError(f"{self.kind}: {field.name} is {value}; it is 0 or more")


@dataclass(frozen=True, kw_only=True)
class Latency(Toxic):
    """Each byte comes later by ``latency_ms`` ± at most ``jitter_ms`` (even), never reordered."""

    kind: ClassVar[str] = "latency"
    latency_ms: float
    jitter_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Bandwidth(Toxic):
    """At most so many KB (1,024 B) a second; what is over waits, and the sender is held back."""

    kind: ClassVar[str] = "bandwidth"
    rate_kb_s: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.rate_kb_s:
            raise ToxicError("bandwidth: rate_kb_s is 0; to let nothing through use stall")


@dataclass(frozen=True, kw_only=True)
class Slicer(Toxic):
    """Cuts into pieces of ``average_size`` ± ``size_variation`` B, ``delay_us`` between them."""

    kind: ClassVar[str] = "slicer"
    average_size: int
    size_variation: int = 0
    delay_us: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.average_size <= self.size_variation:
            raise ToxicError("slicer: average_size is over size_variation, or pieces are empty")


@dataclass(frozen=True, kw_only=True)
class Stall(Toxic):
    """Nothing is read or passed on until the toxic is taken away: a reader that stopped."""

    kind: ClassVar[str] = "stall"


@dataclass(frozen=True, kw_only=True)
class Timeout(Toxic):
    """What comes is thrown away; the connection is closed after ``timeout_ms``, 0 = never."""

    kind: ClassVar[str] = "timeout"
    timeout_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ResetPeer(Toxic):
    """The client's connection is reset (RST) ``timeout_ms`` after the toxic meets it."""

    kind: ClassVar[str] = "reset_peer"
    timeout_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Drop(Toxic):
    """Takes ``count`` whole WebSocket messages out of the next ``of``, drawn by ``seed``.

    Text messages of the server that carry one of ``events`` are counted, over all
    connections in the order in which they pass; snapshots are none, for nobody is owed them.
    """

    kind: ClassVar[str] = "drop"
    events: tuple[str, ...]
    count: int
    of: int
    seed: int = 0

    @property
    def name(self) -> str:
        """What its counts are called among the proxy's figures."""
        return f"{'+'.join(self.events)} {self.count}/{self.of} seed {self.seed}"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count > self.of:
            raise ToxicError(f"drop: {self.count} cannot be taken out of {self.of}")
        if self.stream is not Stream.DOWNSTREAM:
            raise ToxicError("drop: only messages of the server are dropped; stream is downstream")


KINDS: Final[Mapping[str, type[Toxic]]] = {
    toxic.kind: toxic for toxic in (Latency, Bandwidth, Slicer, Stall, Timeout, ResetPeer, Drop)
}


def parse_toxics(descriptions: Iterable[Mapping[str, Any]]) -> tuple[Toxic, ...]:
    """Return the toxics that JSON objects describe: ``{"type": "latency", "latency_ms": 5}``.

    Raises:
        ToxicError: a type or a field is unknown, missing or out of range.
    """
    return tuple(_parse(description) for description in descriptions)


def describe(toxic: Toxic) -> dict[str, Any]:
    """Return the JSON object of a toxic; ``parse_toxics`` is its inverse."""
    return {"type": toxic.kind, **asdict(toxic)}


def _parse(description: Mapping[str, Any]) -> Toxic:
    content = dict(description)
    kind = KINDS.get(str(content.pop("type", "")))
    if kind is None:
        raise ToxicError(f"{description.get('type')!r} is no toxic; use one of {', '.join(KINDS)}")
    known = {field.name: field for field in fields(kind)}
    unknown = content.keys() - known.keys()
    if unknown:
        right = ", ".join(sorted(known))
        raise ToxicError(f"{kind.kind} has no {', '.join(sorted(unknown))}; it has {right}")
    missing = [n for n, f in known.items() if f.default is MISSING and n not in content]
    if missing:
        raise ToxicError(f"{kind.kind} lacks {', '.join(missing)}")
    try:
        content |= {n: t(content[n]) for n, t in _ENUMS.items() if n in content}
        if "events" in content:
            content["events"] = tuple(str(name) for name in content["events"])
        return kind(**content)
    except ToxicError:
        raise
    except (TypeError, ValueError) as error:
        raise ToxicError(f"{kind.kind}: {error}") from error


_ENUMS: Final = {"stream": Stream, "carrier": Carrier}
