"""Arrival processes: how events of a given rate are spread over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ArrivalKind = Literal["constant", "poisson", "burst"]
ARRIVAL_KINDS: Final[tuple[ArrivalKind, ...]] = ("constant", "poisson", "burst")


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrivals:
    """An arrival process.

    Attributes:
        kind: at equal distances, at random, or in bursts.
        burst_size: events per burst.
    """

    kind: ArrivalKind = "constant"
    burst_size: int = 1
