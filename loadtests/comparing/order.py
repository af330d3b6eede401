"""The order of the blocks of a comparison: A B B A A B B A …, a pair of neighbours at a time.

Whoever is second in a pair meets a machine that is a block older: warmer, or busier. Turning
each second pair round lets base and head take turns, so that such a drift is in no
favour of either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

Side = Literal["base", "head"]
FIRST_PAIRS: Final = 6
"""The fewest pairs that give a 95 % interval (``docs/gate.md``)."""


def abba(pairs: int, *, done: int = 0) -> Iterator[tuple[int, Side]]:
    """Yield the pair (from 1) and the side of each block, pairs ``done`` + 1 to ``pairs``."""
    for pair in range(done + 1, pairs + 1):
        sides: tuple[Side, Side] = ("base", "head") if pair % 2 else ("head", "base")
        for side in sides:
            yield pair, side
