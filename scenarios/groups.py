"""The groups of virtual users that a scenario may name: frozen records, units in their names.

The well-behaved ones use the gateway as a customer would. The others ask for trouble on
purpose, and what they meet is no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Self, TypeVar, cast, get_args, get_type_hints

from scenarios.arrivals import MAX_BURST, Arrivals, read_arrivals
from scenarios.reading import Source, Table

MAX_USERS: Final = 100_000
MAX_SYMBOLS_HELD: Final = 64
"""One subscribe request may name this many symbols."""
MAX_BUFFER_BYTES: Final = 16_777_216
MIN_BUFFER_BYTES: Final = 1_152
"""Half of the smallest ``SO_RCVBUF``: the kernel doubles what it is asked for (socket(7))."""

DeadPeerKind = Literal["mute", "no-pong", "stalled"]
DEAD_PEER_KINDS: Final[tuple[DeadPeerKind, ...]] = ("mute", "no-pong", "stalled")
"""Neither reads nor writes; reads and answers no ping; reads nothing and still writes pongs."""

_Group = TypeVar("_Group", bound="Group")


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Any group. A subclass adds its keys, and ``Users`` has a field of the group's name.

    Attributes:
        takes_commands: whether ``[[commands]]`` may name it. A group with a schedule of its own
            takes none.
        count: how many there are.
    """

    takes_commands: ClassVar[bool] = True
    count: int

    @classmethod
    def read(cls, table: Table) -> Self:
        """Return the group that ``[users.NAME]`` states, and report what is wrong with it."""
        found = cls._read(table)
        table.finish()
        return found

    @classmethod
    def _read(cls, table: Table) -> Self:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenerGroup(Group):
    """Any group that subscribes to symbols.

    Attributes:
        symbols: that each holds, drawn by popularity without replacement.
    """

    symbols: int


def _count(table: Table, example: int = 60, most: int = MAX_USERS) -> int:
    return table.integer("count", 1, most, example)


def _symbols(table: Table, least: int = 1) -> int:
    return table.integer("symbols", least, MAX_SYMBOLS_HELD, 2)


def _buffer(table: Table) -> int:
    found = table.size_bytes(
        "receive_buffer", MIN_BUFFER_BYTES, MAX_BUFFER_BYTES, "4 KB", is_required=True
    )
    return MIN_BUFFER_BYTES if found is None else found


@dataclass(frozen=True, kw_only=True, slots=True)
class SubscriberGroup(ListenerGroup):
    """Users that listen to some symbols each."""

    @classmethod
    def _read(cls, table: Table) -> Self:
        return cls(count=_count(table, 240), symbols=_symbols(table))


@dataclass(frozen=True, kw_only=True, slots=True)
class TraderGroup(ListenerGroup):
    """Users in the trading channel with symbols, that ask something now and then.

    Attributes:
        request_every_s: mean time between two requests of one user, which are due whatever
            the answers do.
        arrivals: how its requests are spread.
    """

    request_every_s: float
    arrivals: Arrivals

    @classmethod
    def _read(cls, table: Table) -> Self:
        return cls(
            count=_count(table),
            symbols=_symbols(table, 0),
            request_every_s=table.duration_s("request_every", 0.01, 3_600.0, "4 s"),
            arrivals=read_arrivals(table),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class IdleGroup(Group):
    """Users that connect and do nothing at all, until a command asks something of them."""

    @classmethod
    def _read(cls, table: Table) -> Self:
        return cls(count=_count(table, 1_000))


@dataclass(frozen=True, kw_only=True, slots=True)
class ChurnerGroup(ListenerGroup):
    """Users that listen, leave, and return.

    Attributes:
        stay_s: mean time from coming to leaving.
    """

    stay_s: float

    @classmethod
    def _read(cls, table: Table) -> Self:
        return cls(
            count=_count(table),
            symbols=_symbols(table),
            stay_s=table.duration_s("stay", 0.1, 3_600.0, "2 s"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StormGroup(ListenerGroup):
    """Users that listen, and drop and return together, on command."""

    @classmethod
    def _read(cls, table: Table) -> Self:
        return cls(count=_count(table, 500), symbols=_symbols(table))


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowReaderGroup(ListenerGroup):
    """Users that listen and read slowly.

    Attributes:
        bytes_per_second: the most that one reads.
        receive_buffer_bytes: asked of the kernel (``SO_RCVBUF``, which doubles it).
    """

    bytes_per_second: int
    receive_buffer_bytes: int

    @classmethod
    def _read(cls, table: Table) -> Self:
        pace = table.size_bytes("bytes_per_second", 1, MAX_BUFFER_BYTES, "1 KB", is_required=True)
        return cls(
            count=_count(table, 5),
            symbols=_symbols(table),
            bytes_per_second=1 if pace is None else pace,
            receive_buffer_bytes=_buffer(table),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NeverReaderGroup(ListenerGroup):
    """Users that subscribe and read nothing from then on.

    Attributes:
        receive_buffer_bytes: asked of the kernel (``SO_RCVBUF``, which doubles it).
    """

    receive_buffer_bytes: int

    @classmethod
    def _read(cls, table: Table) -> Self:
        return cls(
            count=_count(table, 5), symbols=_symbols(table), receive_buffer_bytes=_buffer(table)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadPeerGroup(Group):
    """Users that play dead.

    Attributes:
        kinds: of death, dealt to the members in turn.
        dies_after_s: from the welcome on.
    """

    takes_commands: ClassVar[bool] = False
    kinds: tuple[DeadPeerKind, ...]
    dies_after_s: float

    def kind(self, number: int) -> DeadPeerKind:
        """Return the kind of the group's member ``number``, from 0."""
        return self.kinds[number % len(self.kinds)]

    @classmethod
    def _read(cls, table: Table) -> Self:
        return cls(
            count=_count(table, 6, 1_000),
            kinds=cast(tuple[DeadPeerKind, ...], table.texts("kinds", DEAD_PEER_KINDS)),
            dies_after_s=table.duration_s("dies_after", 0.0, 3_600.0, "1 s"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AbuserGroup(Group):
    """Users that send ``burst`` requests at once after the welcome, then one each second.

    Attributes:
        burst: requests at once, over all its connections together.
        connections: how many connections of the one user each of them holds.
        reconnects: how often it comes back to see whether that resets the limit.
        edge: after the burst it sends just before and just after each ``retryAfter`` instead.
    """

    takes_commands: ClassVar[bool] = False
    burst: int
    connections: int = 1
    reconnects: int = 0
    edge: bool = False

    @classmethod
    def _read(cls, table: Table) -> Self:
        return cls(
            count=_count(table, 1, 1_000),
            burst=table.integer("burst", 1, MAX_BURST, 70),
            connections=table.integer("connections", 1, 64, 3, default=1),
            reconnects=table.integer("reconnects", 0, 100, 2, default=0),
            edge=table.boolean("edge", default=False),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BadTokenGroup(Group):
    """Users that try a token which the contract refuses.

    Attributes:
        every_s: time between two tries, of another kind each.
    """

    takes_commands: ClassVar[bool] = False
    every_s: float

    @classmethod
    def _read(cls, table: Table) -> Self:
        return cls(
            count=_count(table, 5, 1_000), every_s=table.duration_s("every", 0.01, 3_600.0, "1 s")
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpiringGroup(Group):
    """Users whose connection the gateway must end.

    Attributes:
        lifetime_s: from their coming to their end: ``exp`` and leeway together.
        refreshing: share of them that refreshes in time and stays, 0 to 1.
    """

    takes_commands: ClassVar[bool] = False
    lifetime_s: float
    refreshing: float

    @classmethod
    def _read(cls, table: Table) -> Self:
        return cls(
            count=_count(table, 20, 10_000),
            lifetime_s=table.duration_s("lifetime", 1.0, 82_800.0, "5 s"),
            refreshing=table.number("refreshing", 0.0, 1.0, 0.5),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Users:
    """Who connects; a group that the scenario does not name is None."""

    subscriber: SubscriberGroup | None = None
    trader: TraderGroup | None = None
    idle: IdleGroup | None = None
    churner: ChurnerGroup | None = None
    storm: StormGroup | None = None
    slow_reader: SlowReaderGroup | None = None
    never_reader: NeverReaderGroup | None = None
    dead_peer: DeadPeerGroup | None = None
    abuser: AbuserGroup | None = None
    bad_token: BadTokenGroup | None = None
    expiring: ExpiringGroup | None = None

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
