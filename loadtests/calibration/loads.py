"""The small scenarios that calibration trials run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SYMBOLS = 4


@dataclass(frozen=True, kw_only=True)
class Load:
    """A load whose subscribers hold every symbol, so each is owed each publication.

    Attributes:
        steady_s: length of the steady phase, seconds.
        rates: publications a second, by event.
        subscribers: number of subscribers.
        budgets: budgets beside ``delivery.lost == 0``.
        health: lines of ``[health]``.
        drain: length of the drain, such as ``2 s``.
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
        return f"""# Does the laboratory measure a known fault correctly?
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
