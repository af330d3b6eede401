"""How things that come at a rate are spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ArrivalKind = Literal["constant", "poisson", "burst"]
ARRIVAL_KINDS: Final[tuple[ArrivalKind, ...]] = ("constant", "poisson", "burst")


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrivals:
    """How things that come at a rate are spread.

    Attributes:
        kind: evenly, at random, or ``burst_size`` at once.
        burst_size: of ``burst``.
    """

    kind: ArrivalKind = "constant"
    burst_size: int = 1
