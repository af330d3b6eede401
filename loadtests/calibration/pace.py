"""How much a calibration measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.contract import ORDER_BOOK_EVENT, PRICE_EVENT, TICKER_EVENT

SEED: Final = 20
"""Of everything that is drawn."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much is measured: all of it, or a short subset for a test.

    Attributes:
        delays_ms: read back; 0 is added as the baseline.
        rounds: how often each delay is set.
        starting_s: what a run may take of its steady phase before everybody is there.
        freeze_s: how long the gateway stands, from a quarter to three quarters of a steady phase
            of twice that; a quarter has to be longer than ``rig.TOLD_LATE_S``.
        worker_freeze_s: how long the load generator stands.
        drop_s: the steady phase in which messages are removed.
        drop_drain_s: how long what was removed is waited for.
        drops: how many of how many are removed, by event.
    """

    delays_ms: tuple[float, ...]
    rounds: int
    starting_s: int
    freeze_s: float
    worker_freeze_s: float
    drop_s: float
    drop_drain_s: float
    drops: tuple[tuple[str, int, int], ...]


FULL: Final = Pace(
    delays_ms=(1, 5, 20, 100, 500),
    rounds=7,
    starting_s=4,
    freeze_s=4.0,
    worker_freeze_s=2.0,
    drop_s=12.0,
    drop_drain_s=3.0,
    drops=(
        (PRICE_EVENT, 1, 2_000),
        (TICKER_EVENT, 7, 2_000),
        (ORDER_BOOK_EVENT, 10, 10_000),
    ),
)
QUICK: Final = Pace(
    delays_ms=(100, 500),
    rounds=1,
    starting_s=3,
    freeze_s=3.0,
    worker_freeze_s=1.0,
    drop_s=2.0,
    drop_drain_s=1.0,
    drops=((PRICE_EVENT, 7, 400),),
)
