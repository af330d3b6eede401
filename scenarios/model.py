"""A scenario as it is run: frozen records, already checked, with units in their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from scenarios.budgets import Budget

MARKET_EVENTS: Final = ("price:update", "ticker:update", "orderbook:update")
TRADING_EVENTS: Final = (
    "order:created",
    "order:submitted",
    "order:partially-filled",
    "order:filled",
    "order:cancelled",
    "order:rejected",
    "position:opened",
    "position:updated",
    "position:closed",
    "trade:executed",
)
PUBLISHABLE_EVENTS: Final = MARKET_EVENTS + TRADING_EVENTS
"""What a scenario may publish; a test compares the names with the wire contract."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phases:
    """How the load goes: users come at ``spawn_rate`` a second, then warm-up, steady, drain."""

    spawn_rate: float
    warm_up_s: float
    steady_s: float
    drain_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Market:
    """The symbols that are traded; ``zipf`` is the exponent of their popularity, 0 = even."""

    symbols: int
    zipf: float

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols, most popular first."""
        return tuple(f"SYM{index:03d}/USDT" for index in range(self.symbols))

    def weights(self) -> tuple[float, ...]:
        """Return each symbol's share, summing to 1: 1/rank^zipf (Zipf's law)."""
        raw = [1 / (rank**self.zipf) for rank in range(1, self.symbols + 1)]
        total = sum(raw)
        return tuple(weight / total for weight in raw)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscriber:
    """Users that listen to ``symbols`` symbols each, drawn by popularity without replacement."""

    count: int
    symbols: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Trader:
    """Users in the trading channel with symbols, that ask something each ``request_every_s``."""

    count: int
    symbols: int
    request_every_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Abuser:
    """Users that send ``burst`` requests at once after the welcome, then one each second."""

    count: int
    burst: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Users:
    """Who connects; a behaviour that the scenario does not name is None."""

    subscriber: Subscriber | None
    trader: Trader | None
    abuser: Abuser | None

    @property
    def total(self) -> int:
        """All virtual users together."""
        return sum(group.count for group in (self.subscriber, self.trader, self.abuser) if group)


@dataclass(frozen=True, kw_only=True, slots=True)
class Publish:
    """An event that the publisher sends ``rate`` times a second, at constant intervals."""

    event: str
    rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """What the generator must keep, or the run's timing is INVALID."""

    generator_loop_lag_p99_ms: float
    publisher_delay_p99_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What an undecided budget means for the exit code."""

    inconclusive: Literal["fail", "pass"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """One scenario file; ``gateway`` holds environment names and their values as text."""

    name: str
    seed: int
    question: str
    budgets: tuple[Budget, ...]
    phases: Phases
    gateway: Mapping[str, str]
    market: Market
    users: Users
    publish: tuple[Publish, ...]
    health: Health
    policy: Policy
    source: str

    @property
    def load_s(self) -> float:
        """Seconds from the first user to the end of the steady phase."""
        ramp_s = self.users.total / self.phases.spawn_rate
        return ramp_s + self.phases.warm_up_s + self.phases.steady_s
