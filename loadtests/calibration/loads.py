"""The small loads of a calibration, as scenario files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SYMBOLS = 4


@dataclass(frozen=True, kw_only=True)
class Load:
    """Subscribers that all hold every symbol, so that each publication is owed to each of them.

    Attributes:
        steady_s: length of the steady phase.
        rates: publications a second, by event.
        subscribers: how many listen.
        budgets: beside the two that every load has: nothing lost, no error.
        health: lines of ``[health]``.
        drain: how long what is owed may take after the end.
    """

    steady_s: float
    rates: Mapping[str, float]
    subscribers: int
    budgets: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    drain: str = "2 s"

    def text(self) -> str:
        """Return the scenario as TOML."""
        budgets = ", ".join(f'"{one}"' for one in (*self.budgets, "delivery.lost == 0"))
        publish = "".join(
            f'[[publish]]\nevent = "{event}"\nrate = {rate:.4f}\n'
            for event, rate in self.rates.items()
        )
        health = "\n".join(self.health)
        return f"""# Does the ruler read what is known beforehand?
name = "calibration"
seed = 20
budgets = [{budgets}]
[phases]
spawn_rate = 40.0
warm_up = "1 s"
steady = "{self.steady_s:g} s"
drain = "{self.drain}"
[market]
symbols = {SYMBOLS}
zipf = 0.0
[users.subscriber]
count = {self.subscribers}
symbols = {SYMBOLS}
{publish}[health]
{health}
[policy]
inconclusive = "pass"
"""
