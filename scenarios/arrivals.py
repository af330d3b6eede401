"""How things that come at a rate are spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast

from scenarios.reading import Table

ArrivalKind = Literal["constant", "poisson", "burst"]
ARRIVAL_KINDS: Final[tuple[ArrivalKind, ...]] = ("constant", "poisson", "burst")
MAX_BURST: Final = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrivals:
    """How things that come at a rate are spread.

    Attributes:
        kind: evenly, at random, or ``burst_size`` at once.
        burst_size: of ``burst``.
    """

    kind: ArrivalKind = "constant"
    burst_size: int = 1


def read_arrivals(table: Table) -> Arrivals:
    """Return how the things of a table arrive."""
    kind = cast(ArrivalKind, table.text("arrivals", ARRIVAL_KINDS, default="constant"))
    if kind != "burst":
        return Arrivals(kind=kind)
    return Arrivals(kind=kind, burst_size=table.integer("burst_size", 1, MAX_BURST, 50))
