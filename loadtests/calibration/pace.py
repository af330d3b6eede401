"""The lengths of the calibration's trials: full and quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.contract import ORDER_BOOK_EVENT, PRICE_EVENT, TICKER_EVENT

SEED: Final = 20
"""Of every random draw."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The lengths of all trials.

    Attributes:
        delays_ms: the delays to set; 0 is added as the baseline.
        rounds: how often each delay is set.
        starting_s: part of the steady phase that a run may need to start up.
        freeze_s: how long the gateway is frozen, in the middle half of a steady phase of twice
            that length; a quarter of the phase must exceed ``rig.TOLD_LATE_S``.
        worker_freeze_s: how long the load generator is frozen.
        drop_s: length of the steady phase in which messages are removed.
        drop_drain_s: length of the drain in that trial.
        drops: event, number of messages to remove, and out of how many.
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
