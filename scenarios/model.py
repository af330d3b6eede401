"""The records of a scenario, after all checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from scenarios.arrivals import Arrivals
from scenarios.budgets import Budget
from scenarios.capacity_table import Capacity
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
    """The phases of the load: ramp, warm-up, steady, drain.

    Attributes:
        spawn_rate: users a second in the ramp.
        arrivals: how the users' sessions are spread over the ramp.
        warm_up_s: after the last user; times are not judged.
        steady_s: times are judged.
        drain_s: nothing is sent; messages under way arrive.
    """

    spawn_rate: float
    arrivals: Arrivals
    warm_up_s: float
    steady_s: float
    drain_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadStage:
    """A change of the number of users.

    Attributes:
        at_s: from the start of the steady phase; a late stage does not move the next.
        users: the new number of all users.
        spawn_rate: users a second on the way there.
    """

    at_s: float
    users: int
    spawn_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Market:
    """The traded symbols.

    Attributes:
        symbols: number of symbols.
        zipf: exponent of their popularity; 0 is even.
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
"""Commands to the gateway, not to a group of users."""
MOST_NODES: Final = 64
"""The most gateways of a run."""
COUNTED_DEEDS: Final[tuple[Deed, ...]] = ("subscribe", "send")
"""Commands with a count: symbols or requests per user."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command at a fixed time of the steady phase.

    Attributes:
        at_s: from the start of the steady phase.
        do: ``drop``: close the connection abruptly and stay away; ``return``: reconnect;
            ``subscribe``: subscribe to ``count`` more symbols; ``unsubscribe``: undo that;
            ``send``: send ``count`` requests; ``pause``, ``resume``: stop reading, read again;
            ``terminate``: SIGTERM to the gateway; ``restart``: the same, and start a new one.
        who: the group that carries it out; a command to the gateway has none.
        within_s: the users of the group are spread evenly over this time.
        count: how many symbols or requests per user; other commands have none.
        node: with several nodes, the number of the one to end, from 1; without it, all of them.
    """

    at_s: float
    do: Deed
    who: str
    within_s: float
    count: int
    node: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Publish:
    """An event that the publisher sends.

    Attributes:
        event: its name.
        rate: publications a second.
        arrivals: how they are spread.
        payload_bytes: the least size of the event's data as JSON; without it the data are not
            padded.
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

    A second is dirty when more than `second_lost_percent` of it is lost. Host steal is a loss. So
    is the time that the gateway or the generator waits for a core that other processes have, and
    the time that the generator collects garbage. The second after a dirty second is dirty too.

    Times are judged over the clean seconds. If more than `dirty_seconds_percent` of the
    steady-phase seconds are dirty, a time is INVALID unless it keeps its upper limit over all
    seconds, because losses only lengthen times. A broken upper limit is a FAIL only if the seconds
    that lost less than the limit break it too.

    Times are also INVALID if the generator uses over 95 % of a core, or if the generator or the
    publisher exceeds the limits below in the clean seconds. Dirty seconds never affect counts.

    Attributes:
        generator_share_p99_ms: its own share of a push, from the kernel's receive stamp to the
            callback. Its loop may be as late, and 250 ms in any case (50 ms where the own share
            could not be measured).
        publisher_delay_p99_ms: publications sent after they were due.
        second_lost_percent: share of one second that may be lost before the second is dirty.
            The generator's waits count only beyond the CPU time of the gateway.
        dirty_seconds_percent: share of the steady-phase seconds that may be dirty. Times
            leave them out.
    """

    generator_share_p99_ms: float = 10.0
    publisher_delay_p99_ms: float = 50.0
    second_lost_percent: float = 10.0
    dirty_seconds_percent: float = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How inconclusive and broken budgets affect the run.

    Attributes:
        inconclusive: the exit code of an undecided budget, 3 (``fail``) or 0 (``pass``).
        abort: whether a gross breach of a budget ends the run early (``gross``) or not
            (``never``); [budgets.md](budgets.md) says what is gross.
    """

    inconclusive: Literal["fail", "pass"] = "fail"
    abort: Literal["gross", "never"] = "gross"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """One scenario file; ``gateway`` maps environment names to values."""

    name: str
    seed: int
    nodes: int
    question: str
    budgets: tuple[Budget, ...]
    phases: Phases
    stages: tuple[LoadStage, ...]
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
        """The most virtual users at any time, stages included."""
        return max([self.users.total, *(stage.users for stage in self.stages)])

    @property
    def ends_gateway(self) -> bool:
        """Whether a command ends the gateway, which the run must then have started itself."""
        return any(command.do in GATEWAY_DEEDS for command in self.commands)

    def ordered_ns(self, do: Deed, steady_ns: int, node: int = 1) -> tuple[int, ...]:
        """Return the times (ns) at which a command ends a node.

        Args:
            do: the command.
            steady_ns: the start of the steady phase.
            node: number of the node, from 1; 0 leaves out commands to a single node.
        """
        orders = (one.at_s for one in self.commands if one.do == do and one.node in (0, node))
        return tuple(steady_ns + round(at_s * 1e9) for at_s in orders)

    @property
    def has_market_source(self) -> bool:
        """Whether the gateway publishes market events by itself, also while the run drains."""
        return self.gateway.get("GATEWAY_MARKET", "off") != "off"

    @property
    def load_s(self) -> float:
        """Seconds from the first user to the end of the steady phase."""
        ramp_s = self.users.total / self.phases.spawn_rate
        return ramp_s + self.phases.warm_up_s + self.phases.steady_s
