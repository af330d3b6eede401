"""``RunContext``: what all virtual users of one process share during a run."""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from gateway.contract import TOKEN_LEEWAY_SECONDS
from loadtests.connection.client import Client
from loadtests.oracles.ledger import Ledger
from loadtests.oracles.public_forms import PublicForms
from loadtests.plan.division import Division, Places
from loadtests.plan.messages import Assignment
from loadtests.plan.schedule import ArrivalPlan, plan_of
from loadtests.plan.turns import Turns
from loadtests.reading.push_records import PushRecord
from loadtests.reading.user_pushes import RecordedUser, record_clients
from loadtests.record.recording import Recorder
from loadtests.results import Event, Phase
from loadtests.tokens import Tokens
from scenarios.schema import GATEWAY_DEEDS, Scenario


class RunUser(RecordedUser, Protocol):
    """A virtual user as the run context sees it.

    Attributes:
        client: its connection; None before the first.
        has_tried: whether it has connected, or failed to, at least once.
        has_begun: whether its session has begun.
        due_ns: intended start of its session, monotonic ns; None for an unplanned user.
        is_on: whether it is connected and has received its welcome.
    """

    client: Client | None
    has_tried: bool
    has_begun: bool
    due_ns: int | None
    is_on: bool

    def missing_snapshots(self) -> Sequence[str]:
        """Return the streams of which neither a snapshot nor a later event has come."""

    @property
    def may_own(self) -> bool:
        """Whether the publisher may name it as the owner of private events."""

    def close(self) -> None:
        """Close the connection and its accounts."""

    def close_oracles(self, now_ns: int) -> None:
        """Judge what has not come by the end of the run."""

    def stop_requests(self, now_ns: int) -> None:
        """Send no more requests and count those that were due and never sent."""


@dataclass(kw_only=True)
class RunContext:
    """One run as the virtual users of this process see it.

    Attributes:
        scenario: the scenario of the run.
        tokens: gives each user its identity and its token.
        recorder: records all measurements.
        ledger: one account for each user.
        places: gives each user of this process its place in the run.
        sessions: when each place's session is due; None when sessions begin as users are spawned.
        session_count: how many places ``sessions`` plans.
        turns: the only slices in which requests are due; None for all the time.
        users: every user that was ever spawned in this process, in order.
        urls: of the gateway's nodes.
        nodes_of_users: the place of each user's node, in the order of ``users``; empty where there
            is one node.
        end_ns: when requests ended, monotonic; None while they continue.
        public_forms: compares the public form of events with what their owners were told.
        pushes: records the pushes that the users receive.
    """

    scenario: Scenario
    tokens: Tokens
    recorder: Recorder
    ledger: Ledger = field(init=False)
    places: Places = field(default_factory=Places)
    sessions: ArrivalPlan | None = None
    session_count: int = 0
    turns: Turns | None = None
    users: list[RunUser] = field(default_factory=list)
    urls: Sequence[str] = ()
    nodes_of_users: array[int] = field(default_factory=lambda: array("B"))
    end_ns: int | None = None
    public_forms: PublicForms = field(default_factory=PublicForms)
    pushes: PushRecord = field(init=False)
    _welcomed: int = 0
    _is_lost: bool = False

    @classmethod
    def of(
        cls,
        assignment: Assignment,
        scenario: Scenario,
        division: Division,
        *,
        recorder: Recorder,
        tokens: Tokens,
        shift_ns: int = 0,
    ) -> Self:
        """Return the context of this process in a run that was divided among processes.

        Args:
            assignment: the run, with times by the master's clock.
            scenario: the scenario of the run.
            division: which users this process has.
            recorder: records all measurements.
            tokens: gives each user its identity and its token.
            shift_ns: added to the master's times to get this process's.
        """
        sessions = plan_of(
            scenario.phases.arrivals,
            first_ns=assignment.session_first_ns + shift_ns,
            rate_per_s=assignment.session_rate,
            seed=f"{scenario.seed}:sessions",
        )
        return cls(
            scenario=scenario,
            tokens=tokens,
            recorder=recorder,
            places=Places(division),
            sessions=sessions,
            session_count=assignment.session_count,
            turns=None if assignment.turn is None else Turns(assignment.turn),
            urls=tuple(assignment.urls),
        )

    def __post_init__(self) -> None:
        """Make the ledger and the record of pushes, whose owners are indices into ``users``."""
        self.ledger = Ledger(is_sourced=self.scenario.has_market_source)
        self.pushes = PushRecord(
            self.recorder, lambda owner: self.users[owner].user_id, nodes=self.nodes_of_users
        )

    def last_session_ns(self) -> int:
        """Return when the last planned session is due, monotonic; 0 when none is planned."""
        if self.sessions is None:
            return 0
        return self.sessions.due_ns(max(0, self.session_count - 1))

    def is_over(self) -> bool:
        """Return whether requests have ended."""
        return self.end_ns is not None

    def steady_ns(self) -> int | None:
        """Return when the steady phase begins; None before that is known."""
        return self.recorder.phases.start_ns(Phase.STEADY)

    @property
    def has_nodes(self) -> bool:
        """Whether there are several nodes."""
        return len(self.urls) > 1

    def gateway_ordered_ns(self, after_ns: int, until_ns: int, node: int = 0) -> int | None:
        """Return when a command last ended a node between two moments; None when none did.

        Args:
            after_ns: the first moment, monotonic.
            until_ns: the second.
            node: place of the node, from 0.
        """
        steady_ns = self.steady_ns()
        if steady_ns is None or not self.scenario.ends_gateway:
            return None
        find = self.scenario.ordered_ns
        ordered = [at for do in GATEWAY_DEEDS for at in find(do, steady_ns, node + 1)]
        return max((at_ns for at_ns in ordered if after_ns < at_ns <= until_ns), default=None)

    def enter(self, user: RunUser) -> tuple[int, int | None]:
        """Add a user. Returns its place and when its session is due, monotonic ns.

        Its identity and address follow from the place. An unplanned user, such as one added at
        the web page, is due when it is spawned: None.
        """
        self.users.append(user)
        place, is_planned = self.places.take(user.group)
        if self.sessions is None or not is_planned or place >= self.session_count:
            return place, None
        return place, self.sessions.due_ns(place)

    def gateway_setting(self, name: str, default: float) -> float:
        """Return a number that the scenario sets for its gateway, or the contract's default."""
        return float(self.scenario.gateway.get(name, default))

    def token_leeway_s(self) -> int:
        """Return how far clocks may differ for ``exp``, ``nbf`` and ``iat``, in whole seconds."""
        return int(self.gateway_setting("GATEWAY_TOKEN_LEEWAY_SECONDS", TOKEN_LEEWAY_SECONDS))

    @property
    def secret(self) -> str:
        """The gateway's ``JWT_SECRET``, for behaviours that sign tokens of their own.

        Raises:
            RuntimeError: others issue the tokens; such behaviours are refused before a run.
        """
        if self.tokens.secret is None:
            raise RuntimeError("the run has no secret to sign tokens with")
        return self.tokens.secret

    def welcomed(self, change: int) -> None:
        """Count a user that received its welcome (1) or lost its connection (−1)."""
        self._welcomed += change
        self.recorder.clients(self._welcomed)

    def lose(self, problem: str) -> None:
        """Record once that this process cannot generate the load: no figure can be trusted."""
        if not self._is_lost:
            self._is_lost = True
            now_ns = time.monotonic_ns()
            self.recorder.event(Event.LOST_PROCESS, at_ns=now_ns, detail=problem)

    def is_complete(self) -> bool:
        """Return whether every user has connected, or has failed to at least once."""
        return all(user.has_tried for user in self.users)

    def owner_ids(self) -> Sequence[str]:
        """Return the ids of the users that the publisher may name as owners of private events."""
        return [user.user_id for user in self.users if user.may_own]

    def symbols_of(self, user_id: str, count: int) -> list[str]:
        """Return a user's symbols: drawn by popularity without replacement, the same for a seed.

        The draw follows Efraimidis and Spirakis (2006): the largest ``u ** (1 / weight)`` win.
        """
        draw = random.Random(f"{self.scenario.seed}:{user_id}:symbols")  # noqa: S311 - repeatable
        market = self.scenario.market
        keyed = [
            (draw.random() ** (1 / weight), name)
            for name, weight in zip(market.names, market.weights(), strict=True)
        ]
        return [name for _, name in sorted(keyed, reverse=True)[:count]]

    def stop_requests(self, now_ns: int) -> None:
        """End all requests. Requests and sessions that were due and not sent count as missed."""
        if self.end_ns is None:
            self.end_ns = now_ns
            self._count_missed_sessions(now_ns)
            for user in self.users:
                user.stop_requests(now_ns)

    def sweep(self) -> None:
        """Close every connection that is still open: Locust does not always call ``on_stop``."""
        for user in self.users:
            if user.client is not None and not user.client.is_closed:
                user.close()

    def _count_missed_sessions(self, now_ns: int) -> None:
        for user in self.users:
            if not user.has_begun and user.due_ns is not None and user.due_ns <= now_ns:
                self.recorder.count("offered")
                self.recorder.count("missed")

    def has_all(self, last_numbers: Mapping[str, int]) -> bool:
        """Return whether every user has what it is owed, snapshots included.

        Args:
            last_numbers: the last number of every stream.
        """
        if not self.ledger.owes_nothing(last_numbers):
            return False
        return not any(user.is_on and user.missing_snapshots() for user in self.users)

    def close_pushes(self) -> None:
        """Record the pushes of each user, and publications that still waited for copies."""
        self.recorder.draw()
        self.pushes.close()
        record_clients(self.recorder, self.users, self.pushes.users)

    def close_oracles(self, now_ns: int) -> None:
        """Count what is missing at the end of the run."""
        for user in self.users:
            user.close_oracles(now_ns)
