"""The groups of virtual users that a scenario may name: frozen records, units in their names.

The well-behaved ones use the gateway as a customer would. The others ask for trouble on
purpose, and what they meet is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Final, Literal, Self, TypeVar, cast, get_args, get_type_hints

from scenarios.arrivals import MAX_BURST, Arrivals, read_arrivals
from scenarios.reading import Source, Table

MAX_USERS: Final = 100_000
MAX_SYMBOLS_HELD: Final = 64
"""One subscribe request may name this many symbols."""
MAX_RATES: Final = (1, 2, 5, 10, 20)
"""What ``maxRate`` of a subscription may be; a test compares them with the wire contract."""
MAX_BUFFER_BYTES: Final = 16_777_216
MIN_BUFFER_BYTES: Final = 1_152
"""Half of the smallest ``SO_RCVBUF``: the kernel doubles what it is asked for (socket(7))."""

DeadPeerKind = Literal["mute", "no-pong", "stalled"]
DEAD_PEER_KINDS: Final[tuple[DeadPeerKind, ...]] = ("mute", "no-pong", "stalled")
"""Neither reads nor writes; reads and answers no ping; reads nothing and still writes pongs."""

_Group = TypeVar("_Group", bound="Group")
_Value = TypeVar("_Value")


def key(read: Callable[[Table], _Value], default: _Value | None = None) -> _Value:
    """Return the field of a group whose value ``read`` takes from the group's table.

    Args:
        read: asks the table for the key, with what may be written there and an example.
        default: of the field, for a group that is made in a program.
    """
    stated: Any = MISSING if default is None else default
    found: _Value = field(default=stated, metadata={"read": read})
    return found


def _count(table: Table, example: int = 60, most: int = MAX_USERS) -> int:
    return table.integer("count", 1, most, example)


def _symbols(table: Table, least: int = 1) -> int:
    return table.integer("symbols", least, MAX_SYMBOLS_HELD, 2)


def _max_rate(table: Table) -> int:
    return table.one_of("max_rate", MAX_RATES) or 0


def _size(table: Table, name: str, least: int, example: str) -> int:
    found = table.size_bytes(name, least, MAX_BUFFER_BYTES, example, is_required=True)
    return least if found is None else found


def _buffer(table: Table) -> int:
    return _size(table, "receive_buffer", MIN_BUFFER_BYTES, "4 KB")


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Any group. A subclass adds its keys, and ``Users`` has a field of the group's name.

    Attributes:
        takes_commands: whether ``[[commands]]`` may name it. A group with a schedule of its own
            takes none.
        count: how many there are.
    """

    takes_commands: ClassVar[bool] = True
    count: int = key(_count)

    @classmethod
    def read(cls, table: Table) -> Self:
        """Return the group that ``[users.NAME]`` states, and report what is wrong with it."""
        found = cls(**{each.name: each.metadata["read"](table) for each in fields(cls)})
        table.finish()
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenerGroup(Group):
    """Any group that subscribes to symbols.

    Attributes:
        symbols: symbols per user, drawn by popularity without replacement.
        max_rate: the most events a second that a user asks for, of each stream of a symbol; without
            it every event. The time that an event waits for its slot is part of its push time.
    """

    symbols: int = key(_symbols)
    max_rate: int = key(_max_rate, default=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class SubscriberGroup(ListenerGroup):
    """Users that subscribe to symbols."""

    count: int = key(lambda table: _count(table, 240))


@dataclass(frozen=True, kw_only=True, slots=True)
class TraderGroup(ListenerGroup):
    """Users that subscribe to the trading channel and to symbols, and send requests.

    Attributes:
        request_every_s: mean time between two requests of a user, independent of the answers.
        arrivals: how the requests are spread.
    """

    symbols: int = key(lambda table: _symbols(table, 0))
    request_every_s: float = key(
        lambda table: table.duration_s("request_every", 0.01, 3_600.0, "4 s")
    )
    arrivals: Arrivals = key(read_arrivals)  # noqa: RUF009 - the call makes a field


@dataclass(frozen=True, kw_only=True, slots=True)
class ExchangeUserGroup(Group):
    """Users that place orders over HTTP at the gateway's paper exchange, and listen to them.

    Attributes:
        traded_symbols: symbols that a user trades, drawn by popularity without replacement.
        order_every_s: mean time between two orders of a user, independent of the answers.
        arrivals: how the orders are spread.
    """

    takes_commands: ClassVar[bool] = False
    traded_symbols: int = key(lambda table: table.integer("traded_symbols", 1, MAX_SYMBOLS_HELD, 2))
    order_every_s: float = key(lambda table: table.duration_s("order_every", 0.01, 3_600.0, "2 s"))
    arrivals: Arrivals = key(read_arrivals)  # noqa: RUF009 - the call makes a field


@dataclass(frozen=True, kw_only=True, slots=True)
class IdleGroup(Group):
    """Users that connect and do nothing until a command."""

    count: int = key(lambda table: _count(table, 1_000))


@dataclass(frozen=True, kw_only=True, slots=True)
class ChurnerGroup(ListenerGroup):
    """Users that subscribe, leave, and return.

    Attributes:
        stay_s: mean time from joining to leaving.
    """

    stay_s: float = key(lambda table: table.duration_s("stay", 0.1, 3_600.0, "2 s"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ReturnerGroup(ListenerGroup):
    """Users that own private events, drop, and return with the last number that they have.

    Attributes:
        stay_s: mean time from joining to dropping, and from there to the return.
    """

    stay_s: float = key(lambda table: table.duration_s("stay", 0.1, 3_600.0, "2 s"))


@dataclass(frozen=True, kw_only=True, slots=True)
class StormGroup(ListenerGroup):
    """Users that subscribe, and drop and return together on command."""

    count: int = key(lambda table: _count(table, 500))


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowReaderGroup(ListenerGroup):
    """Users that subscribe and read slowly.

    Attributes:
        bytes_per_second: the most that a user reads.
        receive_buffer_bytes: ``SO_RCVBUF``, which the kernel doubles.
    """

    count: int = key(lambda table: _count(table, 5))
    bytes_per_second: int = key(lambda table: _size(table, "bytes_per_second", 1, "1 KB"))
    receive_buffer_bytes: int = key(_buffer)


@dataclass(frozen=True, kw_only=True, slots=True)
class NeverReaderGroup(ListenerGroup):
    """Users that subscribe and then stop reading.

    Attributes:
        receive_buffer_bytes: ``SO_RCVBUF``, which the kernel doubles.
    """

    count: int = key(lambda table: _count(table, 5))
    receive_buffer_bytes: int = key(_buffer)


def _dead_peer_kinds(table: Table) -> tuple[DeadPeerKind, ...]:
    return cast(tuple[DeadPeerKind, ...], table.texts("kinds", DEAD_PEER_KINDS))


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadPeerGroup(Group):
    """Users that stop responding.

    Attributes:
        kinds: failure modes, assigned round-robin.
        dies_after_s: time from welcome to failure.
    """

    takes_commands: ClassVar[bool] = False
    count: int = key(lambda table: _count(table, 6, 1_000))
    kinds: tuple[DeadPeerKind, ...] = key(_dead_peer_kinds)
    dies_after_s: float = key(lambda table: table.duration_s("dies_after", 0.0, 3_600.0, "1 s"))

    def kind(self, number: int) -> DeadPeerKind:
        """Return the kind of the group's member ``number``, from 0."""
        return self.kinds[number % len(self.kinds)]


@dataclass(frozen=True, kw_only=True, slots=True)
class AbuserGroup(Group):
    """Users that send ``burst`` requests at once after the welcome, then one per second.

    Attributes:
        burst: requests at once, over all connections of a user.
        connections: connections per user.
        reconnects: how often a user reconnects, to see whether that resets the limit.
        edge: after the burst, send just before and just after each ``retryAfter`` instead.
    """

    takes_commands: ClassVar[bool] = False
    count: int = key(lambda table: _count(table, 1, 1_000))
    burst: int = key(lambda table: table.integer("burst", 1, MAX_BURST, 70))
    connections: int = key(
        lambda table: table.integer("connections", 1, 64, 3, default=1), default=1
    )
    reconnects: int = key(
        lambda table: table.integer("reconnects", 0, 100, 2, default=0), default=0
    )
    edge: bool = key(lambda table: table.boolean("edge", default=False), default=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class BadTokenGroup(Group):
    """Users that try tokens that the contract refuses.

    Attributes:
        every_s: time between two attempts, each with another kind of token.
    """

    takes_commands: ClassVar[bool] = False
    count: int = key(lambda table: _count(table, 5, 1_000))
    every_s: float = key(lambda table: table.duration_s("every", 0.01, 3_600.0, "1 s"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpiringGroup(Group):
    """Users with a token that expires.

    Attributes:
        lifetime_s: from joining to disconnection: ``exp`` and leeway together.
        refreshing: share of users that refresh in time and stay, 0 to 1.
    """

    takes_commands: ClassVar[bool] = False
    count: int = key(lambda table: _count(table, 20, 10_000))
    lifetime_s: float = key(lambda table: table.duration_s("lifetime", 1.0, 82_800.0, "5 s"))
    refreshing: float = key(lambda table: table.number("refreshing", 0.0, 1.0, 0.5))


@dataclass(frozen=True, kw_only=True, slots=True)
class EntitledGroup(Group):
    """Users whose tokens allow one half of their symbols, and the other after each refresh.

    Attributes:
        symbols: symbols of a half, drawn by popularity without replacement.
        every_s: time between two changes of the token. Every third change is a revocation.
    """

    takes_commands: ClassVar[bool] = False
    count: int = key(lambda table: _count(table, 10, 10_000))
    symbols: int = key(lambda table: table.integer("symbols", 1, MAX_SYMBOLS_HELD // 2, 2))
    every_s: float = key(lambda table: table.duration_s("every", 1.0, 3_600.0, "8 s"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelUserGroup(Group):
    """Users that ask the provider ``scripted``, one answer after the other.

    Attributes:
        ask_every_s: mean time between two requests of a user.
        cancelling: share of answers that the user cancels after some tokens, 0 to 1.
        slow: share of users that stop reading for two seconds in each answer, 0 to 1.
    """

    takes_commands: ClassVar[bool] = False
    count: int = key(lambda table: _count(table, 20, 10_000))
    ask_every_s: float = key(lambda table: table.duration_s("ask_every", 0.1, 3_600.0, "4 s"))
    cancelling: float = key(lambda table: table.number("cancelling", 0.0, 1.0, 0.25))
    slow: float = key(lambda table: table.number("slow", 0.0, 1.0, 0.2))


@dataclass(frozen=True, kw_only=True, slots=True)
class Users:
    """Who connects; a group that the scenario does not name is None."""

    subscriber: SubscriberGroup | None = None
    trader: TraderGroup | None = None
    exchange_user: ExchangeUserGroup | None = None
    idle: IdleGroup | None = None
    churner: ChurnerGroup | None = None
    returner: ReturnerGroup | None = None
    storm: StormGroup | None = None
    slow_reader: SlowReaderGroup | None = None
    never_reader: NeverReaderGroup | None = None
    dead_peer: DeadPeerGroup | None = None
    abuser: AbuserGroup | None = None
    bad_token: BadTokenGroup | None = None
    expiring: ExpiringGroup | None = None
    entitled: EntitledGroup | None = None
    model_user: ModelUserGroup | None = None

    def of(self, kind: type[_Group]) -> _Group:
        """Return the group of a class.

        Raises:
            LookupError: the scenario does not name it.
        """
        found = next((each for each in self.named().values() if isinstance(each, kind)), None)
        if found is None:
            raise LookupError(f"the scenario has no {kind.__name__}")
        return found

    def named(self) -> dict[str, Group]:
        """Return the groups that there are, by name, in the order of their declaration."""
        held = {name: getattr(self, name) for name in GROUPS}
        return {name: group for name, group in held.items() if group is not None}

    def symbols(self) -> dict[str, int]:
        """Return how many symbols a user of each group holds, of the groups that hold some."""
        held = {name: getattr(group, "symbols", 0) for name, group in self.named().items()}
        return {name: symbols for name, symbols in held.items() if symbols}

    def max_rates(self) -> dict[str, int]:
        """Return the rate that a user of each group asks for, of the groups that ask for one."""
        held = {name: getattr(group, "max_rate", 0) for name, group in self.named().items()}
        return {name: rate for name, rate in held.items() if rate}

    @property
    def total(self) -> int:
        """All virtual users together."""
        return sum(group.count for group in self.named().values())


GROUP_CLASSES: Final[Mapping[str, type[Group]]] = {
    name: get_args(hint)[0] for name, hint in get_type_hints(Users).items()
}
"""The class of each group's table, by the group's name."""
GROUPS: Final = tuple(GROUP_CLASSES)
"""Every group that a scenario may name."""


def read_users(top: Table) -> Users:
    """Return the groups that the tables ``[users.NAME]`` of a scenario file state."""
    table = top.table("users", optional=True) or Table(Source({}), (), {})
    held: dict[str, Group] = {}
    for name, group_class in GROUP_CLASSES.items():
        found = table.table(name, optional=True)
        if found is not None:
            held[name] = group_class.read(found)
    table.finish()
    return Users(**held)  # type: ignore[arg-type]  # each class reads its own field's type
