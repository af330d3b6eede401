"""Turns: two gateways are under load in alternating slices of time.

Slices are counted on the monotonic clock, so that two load generators on one machine agree on
them without messages. Each second has two slices for each side, in the order A B B A in even
seconds and B A A B in odd ones. A linear drift of the machine cancels out within a second, and
work that comes once a second meets both sides alike.

    slice:      0   1   2   3 |   4   5   6   7 |
    first:   .|###|   |   |###|.|   |###|###|   |
    second:  .|   |###|###|   |.|###|   |   |###|

A second begins with a pause (``.``), in which nothing is due. In it both gateways are read and
both generators write what they recorded, so that this work delays no push.

The plan of a side counts *load time*, which stands still during the pause and the slices of the
other side. So a side has its scenario's rates during its own slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SLICE_NS: Final = 230_000_000
PAUSE_NS: Final = 80_000_000
_SECOND_NS: Final = PAUSE_NS + 4 * SLICE_NS
_CYCLE_NS: Final = 2 * _SECOND_NS
_OWN: Final = ((0, 3, 5, 6), (1, 2, 4, 7))
"""The slices of a cycle of two seconds that each side has, by its place."""
_LOAD_NS: Final = len(_OWN[0]) * SLICE_NS
"""The load time of a side in one cycle."""
PLACES: Final = ("first", "second")
"""The names of the two places: the first has the first slice of an even second."""


@dataclass(frozen=True, slots=True)
class Turns:
    """The slices of one side.

    Attributes:
        place: 0 for the first side, 1 for the second (``PLACES``).
    """

    place: int

    def load_ns(self, at_ns: int) -> int:
        """Return the load time at a moment (monotonic, ns)."""
        cycle, rest_ns = divmod(at_ns, _CYCLE_NS)
        own = sum(min(max(0, rest_ns - _begin_ns(slot)), SLICE_NS) for slot in _OWN[self.place])
        return cycle * _LOAD_NS + own

    def at_ns(self, load_ns: int) -> int:
        """Return the moment (monotonic, ns) at which the load time is reached, in a slice.

        The end of a slice is the beginning of the next one of this side.
        """
        cycle, rest_ns = divmod(load_ns, _LOAD_NS)
        number, within_ns = divmod(rest_ns, SLICE_NS)
        return cycle * _CYCLE_NS + _begin_ns(_OWN[self.place][number]) + within_ns


def whole_second(at_ns: int) -> int:
    """Return the first whole second that is not before a moment, monotonic."""
    return -(-at_ns // _SECOND_NS) * _SECOND_NS


def _begin_ns(slot: int) -> int:
    """Return when a slice begins in its cycle, ns."""
    second, place = divmod(slot, 4)
    return second * _SECOND_NS + PAUSE_NS + place * SLICE_NS
