"""The virtual user that sends more than the rate limit allows, and judges each answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

import gevent
from locust.env import Environment

from gateway.contract import ClientEvent, ErrorCode, LimitName
from loadtests.behaviours.judged_user import refusal_of
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.connection.calls import Call, Reply
from loadtests.connection.client import Client
from loadtests.connection.plain_connection import PlainConnection
from loadtests.errors import ConnectionClosed, NotConnected, TimedOut
from loadtests.oracles.rolling import Judgement, RateLimitOracle, Rule, Sent
from loadtests.plan.preflight import event_limit
from loadtests.results import Event, Series
from scenarios.groups import AbuserGroup

_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000
MARGIN_NS: Final = 100 * _NS_PER_MS
""""Just before" is this long before ``retryAfter`` is over. Later than half of it is too late."""
LEAST_WAIT_NS: Final = 50 * _NS_PER_MS
"""The shortest wait after a second refusal in a row: ``retryAfter`` may be 0 each time."""
NO_LIMIT: Final = Rule(1 << 30, _NS_PER_S)
"""Stands for the limit of a gateway that announces none."""


class _Way(NamedTuple):
    """One connection of the user, with a number of its own."""

    number: int
    client: Client

    def key(self, *, is_ping: bool) -> str:
        """Return its name in an oracle and in the results."""
        return f"connection {self.number}" + (", pings" if is_ping else "")


class _Asked(NamedTuple):
    """A request under way, and the oracle that judges it."""

    way: _Way
    call: Call
    event: Sent
    oracle: RateLimitOracle


class Abuser(VirtualUser):
    """Sends a burst over all its connections, reconnects and repeats it, then keeps sending.

    After that it sends one event a second, over its connections in turn. With ``edge`` it sends
    one event just before and one just after each ``retryAfter``, another burst after each
    event that was accepted again, and more pings than their own limit allows. None of them
    enters ``ack``. The rolling windows of the connection and of the user judge every decision,
    which is recorded as a ``limit`` event. The user's window outlives its connections.
    """

    group = "abuser"
    is_well_behaved: ClassVar[bool] = False
    has_fixed_count = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._settings = self.run_context.scenario.users.of(AbuserGroup)
        self._extras = [
            PlainConnection(str(self.host), self.source_address(), self.tls)
            for _ in range(self._settings.connections - 1)
        ]
        self._ways: list[_Way] = []
        self._number = 0
        self._oracle = RateLimitOracle(NO_LIMIT)
        self._pings = RateLimitOracle(NO_LIMIT)
        self._returns = 0
        self._is_returning = False
        self._burst_ns = 0
        self._refused: tuple[_Way, Sent] | None = None
        self._was_accepted_since = False  # whether an event of its own was accepted since then

    def behave(self) -> bool:
        """Send the burst, reconnect as often as the scenario says, then keep sending."""
        self._open_ways()
        self._burst()
        if self._returns < self._settings.reconnects:
            self._returns += 1
            self._is_returning = True
            return True
        if self._settings.edge:
            self._send_at_the_edge()
        else:
            self._send_each_second()
        return super().behave()

    def close(self) -> None:
        """Close every connection. The extra ones stay open while the user only reconnects."""
        if not self._is_returning:
            for extra in self._extras:
                extra.client.close()
        super().close()

    def _open_ways(self) -> None:
        """Give the new connection a number, and open the extra ones that are closed."""
        self._is_returning = False
        if not self._number:
            self._oracle = self._oracle_of(LimitName.CONNECTION, LimitName.USER)
            self._pings = self._oracle_of(LimitName.PING)
        client = self._require()
        others = [way for way in self._ways[1:] if way.client.is_connected]
        for extra in self._extras:
            if not extra.client.is_connected:
                extra.connect(self.token())
                others.append(self._new_way(extra.client))
        self._ways = [self._new_way(client), *others]

    def _new_way(self, client: Client) -> _Way:
        self._number += 1
        return _Way(self._number - 1, client)

    def _oracle_of(self, own: LimitName, shared: LimitName | None = None) -> RateLimitOracle:
        """Return an oracle of the announced limit. Without one, every refusal is wrong."""
        rule = event_limit(self.welcome, own)
        if rule is None:
            self.note_error("no limit announced", f"the welcome lists no {own} limit")
            return RateLimitOracle(NO_LIMIT)
        users = None if shared is None else event_limit(self.welcome, shared)
        return RateLimitOracle(Rule(*rule), None if users is None else Rule(*users))

    def _burst(self) -> None:
        """Send a burst at once over all connections, and try the pings' own limit."""
        self._refused = None
        begun_ns = time.monotonic_ns()
        ways, count = self._ways, self._settings.burst
        self._ask_all([(ways[place % len(ways)], False) for place in range(count)])
        self._burst_ns = time.monotonic_ns() - begun_ns
        rule = event_limit(self.welcome, LimitName.PING)
        if self._settings.edge and rule is not None:
            self._ask_all([(ways[0], True)] * (rule[0] + 2))

    def _ask_all(self, wanted: Sequence[tuple[_Way, bool]]) -> None:
        """Send over each given connection, a ping or not, and judge the answers.

        Raises:
            ConnectionClosed: the user's own connection ended. Extra ones are skipped.
        """
        asked: list[_Asked] = []
        try:
            for way, is_ping in wanted:
                if way is self._ways[0] or way.client.is_connected:
                    asked.append(self._send(way, is_ping=is_ping))
        finally:
            self._judge_all(asked)

    def _send_each_second(self) -> None:
        first_ns, number = time.monotonic_ns(), 0
        while not self.run_context.is_over():
            number += 1
            self._wait_until(first_ns + number * _NS_PER_S)
            if not self.run_context.is_over():
                self._ask_all([(self._ways[number % len(self._ways)], False)])

    def _send_at_the_edge(self) -> None:
        """Send just before and just after each ``retryAfter``, on the connection it was for."""
        while not self.run_context.is_over() and self._refused is not None:
            way, refused = self._refused
            # ``retryAfter`` is rounded up to whole ms: the event may pass that much earlier.
            early_ns = refused.sent_ns + (refused.retry_after_ns or 0) - _NS_PER_MS - MARGIN_NS
            refused = self._ask_at(way, early_ns, early_ns + MARGIN_NS // 2) or refused
            if refused.is_accepted:  # the oracle has judged it
                self._burst_again(refused.latest_ns)
                continue
            is_spoilt = self._was_accepted_since
            answered = self._ask_at(way, refused.latest_ns + (refused.retry_after_ns or 0))
            if answered is not None:
                self._note_retry(answered, is_spoilt=is_spoilt)
        self._send_each_second()

    def _burst_again(self, now_ns: int) -> None:
        """Send the next burst once the last one has certainly left its windows.

        A window's edge is as wide as its burst was long. Within it, decisions depend on arrival
        times that cannot be seen from here.
        """
        self._wait_until(now_ns + self._burst_ns)
        if not self.run_context.is_over():
            self._burst()

    def _note_retry(self, answered: Sent, *, is_spoilt: bool) -> None:
        """Record a request that honoured its ``retryAfter``, and continue from its outcome.

        Where another request was accepted after the refusal, that one took the place. A second
        refusal then says nothing about ``retryAfter``.
        """
        outcome = "accepted" if answered.is_accepted else "refused"
        at_ns = answered.latest_ns
        if answered.is_accepted or not is_spoilt:
            self.note(Event.RETRY, at_ns, outcome, sent_ns=answered.sent_ns, detail=answered.limit)
        if answered.is_accepted:
            self._burst_again(at_ns)
        else:
            self._wait_until(at_ns + LEAST_WAIT_NS)

    def _ask_at(self, way: _Way, due_ns: int, until_ns: int | None = None) -> Sent | None:
        """Send once when it is due.

        Returns:
            None when no answer came, requests had ended, or ``until_ns`` was over.
        """
        self._wait_until(due_ns)
        is_late = until_ns is not None and time.monotonic_ns() > until_ns
        if is_late or self.run_context.is_over():
            return None
        asked = self._send(way)
        self._judge_all([asked])
        return None if asked.event.is_accepted is None else asked.event

    def _send(self, way: _Way, *, is_ping: bool = False) -> _Asked:
        oracle = self._pings if is_ping else self._oracle
        name = ClientEvent.PING if is_ping else ClientEvent.GET_SUBSCRIPTIONS
        self._recorder.count("offered")
        try:
            call = way.client.begin_call(name)
        except NotConnected as error:
            raise ConnectionClosed(str(error)) from error
        self._recorder.count("sent")
        return _Asked(way, call, oracle.send(way.key(is_ping=is_ping), call.sent_ns), oracle)

    def _judge_all(self, asked: Sequence[_Asked]) -> None:
        """Wait for every answer, and record all that can be judged.

        Raises:
            ConnectionClosed: the user's own connection ended. An extra one is closed.
        """
        ended: ConnectionClosed | None = None
        for each in asked:
            try:
                reply = each.call.wait(self.call_timeout_s)
            except TimedOut as error:
                self.note_error("TimedOut", str(error))
                self._note_judged(each.oracle.give_up(each.event))
                self._was_accepted_since = True  # unknown, so assume it
            except ConnectionClosed as error:
                # Answers come in order: later requests on this connection have none either.
                self._end_way(each.way, time.monotonic_ns())
                if each.way is self._ways[0]:
                    ended = error
            else:
                self._take_answer(each, reply)
        for oracle in (self._oracle, self._pings):
            while ready := oracle.take_judged():
                for judged in ready:
                    self._note_judged(judged)
                gevent.sleep(0)  # a burst's judgements must not delay reads
        if ended is not None:
            raise ended

    def _take_answer(self, asked: _Asked, reply: Reply) -> None:
        self.judge_answer(asked.call.event, None, reply)
        refusal = refusal_of(reply) or {}
        code = refusal.get("code")
        is_refused = code == ErrorCode.RATE_LIMIT_EXCEEDED
        if refusal and not is_refused:
            self.note_error(str(code), str(refusal.get("message")))
        told_ms = refusal.get("retryAfter") if is_refused else None
        if is_refused and not isinstance(told_ms, int | float):
            self.note_error("no retryAfter", "a refusal does not say when to retry")
            told_ms = None
        asked.event.limit = str(refusal.get("limit", "")) if is_refused else ""
        asked.oracle.answer(
            asked.event,
            reply.done_ns,
            is_accepted=not is_refused,
            retry_after_ns=None if told_ms is None else round(told_ms * _NS_PER_MS),
        )
        if asked.oracle is not self._oracle:
            return
        if not is_refused:
            self._was_accepted_since = True
        elif told_ms is not None:
            self._refused, self._was_accepted_since = (asked.way, asked.event), False

    def _end_way(self, way: _Way, at_ns: int) -> None:
        """Take the end of a connection: requests under way on it have no answer. Idempotent."""
        for oracle, is_ping in ((self._oracle, False), (self._pings, True)):
            for judged in oracle.end(way.key(is_ping=is_ping), at_ns):
                self._note_judged(judged)

    def _note_judged(self, judged: Judgement) -> None:
        event = judged.event
        is_answered = event.is_accepted is not None
        at_ns = event.latest_ns if is_answered else time.monotonic_ns()
        if judged.retry_error_ns is not None:
            self._recorder.span(Series.RETRY_ERROR, judged.retry_error_ns, at_ns)
        self.note(
            Event.LIMIT,
            at_ns,
            judged.outcome,
            sent_ns=event.sent_ns,
            value_ns=event.retry_after_ns,
            detail=str(event.connection) + (f": {event.limit}" if event.limit else ""),
        )
