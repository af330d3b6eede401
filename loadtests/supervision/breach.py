"""Find budgets that a run breaks while it is in progress, from the seconds of ``logs/live.json``.

Pure. A push p99 counts only after three consecutive steady-phase seconds over its limit. Seconds
in which the generator broke its own limits are ignored. Errors count at once.

- **visible**: the push p99 of each of the three is over the budget. The gateway is profiled.
- **gross**: it is over 20 × the budget, or ``errors`` has reached its limit plus one error for
  each client that ever connected. The run is cut and is a FAIL, however few values it has by
  then, unless the scenario's ``[policy] abort = "never"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtests.results import Phase
from scenarios.schema import Budget

SECONDS: Final = 3
GROSS: Final = 20


class BreachWatch:
    """Watches for breaches; ``visible`` and ``gross`` describe them and are empty before."""

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self.visible = ""
        self.gross = ""
        self._p99_ns = _strictest(budgets, "push", "p99")
        self._errors = _strictest(budgets, "errors", None)
        self._over = self._far_over = 0
        self._clients = 0
        self._seen_s = -1.0

    def see(self, live: Mapping[str, Any] | None) -> None:
        """Take the newest second, unless it was seen before."""
        if not live or live.get("phase") != Phase.STEADY or live["t_s"] == self._seen_s:
            return
        self._seen_s = live["t_s"]
        self._clients = max(self._clients, live.get("clients") or 0)
        self._see_errors(live.get("errors") or 0)
        if not live.get("strains"):
            self._see_push(live.get("push_p99_ns"))

    def _see_push(self, p99_ns: float | None) -> None:
        if p99_ns is None or self._p99_ns is None:
            return
        self._over = self._over + 1 if p99_ns > self._p99_ns else 0
        self._far_over = self._far_over + 1 if p99_ns > GROSS * self._p99_ns else 0
        words = f"push p99 was {p99_ns / 1e6:,.0f} ms, allowed {self._p99_ns / 1e6:g} ms"
        if self._over >= SECONDS and not self.visible:
            self.visible = f"{words}, {SECONDS} seconds in a row"
        if self._far_over >= SECONDS and not self.gross:
            self.gross = f"{words}: over {GROSS} times as much, {SECONDS} seconds in a row"

    def _see_errors(self, errors: int) -> None:
        if self._errors is None or errors < self._errors + max(1, self._clients):
            return
        words = f"{errors:,} errors of {self._clients:,} clients, allowed {self._errors:,.0f}"
        self.visible = self.visible or words
        self.gross = self.gross or words


def _strictest(budgets: Sequence[Budget], metric: str, statistic: str | None) -> float | None:
    """Return the lowest upper limit among absolute budgets; None without one."""
    limits = [
        budget.limit
        for budget in budgets
        if (budget.metric, budget.statistic, budget.is_relative) == (metric, statistic, False)
        and (budget.is_upper_limit or (budget.operator == "==" and budget.limit == 0))
    ]
    return min(limits, default=None)
