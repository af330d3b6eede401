"""The groups of virtual users that a scenario may name: frozen records, units in their names.

The well-behaved ones use the gateway as a customer would. The others ask for trouble on
purpose, and what they meet is no error.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal, Protocol

from scenarios.arrivals import Arrivals

DeadPeerKind = Literal["mute", "no-pong", "stalled"]
DEAD_PEER_KINDS: Final[tuple[DeadPeerKind, ...]] = ("mute", "no-pong", "stalled")
"""Neither reads nor writes; reads and answers no ping; reads nothing and still writes pongs."""


class Group(Protocol):
    """Any group."""

    @property
    def count(self) -> int:
        """How many virtual users it has."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class SubscriberGroup:
    """Users that listen to some symbols each.

    Attributes:
        count: how many there are.
        symbols: that each holds, drawn by popularity without replacement.
    """

    count: int
    symbols: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TraderGroup:
    """Users in the trading channel with symbols, that ask something now and then.

    Attributes:
        count: how many there are.
        symbols: that each holds, drawn by popularity without replacement.
        request_every_s: mean time between two requests of one user, which are due whatever
            the answers do.
        arrivals: how its requests are spread.
    """

    count: int
    symbols: int
    request_every_s: float
    arrivals: Arrivals


@dataclass(frozen=True, kw_only=True, slots=True)
class IdleGroup:
    """Users that connect and do nothing at all, until a command asks something of them.

    Attributes:
        count: how many there are.
    """

    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ChurnerGroup:
    """Users that listen, leave, and return.

    Attributes:
        count: how many there are.
        symbols: that each holds, drawn by popularity without replacement.
        stay_s: mean time from coming to leaving.
    """

    count: int
    symbols: int
    stay_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class StormGroup:
    """Users that listen, and drop and return together, on command.

    Attributes:
        count: how many there are.
        symbols: that each holds, drawn by popularity without replacement.
    """

    count: int
    symbols: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowReaderGroup:
    """Users that listen and read slowly.

    Attributes:
        count: how many there are.
        symbols: that each holds, drawn by popularity without replacement.
        bytes_per_second: the most that one reads.
        receive_buffer_bytes: asked of the kernel (``SO_RCVBUF``, which doubles it).
    """

    count: int
    symbols: int
    bytes_per_second: int
    receive_buffer_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NeverReaderGroup:
    """Users that subscribe and read nothing from then on.

    Attributes:
        count: how many there are.
        symbols: that each holds, drawn by popularity without replacement.
        receive_buffer_bytes: asked of the kernel (``SO_RCVBUF``, which doubles it).
    """

    count: int
    symbols: int
    receive_buffer_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadPeerGroup:
    """Users that play dead.

    Attributes:
        count: how many there are.
        kinds: of death, dealt to the members in turn.
        dies_after_s: from the welcome on.
    """

    count: int
    kinds: tuple[DeadPeerKind, ...]
    dies_after_s: float

    def kind(self, number: int) -> DeadPeerKind:
        """Return the kind of the group's member ``number``, from 0."""
        return self.kinds[number % len(self.kinds)]


@dataclass(frozen=True, kw_only=True, slots=True)
class AbuserGroup:
    """Users that send ``burst`` requests at once after the welcome, then one each second.

    Attributes:
        count: how many there are.
        burst: requests at once, over all its connections together.
        connections: how many connections of the one user each of them holds.
        reconnects: how often it comes back to see whether that resets the limit.
        edge: after the burst it sends just before and just after each ``retryAfter`` instead.
    """

    count: int
    burst: int
    connections: int = 1
    reconnects: int = 0
    edge: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class BadTokenGroup:
    """Users that try a token which the contract refuses.

    Attributes:
        count: how many there are.
        every_s: time between two tries, of another kind each.
    """

    count: int
    every_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpiringGroup:
    """Users whose connection the gateway must end.

    Attributes:
        count: how many there are.
        lifetime_s: from their coming to their end: ``exp`` and leeway together.
        refreshing: share of them that refreshes in time and stays, 0 to 1.
    """

    count: int
    lifetime_s: float
    refreshing: float


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


GROUPS: Final = tuple(field.name for field in fields(Users))
"""Every group that a scenario may name."""
