"""A scenario as it is run: frozen records, already checked, with units in their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from scenarios.arrivals import Arrivals
from scenarios.budgets import Budget
from scenarios.capacity import Capacity
from scenarios.groups import Users

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
PUBLISHABLE_EVENTS: Final = (*MARKET_EVENTS, *TRADING_EVENTS, "balance:updated")
"""Events that a scenario may publish; a test compares the names with the wire contract."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phases:
    """How the load goes: users come, then warm-up, steady, drain.

    Attributes:
        spawn_rate: users a second.
        arrivals: how the users' sessions are spread over the ramp.
        warm_up_s: from the last user on; nothing of it is judged.
        steady_s: what is judged.
        drain_s: nothing is sent any more; what is under way arrives.
    """

    spawn_rate: float
    arrivals: Arrivals
    warm_up_s: float
    steady_s: float
    drain_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A change of load.

    Attributes:
        at_s: from the start of the steady phase; a stage reached late does not move the next.
        users: in all, towards which it goes from then on.
        spawn_rate: users a second.
    """

    at_s: float
    users: int
    spawn_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Market:
    """The symbols that are traded.

    Attributes:
        symbols: how many there are.
        zipf: exponent of their popularity, 0 = even.
    """

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


Deed = Literal[
    "drop", "return", "subscribe", "unsubscribe", "send", "pause", "resume", "terminate", "restart"
]
DEEDS: Final[tuple[Deed, ...]] = get_args(Deed)
GATEWAY_DEEDS: Final[tuple[Deed, ...]] = ("terminate", "restart")
"""What is done to the gateway and not by a group of users."""
COUNTED_DEEDS: Final[tuple[Deed, ...]] = ("subscribe", "send")
"""What has a count: symbols each, requests each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What a scenario orders at a moment of the steady phase, which nothing moves.

    Attributes:
        at_s: from the start of the steady phase.
        do: ``drop``: end the connection without a word, and stay away; ``return``: come back;
            ``subscribe``: hold ``count`` more symbols; ``unsubscribe``: let go of what such
            commands gave; ``send``: ``count`` requests; ``pause``, ``resume``: stop reading,
            read again; ``terminate``: SIGTERM to the gateway; ``restart``: the same, and a
            new one takes its place.
        who: the group that carries it out; not for what is done to the gateway.
        within_s: the users of the group are spread evenly over so long.
        count: of ``subscribe`` and ``send``, for each user; 0 in others.
    """

    at_s: float
    do: Deed
    who: str
    within_s: float
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Publish:
    """An event that the publisher sends.

    Attributes:
        event: its name.
        rate: publications a second.
        arrivals: how they are spread.
        payload_bytes: what the event's data come to as JSON at least; without it they stay as
            they are.
    """

    event: str
    rate: float
    arrivals: Arrivals
    payload_bytes: int | None


GENERATOR_CPU_PERCENT: Final = 95.0
"""The most of a core that the busiest process of the generator may use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """When times can be believed.

    A second is dirty when the host took more of the machine than `second_lost_percent`, when the
    gateway or the generator waited that long for a core that others had, or when the generator
    collected garbage that long. The second after it is dirty too. Times are judged over the clean
    seconds. With more than `dirty_seconds_percent` of them dirty, a time is INVALID unless it
    keeps its upper limit over all seconds, because losses only lengthen times. A broken upper
    limit is a FAIL only if the seconds that lost less than the limit break it too. A generator or
    publisher that is late by its own doing makes times INVALID: over 95 % of a core, or over the
    limits below in the clean seconds. Counts are never touched.

    Attributes:
        generator_share_p99_ms: its own share of a push, from the kernel's receive stamp to the
            callback. Its loop may be as late, and 250 ms in any case (50 ms where the own share
            could not be measured).
        publisher_delay_p99_ms: publications sent after they were due.
        second_lost_percent: of one second that may be lost before the second is dirty. The time
            that the gateway itself ran is no loss.
        dirty_seconds_percent: of the steady phase that may be dirty and is left out of times.
    """

    generator_share_p99_ms: float = 10.0
    publisher_delay_p99_ms: float = 50.0
    second_lost_percent: float = 10.0
    dirty_seconds_percent: float = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What to do about what the budgets leave open.

    Attributes:
        inconclusive: whether an undecided budget ends with 3 (``fail``) or with 0 (``pass``).
        abort: whether a run that breaks a budget grossly is cut (``gross``) or goes on to
            its end (``never``); `docs/budgets.md` says what is gross.
    """

    inconclusive: Literal["fail", "pass"] = "fail"
    abort: Literal["gross", "never"] = "gross"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """One scenario file; ``gateway`` holds environment names and their values as text."""

    name: str
    seed: int
    question: str
    budgets: tuple[Budget, ...]
    phases: Phases
    stages: tuple[Stage, ...]
    commands: tuple[Command, ...]
    capacity: Capacity | None
    gateway: Mapping[str, str]
    market: Market
    users: Users
    publish: tuple[Publish, ...]
    health: Health
    policy: Policy
    source: str

    @property
    def most_users(self) -> int:
        """The most virtual users there are at a time, stages included."""
        return max([self.users.total, *(stage.users for stage in self.stages)])

    @property
    def ends_gateway(self) -> bool:
        """Whether it terminates or restarts the gateway, which must then be our own."""
        return any(command.do in GATEWAY_DEEDS for command in self.commands)

    def ordered_ns(self, do: Deed, steady_ns: int) -> tuple[int, ...]:
        """Return when something is ordered, given when the steady phase begins."""
        orders = (command.at_s for command in self.commands if command.do == do)
        return tuple(steady_ns + round(at_s * 1e9) for at_s in orders)

    @property
    def load_s(self) -> float:
        """Seconds from the first user to the end of the steady phase."""
        ramp_s = self.users.total / self.phases.spawn_rate
        return ramp_s + self.phases.warm_up_s + self.phases.steady_s
