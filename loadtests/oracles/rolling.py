"""The rolling limits, held against what a client saw of them. Pure.

The rule (contract, «Limits»): ``limit`` events accepted in any window (t − window, t]; each
connection has one of its own, all connections of a user share another, and an event that
either refuses is charged to neither. ``retryAfter`` is the time until one event would pass.

A client does not see when its event arrived, only that it was after its sending and before
its answer. So every statement here is made twice, for the earliest and for the latest
arrival that is possible, and a decision is wrong only when it is wrong for all of them; one
that is right for one arrival and wrong for another is undecidable. What the gateway accepted
is taken as it is, so one wrong decision is counted once.

Several connections overlap: an event is judged when nothing is under way any more that may
have arrived before it. Along one connection events arrive in the order in which they were
sent (contract: «events of one client are handled and answered in the order sent»).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, NamedTuple

from loadtests.results import LimitOutcome

FOREVER_NS: Final = 1 << 62
"""The latest arrival of an event that nothing bounds."""
AT_ONCE: Final = 4
"""Judgements that are made at once: a millisecond or two of work at the contract's limits."""
_ROUNDING_NS: Final = 1_000_000
"""``retryAfter`` is whole milliseconds, rounded up: it may say so much more than is true."""


class Rule(NamedTuple):
    """So many accepted events in any window of so long."""

    limit: int
    window_ns: int


@dataclass(slots=True, eq=False)
class Sent:
    """An event that was sent, and what is known of its fate.

    Attributes:
        connection: which of the user's.
        place: its place in the order of sending, over all connections.
        sent_ns: the earliest that it arrived.
        latest_ns: the latest that it arrived: its answer's read stamp, or what bounds it.
        is_accepted: the decision; None while it is unknown.
        retry_after_ns: what a refusal told, None where it told nothing.
        limit: the name that a refusal gave its limit.
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
    """What an event's decision came to.

    Attributes:
        event: it, and what the gateway decided.
        outcome: right, wrong, or undecidable.
        retry_error_ns: how far ``retryAfter`` lies outside what the rule gives for any
            arrival that is possible, 0 within; None where there was no ``retryAfter``, or the
            refusal itself was wrong.
    """

    event: Sent
    outcome: LimitOutcome
    retry_error_ns: int | None


class RateLimitOracle:
    """One user's decisions, over all of its connections, against the rule.

    Args:
        connection: what each connection has for itself.
        user: what all of them share; None where nothing is announced.
    """

    def __init__(self, connection: Rule, user: Rule | None = None) -> None:
        self._connection = connection
        self._user = user
        self._longest_ns = max(connection.window_ns, user.window_ns if user is not None else 0)
        self._sent = 0
        self._waiting: list[Sent] = []  # under way
        self._decided: list[Sent] = []  # answered, and not judged yet
        self._counted: list[Sent] = []  # what was accepted, or may have been

    @property
    def is_idle(self) -> bool:
        """Whether everything that was sent has been judged."""
        return not (self._waiting or self._decided)

    def send(self, connection: Hashable, sent_ns: int) -> Sent:
        """Take an event that leaves; events are told in the order of sending."""
        self._sent += 1
        event = Sent(connection, self._sent, sent_ns)
        self._waiting.append(event)
        return event

    def answer(
        self, event: Sent, done_ns: int, *, is_accepted: bool, retry_after_ns: int | None = None
    ) -> None:
        """Take the gateway's decision about an event, and the stamp of its answer."""
        self._waiting.remove(event)
        self._bound(event.connection, event.place, done_ns)
        event.latest_ns = done_ns
        event.is_accepted = is_accepted
        event.retry_after_ns = retry_after_ns
        if is_accepted:
            self._counted.append(event)
        self._decided.append(event)

    def give_up(self, event: Sent) -> Judgement:
        """Take an event whose answer never came: it may have been accepted, now or later.

        A later answer on its connection bounds when. Undecidable, and so it is returned.
        """
        self._waiting.remove(event)
        self._counted.append(event)
        return Judgement(event, LimitOutcome.UNDECIDABLE, None)

    def end(self, connection: Hashable, at_ns: int) -> list[Judgement]:
        """Take the end of a connection by the server: what was under way on it has no answer.

        The stamp of the end bounds when that arrived, for a connection that is over takes nothing.
        """
        unanswered = [event for event in self._waiting if event.connection == connection]
        judged = [self.give_up(event) for event in unanswered]
        self._bound(connection, self._sent + 1, at_ns)
        return judged

    def take_judged(self, at_most: int = AT_ONCE) -> list[Judgement]:
        """Return what can be judged by now, each once, in the order of sending.

        Args:
            at_most: so many; who must not be held up asks again until nothing comes.
        """
        under_way_ns = min((event.sent_ns for event in self._waiting), default=FOREVER_NS)
        ready = [event for event in self._decided if event.latest_ns < under_way_ns]
        ready.sort(key=lambda event: event.place)
        judged = [self._judge(event) for event in ready[:at_most]]
        if judged:
            done = {each.event.place for each in judged}
            self._decided = [event for event in self._decided if event.place not in done]
            self._forget()
        return judged

    def _bound(self, connection: Hashable, place: int, done_ns: int) -> None:
        """Bound what was given up before an answered event: it arrived before that, or never."""
        for event in self._counted:
            if (
                event.is_accepted is None
                and event.connection == connection
                and event.place < place
                and event.latest_ns > done_ns
            ):
                event.latest_ns = done_ns

    def _forget(self) -> None:
        """Drop what has left every window for all events that can still be judged."""
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
        """Return what each rule says of an event; plain loops, for there may be many."""
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
    """One rule at one event: what may stand in its window, and how much surely does.

    Attributes:
        rule: it.
        possible: the latest arrivals of what may stand in the window.
        sure: the earliest arrivals of what was accepted, and before the event, for certain.
        surely: how many of these stand in the window for certain.
    """

    rule: Rule
    possible: list[int]
    sure: list[int]
    surely: int

    @classmethod
    def of(cls, rule: Rule, event: Sent, before: list[Sent], sure: list[Sent]) -> _View:
        """Return a rule's view of an event after those that may, and that surely do, precede."""
        left_ns, sure_ns = event.sent_ns - rule.window_ns, event.latest_ns - rule.window_ns
        earliest = [other.sent_ns for other in sure if other.is_accepted]
        return cls(
            rule=rule,
            possible=[other.latest_ns for other in before if other.latest_ns > left_ns],
            sure=earliest,
            surely=sum(moment_ns > sure_ns for moment_ns in earliest),
        )

    def passes_from_ns(self) -> int:
        """Return the earliest moment at which one event more may pass."""
        return _nth_newest(self.sure, self.rule)

    def passes_by_ns(self) -> int:
        """Return the latest."""
        return _nth_newest(self.possible, self.rule)


def _nth_newest(moments_ns: list[int], rule: Rule) -> int:
    """Return when that leaves the window which must, before one event more passes.

    It is the ``limit``-th newest of those accepted: when it leaves, ``limit − 1`` are left.
    The n-th of lower bounds is a lower bound of the n-th, and of upper bounds an upper one.
    """
    if len(moments_ns) < rule.limit:
        return -FOREVER_NS  # this rule refuses nothing
    return sorted(moments_ns, reverse=True)[rule.limit - 1] + rule.window_ns


def _retry_error_ns(event: Sent, views: list[_View]) -> int | None:
    """Return how far a refusal's ``retryAfter`` lies outside what is possible."""
    told_ns = event.retry_after_ns
    if told_ns is None:
        return None
    # Both rules must let it pass, so the later of the two counts.
    from_ns = max(0, max(view.passes_from_ns() for view in views) - event.latest_ns)
    by_ns = max(0, max(view.passes_by_ns() for view in views) - event.sent_ns) + _ROUNDING_NS
    return max(0, from_ns - told_ns, told_ns - by_ns)
