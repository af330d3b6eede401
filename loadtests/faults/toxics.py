"""The toxics: faults of a connection, named as in toxiproxy, as frozen records.

ValueError
└── ToxicError       a toxic's description is unknown, incomplete or out of range
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, Final


class ToxicError(ValueError):
    """The description of a toxic is not valid."""


class Stream(StrEnum):
    """The direction: towards the server or towards the client."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


class Carrier(StrEnum):
    """The connections: WebSocket connections only, or all."""

    WEBSOCKET = "websocket"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Toxic:
    """The fields of every toxic.

    Attributes:
        stream: the direction it affects.
        carrier: the connections it affects. A WebSocket connection asks for an upgrade in its
            first request.
        toxicity: the share of those connections, 0 to 1; the seed decides which.
    """

    kind: ClassVar[str] = ""
    stream: Stream = Stream.DOWNSTREAM
    carrier: Carrier = Carrier.WEBSOCKET
    toxicity: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.toxicity <= 1:
            raise ToxicError(f"toxicity is {self.toxicity}; write a share from 0 to 1")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and value < 0:
                raise ToxicError(f"{self.kind}: {field.name} is {value}; write 0 or more")


@dataclass(frozen=True, kw_only=True)
class Latency(Toxic):
    """Delays each byte by ``latency_ms`` ± up to ``jitter_ms`` (uniform), in order."""

    kind: ClassVar[str] = "latency"
    latency_ms: float
    jitter_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Bandwidth(Toxic):
    """Passes at most ``rate_kb_s`` KB (1,024 B) a second, and slows the sender down."""

    kind: ClassVar[str] = "bandwidth"
    rate_kb_s: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.rate_kb_s:
            raise ToxicError("bandwidth: rate_kb_s is 0; use stall to pass nothing")


@dataclass(frozen=True, kw_only=True)
class Slicer(Toxic):
    """Cuts data into pieces of ``average_size`` ± ``size_variation`` B, ``delay_us`` apart."""

    kind: ClassVar[str] = "slicer"
    average_size: int
    size_variation: int = 0
    delay_us: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.average_size <= self.size_variation:
            raise ToxicError(
                "slicer: average_size must exceed size_variation, or pieces would be empty"
            )


@dataclass(frozen=True, kw_only=True)
class Stall(Toxic):
    """Reads and passes nothing until the toxic is removed, like a reader that stopped."""

    kind: ClassVar[str] = "stall"


@dataclass(frozen=True, kw_only=True)
class Timeout(Toxic):
    """Discards all data and closes the connection after ``timeout_ms``; 0 never closes it."""

    kind: ClassVar[str] = "timeout"
    timeout_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ResetPeer(Toxic):
    """Resets the client's connection (RST) ``timeout_ms`` after the toxic first applies."""

    kind: ClassVar[str] = "reset_peer"
    timeout_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Drop(Toxic):
    """Removes ``count`` whole WebSocket messages of the next ``of``, chosen by ``seed``.

    It counts the server's text messages with one of ``events``, over all connections in the
    order they pass. Snapshots do not count: no client is owed one.
    """

    kind: ClassVar[str] = "drop"
    events: tuple[str, ...]
    count: int
    of: int
    seed: int = 0

    @property
    def name(self) -> str:
        """The name of its counts in the proxy's figures."""
        return f"{'+'.join(self.events)} {self.count}/{self.of} seed {self.seed}"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count > self.of:
            raise ToxicError(f"drop: cannot remove {self.count} of {self.of} messages")
        if self.stream is not Stream.DOWNSTREAM:
            raise ToxicError(
                "drop: only the server's messages can be dropped; write stream downstream"
            )


KINDS: Final[Mapping[str, type[Toxic]]] = {
    toxic.kind: toxic for toxic in (Latency, Bandwidth, Slicer, Stall, Timeout, ResetPeer, Drop)
}


def parse_toxics(descriptions: Iterable[Mapping[str, Any]]) -> tuple[Toxic, ...]:
    """Return the toxics of JSON objects such as ``{"type": "latency", "latency_ms": 5}``.

    Raises:
        ToxicError: a type is unknown, or a field is unknown, missing or out of range.
    """
    return tuple(_parse(description) for description in descriptions)


def describe(toxic: Toxic) -> dict[str, Any]:
    """Return a toxic as a JSON object, the inverse of ``parse_toxics``."""
    return {"type": toxic.kind, **asdict(toxic)}


def _parse(description: Mapping[str, Any]) -> Toxic:
    content = dict(description)
    kind = KINDS.get(str(content.pop("type", "")))
    if kind is None:
        raise ToxicError(
            f"unknown toxic {description.get('type')!r}; use one of {', '.join(KINDS)}"
        )
    known = {field.name: field for field in fields(kind)}
    unknown = content.keys() - known.keys()
    if unknown:
        right = ", ".join(sorted(known))
        raise ToxicError(f"{kind.kind} has no {', '.join(sorted(unknown))}; use {right}")
    missing = [n for n, f in known.items() if f.default is MISSING and n not in content]
    if missing:
        raise ToxicError(f"{kind.kind} needs {', '.join(missing)}")
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
