"""The stage of a run: what all virtual users of a process share."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from loadtests.connection.client import Client
from loadtests.oracles.ledger import Ledger
from loadtests.plan.division import Places
from loadtests.plan.schedule import ArrivalPlan
from loadtests.reading.push_records import PushRecord
from loadtests.reading.user_pushes import RecordedUser, record_clients
from loadtests.record.recording import Recorder
from loadtests.results import Phase
from loadtests.tokens import mint
from scenarios.schema import GATEWAY_DEEDS, Scenario

TOKEN_LIFETIME_S: Final = 23 * 3_600
"""A gateway takes tokens of at most 24 h."""


class StagedUser(RecordedUser, Protocol):
    """A virtual user as its stage and the scenario's commands see it.

    Attributes:
        client: its connection; None before the first.
        has_tried: whether it has come on, or failed to, at least once.
        has_begun: whether its session has begun.
        due_ns: intended start of its session, monotonic ns; None for an unplanned user.
        is_on: whether it holds a welcome.
    """

    client: Client | None
    has_tried: bool
    has_begun: bool
    due_ns: int | None
    is_on: bool

    def close(self) -> None:
        """Close the connection and its accounts."""

    def close_heartbeat(self, now_ns: int) -> None:
        """Judge the silence since the last heartbeat."""

    def stop_requests(self, now_ns: int) -> None:
        """Send no more requests and count those that were due and never sent."""

    def drop(self) -> None:
        """End the connection as a broken line would."""

    def come_back(self) -> None:
        """Return after a drop."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read again."""

    def hold_more(self, count: int, intended_ns: int) -> None:
        """Subscribe to ``count`` more symbols."""

    def let_go(self, intended_ns: int) -> None:
        """Unsubscribe from the symbols that commands added."""

    def request(self, event: str, payload: object = None, intended_ns: int | None = None) -> None:
        """Send a request that is expected to succeed, and time it."""


@dataclass(kw_only=True)
class Stage:
    """One run as its virtual users see it.

    Attributes:
        scenario: what is run.
        secret: the gateway's ``JWT_SECRET``; kept in memory alone.
        recorder: takes what is measured.
        t0_ns: the run's start; intended times count from it.
        ledger: one account for each user.
        places: who this process's users are.
        sessions: when each place's session is due; None when they begin as they come.
        session_count: how many places that plan is for.
        users: everyone who ever came on in this process, in order.
        end_ns: when requests ended; None while they go on.
        pushes: what becomes of the pushes that the users are sent.
    """

    scenario: Scenario
    secret: str
    recorder: Recorder
    t0_ns: int
    ledger: Ledger = field(default_factory=Ledger)
    places: Places = field(default_factory=Places)
    sessions: ArrivalPlan | None = None
    session_count: int = 0
    users: list[StagedUser] = field(default_factory=list)
    end_ns: int | None = None
    pushes: PushRecord = field(init=False)
    _welcomed: int = 0

    def __post_init__(self) -> None:
        """Make the record of pushes; an owner in a batch is a place among ``users``."""
        self.pushes = PushRecord(self.recorder, lambda owner: self.users[owner].user_id)

    def is_over(self) -> bool:
        """Return whether requests have ended."""
        return self.end_ns is not None

    def steady_ns(self) -> int | None:
        """Return when the steady phase begins; None before that is known."""
        phases = self.recorder.phases
        marks = zip(phases.phases, phases.starts_ns, strict=True)
        return next((start_ns for phase, start_ns in marks if phase is Phase.STEADY), None)

    def gateway_ordered_ns(self, after_ns: int, until_ns: int) -> int | None:
        """Return when the gateway was last told to end between two moments; None when not."""
        steady_ns = self.steady_ns()
        if steady_ns is None or not self.scenario.ends_gateway:
            return None
        ordered = [at for do in GATEWAY_DEEDS for at in self.scenario.ordered_ns(do, steady_ns)]
        return max((at_ns for at_ns in ordered if after_ns < at_ns <= until_ns), default=None)

    def enter(self, user: StagedUser) -> tuple[int, int | None]:
        """Take a user in and return its place and when its session is due, in ns.

        Its identity and address follow from the place. A user that nobody planned, such
        as one more at the web page, is due when it comes: None.
        """
        self.users.append(user)
        place, is_planned = self.places.take(user.group)
        if self.sessions is None or not is_planned or place >= self.session_count:
            return place, None
        return place, self.sessions.due_ns(place)

    def token(self, user_id: str) -> str:
        """Return a token of a user."""
        return mint(self.secret, user_id, lifetime_s=TOKEN_LIFETIME_S)

    def welcomed(self, change: int) -> None:
        """Count a user that got its welcome (1) or lost its connection (−1)."""
        self._welcomed += change
        self.recorder.clients(self._welcomed)

    def is_complete(self) -> bool:
        """Return whether everyone who was spawned has come on, or has failed to once."""
        return all(user.has_tried for user in self.users)

    def trader_ids(self) -> Sequence[str]:
        """Return the ids of the traders that are connected: who the publisher may name."""
        return [user.user_id for user in self.users if user.group == "trader" and user.is_on]

    def symbols_of(self, user_id: str, count: int) -> list[str]:
        """Return a user's symbols: drawn by popularity without replacement, the same for a seed.

        The draw is Efraimidis and Spirakis' (2006): the largest ``u ** (1 / weight)`` win.
        """
        draw = random.Random(f"{self.scenario.seed}:{user_id}:symbols")  # noqa: S311 - repeatable
        market = self.scenario.market
        keyed = [
            (draw.random() ** (1 / weight), name)
            for name, weight in zip(market.names, market.weights(), strict=True)
        ]
        return [name for _, name in sorted(keyed, reverse=True)[:count]]

    def stop_requests(self, now_ns: int) -> None:
        """End all requests: what was due by now and not sent is missed."""
        if self.end_ns is None:
            self.end_ns = now_ns
            self._count_missed_sessions(now_ns)
            for user in self.users:
                user.stop_requests(now_ns)

    def sweep(self) -> None:
        """Close every connection that a user left: Locust calls ``on_stop`` not always."""
        for user in self.users:
            if user.client is not None and not user.client.is_closed:
                user.close()

    def _count_missed_sessions(self, now_ns: int) -> None:
        for user in self.users:
            if not user.has_begun and user.due_ns is not None and user.due_ns <= now_ns:
                self.recorder.count("offered")
                self.recorder.count("missed")

    def close_pushes(self) -> None:
        """Record what each user was pushed, and what still waited for copies."""
        self.recorder.draw()
        self.pushes.close()
        record_clients(self.recorder, self.users, self.pushes.users)

    def close_oracles(self, now_ns: int) -> None:
        """Let a silent tail count as missed heartbeats."""
        for user in self.users:
            user.close_heartbeat(now_ns)
