"""The groups of virtual users of a scenario.

Well-behaved groups use the gateway as a customer would. The others break rules on purpose, and
the gateway's reaction to them is no error.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal, Protocol

DeadPeerKind = Literal["mute", "no-pong", "stalled"]
DEAD_PEER_KINDS: Final[tuple[DeadPeerKind, ...]] = ("mute", "no-pong", "stalled")
"""Neither reads nor writes; reads but answers no ping; reads nothing but writes pongs."""


ArrivalKind = Literal["constant", "poisson", "burst"]
ARRIVAL_KINDS: Final[tuple[ArrivalKind, ...]] = ("constant", "poisson", "burst")


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrivals:
    """An arrival process.

    Attributes:
        kind: at equal distances, at random, or in bursts.
        burst_size: events per burst.
    """

    kind: ArrivalKind = "constant"
    burst_size: int = 1


class Group(Protocol):
    """Any group of users."""

    @property
    def count(self) -> int:
        """The number of virtual users."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class SubscriberGroup:
    """Users that subscribe to symbols.

    Attributes:
        count: number of users.
        symbols: symbols per user, drawn by popularity without replacement.
    """

    count: int
    symbols: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TraderGroup:
    """Users that subscribe to the trading channel and to symbols, and send requests.

    Attributes:
        count: number of users.
        symbols: symbols per user, drawn by popularity without replacement.
        request_every_s: mean time between two requests of a user, independent of the answers.
        arrivals: how the requests are spread.
    """

    count: int
    symbols: int
    request_every_s: float
    arrivals: Arrivals


@dataclass(frozen=True, kw_only=True, slots=True)
class IdleGroup:
    """Users that connect and do nothing until a command.

    Attributes:
        count: number of users.
    """

    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ChurnerGroup:
    """Users that subscribe, leave, and return.

    Attributes:
        count: number of users.
        symbols: symbols per user, drawn by popularity without replacement.
        stay_s: mean time from joining to leaving.
    """

    count: int
    symbols: int
    stay_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class StormGroup:
    """Users that subscribe, and drop and return together on command.

    Attributes:
        count: number of users.
        symbols: symbols per user, drawn by popularity without replacement.
    """

    count: int
    symbols: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowReaderGroup:
    """Users that subscribe and read slowly.

    Attributes:
        count: number of users.
        symbols: symbols per user, drawn by popularity without replacement.
        bytes_per_second: the most that a user reads.
        receive_buffer_bytes: ``SO_RCVBUF``, which the kernel doubles.
    """

    count: int
    symbols: int
    bytes_per_second: int
    receive_buffer_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NeverReaderGroup:
    """Users that subscribe and then stop reading.

    Attributes:
        count: number of users.
        symbols: symbols per user, drawn by popularity without replacement.
        receive_buffer_bytes: ``SO_RCVBUF``, which the kernel doubles.
    """

    count: int
    symbols: int
    receive_buffer_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadPeerGroup:
    """Users that play dead.

    Attributes:
        count: number of users.
        kinds: of death, assigned to the users in turn.
        dies_after_s: from the welcome.
    """

    count: int
    kinds: tuple[DeadPeerKind, ...]
    dies_after_s: float

    def kind(self, number: int) -> DeadPeerKind:
        """Return the kind of user ``number``, from 0."""
        return self.kinds[number % len(self.kinds)]


@dataclass(frozen=True, kw_only=True, slots=True)
class AbuserGroup:
    """Users that send ``burst`` requests at once after the welcome, then one per second.

    Attributes:
        count: number of users.
        burst: requests at once, over all connections of a user.
        connections: connections per user.
        reconnects: how often a user reconnects, to see whether that resets the limit.
        edge: after the burst, send just before and just after each ``retryAfter`` instead.
    """

    count: int
    burst: int
    connections: int = 1
    reconnects: int = 0
    edge: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class BadTokenGroup:
    """Users that try tokens that the contract refuses.

    Attributes:
        count: number of users.
        every_s: time between two attempts, each with another kind of token.
    """

    count: int
    every_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpiringGroup:
    """Users with a token that expires.

    Attributes:
        count: number of users.
        lifetime_s: from joining to disconnection: ``exp`` and leeway together.
        refreshing: share of users that refresh in time and stay, 0 to 1.
    """

    count: int
    lifetime_s: float
    refreshing: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Users:
    """All groups; one that the scenario does not name is None."""

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
        """Return the groups of the scenario by name, in order of declaration."""
        held = {name: getattr(self, name) for name in GROUPS}
        return {name: group for name, group in held.items() if group is not None}

    def symbols(self) -> dict[str, int]:
        """Return the symbols per user of each group that has some."""
        held = {name: getattr(group, "symbols", 0) for name, group in self.named().items()}
        return {name: symbols for name, symbols in held.items() if symbols}

    @property
    def total(self) -> int:
        """The number of all virtual users."""
        return sum(group.count for group in self.named().values())


GROUPS: Final = tuple(field.name for field in fields(Users))
"""Every group that a scenario may name."""
