"""The table ``[capacity]``: a search for the largest load within the budgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast

from scenarios.reading import Table

Scaled = Literal["publications", "users"]
SCALED: Final[tuple[Scaled, ...]] = ("publications", "users")


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """A search: trials of growing load, bisection, a long trial at the end.

    Attributes:
        of: what is scaled: publications a second, or virtual users. The proportions of events, or
            of groups, stay the same.
        start: the first load.
        highest: the largest load that is tried.
        resolution: relative length of the final interval.
        trial_s: steady phase of a trial.
        confirm_s: steady phase of the long trial.
        at_least: the load that the gateway must carry; without it no load is required.
    """

    of: Scaled
    start: float
    highest: float
    resolution: float
    trial_s: float
    confirm_s: float
    at_least: float | None

    @property
    def unit(self) -> str:
        """The unit of a load."""
        return "publications a second" if self.of == "publications" else "users"


def read_capacity(top: Table) -> Capacity | None:
    """Return the scenario's capacity search; None without one."""
    table = top.table("capacity", optional=True)
    if table is None:
        return None
    at_least = table.number("at_least", 0.0, 1e7, 1_000.0, default=0.0)
    found = Capacity(
        of=cast(Scaled, table.text("of", SCALED)),
        start=table.number("start", 0.1, 1e6, 100.0),
        highest=table.number("highest", 0.1, 1e7, 10_000.0),
        resolution=table.number("resolution", 0.01, 1.0, 0.15, default=0.15),
        trial_s=table.duration_s("trial", 1.0, 600.0, "8 s", default_s=8.0),
        confirm_s=table.duration_s("confirm", 1.0, 3_600.0, "30 s", default_s=30.0),
        at_least=at_least or None,
    )
    if found.highest < found.start:
        table.report("highest", f"capacity.highest is below capacity.start = {found.start:g}")
    table.finish()
    return found
