"""The records of a scenario, after all checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from scenarios.budgets import Budget
from scenarios.capacity_table import Capacity
from scenarios.groups import Arrivals, Users

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
BALANCE_EVENT: Final = "balance:updated"  # to its owner alone
PUBLISHABLE_EVENTS: Final = (*MARKET_EVENTS, *TRADING_EVENTS, BALANCE_EVENT)
"""The events that a scenario may publish; a test compares them with the wire contract."""


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
        who: the group that carries it out; none for a command to the gateway.
        within_s: the users of the group are spread evenly over this time.
        count: of ``subscribe`` and ``send``, per user; 0 for others.
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
        payload_bytes: the least size of the event's data as JSON; without it the data are not
            padded.
    """

    event: str
    rate: float
    arrivals: Arrivals
    payload_bytes: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """What the generator must keep, or the run's timing is INVALID.

    A limit that is None judges nothing; what it would hold is shown all the same.

    Attributes:
        generator_share_p99_ms: its own share of a push, from kernel receive stamps.
        generator_loop_lag_p99_ms: how late its loop runs. Without it 250 ms, or 50 ms where the
            own share could not be measured.
        generator_cpu_percent: of one core, mean of the steady phase, each worker.
        generator_run_queue_percent: of the steady phase that it waited for a core.
        generator_steal_percent: of the machine's time that its host took.
        generator_gc_pause_ms: its longest garbage collection.
        gateway_core_wait_ms: of each second, in the mean of the steady phase, that the gateway
            waited for a core that others had. Not its own threads, so no gateway brings it
            about: 0 to 3 ms where it had the core alone, 15 ms beside two busy strangers.
        schedule_delay_p99_ms: requests sent after they were due. A user that waits for a slow
            answer sends its next request late, so it judges only where a scenario sets it.
        publisher_delay_p99_ms: publications sent after they were due.
        second_steal_percent: of the machine's time in one second that its host took. Over this,
            or what follows, or over ``generator_gc_pause``, the second is tainted.
        second_core_wait_ms: of one second that the gateway waited for a core.
        second_loop_lag_ms: the worst lag of its loop in one second. Over this or what follows
            the second is tainted where the gateway is shown to have been in time.
        second_share_ms: the worst of its own share in one second.
        second_run_queue_percent: of one second that it waited for a core.
        tainted_percent: of the steady phase that may be tainted and left out of what is timed.
            With more the run is INVALID.
    """

    generator_share_p99_ms: float = 10.0
    generator_loop_lag_p99_ms: float | None = None
    generator_cpu_percent: float = 95.0
    generator_run_queue_percent: float = 25.0
    generator_steal_percent: float = 10.0
    generator_gc_pause_ms: float = 100.0
    gateway_core_wait_ms: float = 10.0
    schedule_delay_p99_ms: float | None = None
    publisher_delay_p99_ms: float = 50.0
    second_steal_percent: float = 10.0
    second_core_wait_ms: float = 30.0
    second_loop_lag_ms: float = 100.0
    second_share_ms: float = 50.0
    second_run_queue_percent: float = 50.0
    tainted_percent: float = 20.0


LOOP_LAG_BESIDE_SHARE_MS: Final = 250.0
"""The loop lag p99 that a run must keep beside its own share.

A burst to many users makes every loop late, so this is wide. It is there for a generator that
stood still: one read then takes all that waited, and its kernel stamp is the last segment's,
so the own share of two lost seconds is read as a few milliseconds.
"""
LOOP_LAG_STANDS_IN_MS: Final = 50.0
"""The loop lag p99 that a run must keep when nothing better tells of the generator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What follows from undecided and broken budgets.

    Attributes:
        inconclusive: the exit code of an undecided budget, 3 (``fail``) or 0 (``pass``).
        abort: whether a gross breach of a budget ends the run early (``gross``) or not
            (``never``); `docs/budgets.md` says what is gross.
    """

    inconclusive: Literal["fail", "pass"] = "fail"
    abort: Literal["gross", "never"] = "gross"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """One scenario file; ``gateway`` maps environment names to values."""

    name: str
    seed: int
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

    def ordered_ns(self, do: Deed, steady_ns: int) -> tuple[int, ...]:
        """Return the times (ns) of a command, given the start of the steady phase."""
        orders = (command.at_s for command in self.commands if command.do == do)
        return tuple(steady_ns + round(at_s * 1e9) for at_s in orders)

    @property
    def load_s(self) -> float:
        """Seconds from the first user to the end of the steady phase."""
        ramp_s = self.users.total / self.phases.spawn_rate
        return ramp_s + self.phases.warm_up_s + self.phases.steady_s
