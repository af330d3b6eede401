"""Check the gateway's rate-limit decisions against the rule, as far as a client can. Pure.

The rule (contract, «Limits»): at most ``limit`` accepted events in any window (t − window, t].
Each connection has a window of its own, and all connections of a user share another. An event
that one window refuses counts in neither. ``retryAfter`` is the time until one event passes.

A client does not know when its event arrived, only that it arrived after it was sent and
before it was answered. The oracle therefore checks each decision for the earliest and for the
latest possible arrival. A decision is wrong only when it is wrong for both, and undecidable
when it is right for one and wrong for the other. An accepted event counts as accepted even
when that was wrong, so one wrong decision is counted once.

Several connections overlap. The oracle judges an event when no event that may have arrived
before it is still unanswered. On one connection, events arrive in the order in which they were
sent (contract: «events of one client are handled and answered in the order sent»).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, NamedTuple

from loadtests.results import LimitOutcome

FOREVER_NS: Final = 1 << 62
"""Latest arrival of an event that nothing bounds, ns."""
AT_ONCE: Final = 4
"""Judgements in one call: a millisecond or two of work at the contract's limits."""
_ROUNDING_NS: Final = 1_000_000
"""``retryAfter`` is rounded up to whole milliseconds, so it may be this much too long."""


class Rule(NamedTuple):
    """At most ``limit`` accepted events in any window of ``window_ns``."""

    limit: int
    window_ns: int


@dataclass(slots=True, eq=False)
class Sent:
    """An event that was sent, and what is known of its decision.

    Attributes:
        connection: the user's connection that sent it.
        place: its place in the order of sending, over all connections.
        sent_ns: the earliest possible arrival, monotonic ns.
        latest_ns: the latest possible arrival, monotonic ns: the read stamp of its answer, or of
            a later answer or end on its connection.
        is_accepted: the decision; None while it is unknown.
        retry_after_ns: ``retryAfter`` of a refusal, ns; None without one.
        limit: name of the limit that refused it.
    """

    connection: Hashable
    place: int
    sent_ns: int
    latest_ns: int = FOREVER_NS
    is_accepted: bool | None = None
    retry_after_ns: int | None = None
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judgement of one decision.

    Attributes:
        event: the event, with the gateway's decision.
        outcome: right, wrong, or undecidable.
        retry_error_ns: distance of ``retryAfter`` from the range that the rule gives over all
            possible arrivals, ns; 0 within the range. None without ``retryAfter`` or when the
            refusal itself was wrong.
    """

    event: Sent
    outcome: LimitOutcome
    retry_error_ns: int | None


class RateLimitOracle:
    """Judges the decisions on one user's events, over all of its connections.

    Args:
        connection: the limit of each connection.
        user: the limit that all connections share; None when the gateway announces none.
    """

    def __init__(self, connection: Rule, user: Rule | None = None) -> None:
        self._connection = connection
        self._user = user
        self._longest_ns = max(connection.window_ns, user.window_ns if user is not None else 0)
        self._sent = 0
        self._waiting: list[Sent] = []  # not answered yet
        self._decided: list[Sent] = []  # answered, and not judged yet
        self._counted: list[Sent] = []  # accepted, or possibly accepted

    @property
    def is_idle(self) -> bool:
        """Whether every sent event has been judged."""
        return not (self._waiting or self._decided)

    def send(self, connection: Hashable, sent_ns: int) -> Sent:
        """Return a new event. Call this in the order of sending."""
        self._sent += 1
        event = Sent(connection, self._sent, sent_ns)
        self._waiting.append(event)
        return event

    def answer(
        self, event: Sent, done_ns: int, *, is_accepted: bool, retry_after_ns: int | None = None
    ) -> None:
        """Take the gateway's decision about an event.

        Args:
            event: the event.
            done_ns: read stamp of its answer, monotonic ns.
            is_accepted: the decision.
            retry_after_ns: ``retryAfter`` of a refusal, ns; None without one.
        """
        self._waiting.remove(event)
        self._bound(event.connection, event.place, done_ns)
        event.latest_ns = done_ns
        event.is_accepted = is_accepted
        event.retry_after_ns = retry_after_ns
        if is_accepted:
            self._counted.append(event)
        self._decided.append(event)

    def give_up(self, event: Sent) -> Judgement:
        """Take an event whose answer never arrived, and return it as undecidable.

        The gateway may have accepted it or may accept it later. A later answer on its
        connection bounds its arrival.
        """
        self._waiting.remove(event)
        self._counted.append(event)
        return Judgement(event, LimitOutcome.UNDECIDABLE, None)

    def end(self, connection: Hashable, at_ns: int) -> list[Judgement]:
        """Take the end of a connection by the server; its unanswered events are undecidable.

        A closed connection accepts nothing, so the stamp of the end (monotonic ns) bounds the
        arrival of these events.
        """
        unanswered = [event for event in self._waiting if event.connection == connection]
        judged = [self.give_up(event) for event in unanswered]
        self._bound(connection, self._sent + 1, at_ns)
        return judged

    def take_judged(self) -> list[Judgement]:
        """Return judgements that are possible by now, each once, in the order of sending.

        They are ``AT_ONCE`` at most, because a caller must not block for long: it asks again until
        the list is empty.
        """
        under_way_ns = min((event.sent_ns for event in self._waiting), default=FOREVER_NS)
        ready = [event for event in self._decided if event.latest_ns < under_way_ns]
        ready.sort(key=lambda event: event.place)
        judged = [self._judge(event) for event in ready[:AT_ONCE]]
        if judged:
            done = {each.event.place for each in judged}
            self._decided = [event for event in self._decided if event.place not in done]
            self._forget()
        return judged

    def _bound(self, connection: Hashable, place: int, done_ns: int) -> None:
        """Bound given-up events sent before an answered one: they arrived before it, or never."""
        for event in self._counted:
            if (
                event.is_accepted is None
                and event.connection == connection
                and event.place < place
                and event.latest_ns > done_ns
            ):
                event.latest_ns = done_ns

    def _forget(self) -> None:
        """Drop events that are outside every window of all events still to be judged."""
        oldest_ns = min(
            (event.sent_ns for event in (*self._waiting, *self._decided)),
            default=max(
                (event.latest_ns for event in self._counted if event.is_accepted), default=0
            ),
        )
        past_ns = oldest_ns - self._longest_ns
        self._counted = [event for event in self._counted if event.latest_ns > past_ns]

    def _judge(self, event: Sent) -> Judgement:
        views = self._views(event)
        may_pass = all(len(view.possible) < view.rule.limit for view in views)
        must_fail = any(view.surely >= view.rule.limit for view in views)
        if event.is_accepted:
            wrong = LimitOutcome.FALSE_ACCEPT if must_fail else LimitOutcome.UNDECIDABLE
            return Judgement(event, LimitOutcome.ACCEPTED if may_pass else wrong, None)
        if may_pass:
            return Judgement(event, LimitOutcome.FALSE_REFUSAL, None)
        outcome = LimitOutcome.REFUSED if must_fail else LimitOutcome.UNDECIDABLE
        return Judgement(event, outcome, _retry_error_ns(event, views))

    def _views(self, event: Sent) -> list[_View]:
        """Return the view of each rule on an event. Plain loops, because events may be many."""
        own = [
            other
            for other in self._counted
            if other.connection == event.connection and other.place < event.place
        ]
        views = [_View.of(self._connection, event, own, own)]
        if self._user is not None:
            others = [
                other
                for other in self._counted
                if other.sent_ns <= event.latest_ns and other.connection != event.connection
            ]
            sure = [other for other in others if other.latest_ns < event.sent_ns]
            views.append(_View.of(self._user, event, own + others, own + sure))
        return views


@dataclass(frozen=True, slots=True)
class _View:
    """The window of one rule at one event: its possible and its certain content.

    Attributes:
        rule: the rule.
        possible: latest arrivals of the events that may be in the window, ns.
        sure: earliest arrivals of the events that were certainly accepted and certainly
            arrived before, ns.
        surely: how many of the latter are certainly in the window.
    """

    rule: Rule
    possible: list[int]
    sure: list[int]
    surely: int

    @classmethod
    def of(cls, rule: Rule, event: Sent, before: list[Sent], sure: list[Sent]) -> _View:
        """Return a rule's view of an event.

        Args:
            rule: the rule.
            event: the event to judge.
            before: events that may have arrived before it.
            sure: those of them that certainly did.
        """
        left_ns, sure_ns = event.sent_ns - rule.window_ns, event.latest_ns - rule.window_ns
        earliest = [other.sent_ns for other in sure if other.is_accepted]
        return cls(
            rule=rule,
            possible=[other.latest_ns for other in before if other.latest_ns > left_ns],
            sure=earliest,
            surely=sum(moment_ns > sure_ns for moment_ns in earliest),
        )

    def passes_from_ns(self) -> int:
        """Return a lower bound (ns) of the moment from which one more event passes."""
        return _nth_newest(self.sure, self.rule)

    def passes_by_ns(self) -> int:
        """Return an upper bound (ns) of the same moment."""
        return _nth_newest(self.possible, self.rule)


def _nth_newest(moments_ns: list[int], rule: Rule) -> int:
    """Return the moment (ns) at which the window has room for one more event.

    The ``limit``-th newest accepted event must leave it; then ``limit − 1`` are left. The n-th
    of lower bounds is a lower bound of the n-th value, and the same holds for upper bounds.
    """
    if len(moments_ns) < rule.limit:
        return -FOREVER_NS  # this rule refuses nothing
    return sorted(moments_ns, reverse=True)[rule.limit - 1] + rule.window_ns


def _retry_error_ns(event: Sent, views: list[_View]) -> int | None:
    """Return the distance (ns) of a refusal's ``retryAfter`` from the possible range."""
    told_ns = event.retry_after_ns
    if told_ns is None:
        return None
    # Both rules must let the event pass, so the later of the two moments counts.
    from_ns = max(0, max(view.passes_from_ns() for view in views) - event.latest_ns)
    by_ns = max(0, max(view.passes_by_ns() for view in views) - event.sent_ns) + _ROUNDING_NS
    return max(0, from_ns - told_ns, told_ns - by_ns)
