"""Virtual users: who listens, who trades, who abuses.

Each keeps its identity ``vu-<n>``, its source address and its symbols over
reconnects. Failures that no scenario asked for are counted as errors and kept
as events; none ends a user, but a refused token does.
"""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar, Final

import gevent
from gevent.timeout import Timeout
from locust import task
from locust.env import Environment
from locust.exception import StopUser

from gateway.contract import (
    BALANCE_EVENT,
    Channel,
    ClientEvent,
    ErrorCode,
    MarketEvent,
    ServerEvent,
    TradingEvent,
)
from loadtests.accounts import LaneAccount
from loadtests.addresses import source_address
from loadtests.apart import do_apart, sleep_until
from loadtests.backoff import reconnect_delay_s
from loadtests.calls import Reply
from loadtests.errors import ClientError, ConnectionClosed, ConnectRefused, Refused
from loadtests.handshake import parse_target
from loadtests.locust import SocketIOUser
from loadtests.oracles import HeartbeatOracle
from loadtests.pushrecords import PushRecord, is_sampled
from loadtests.results import Event, LimitOutcome, Series
from loadtests.schedule import Plan, count_missed, user_arrivals
from loadtests.stage import Stage
from scenarios.schema import Arrivals

_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000
_ACCOUNTED: Final = frozenset({*MarketEvent, *TradingEvent, BALANCE_EVENT})


class VirtualUser(SocketIOUser):
    """A user of a scenario: connects, is watched, comes back when it is thrown out.

    Attributes:
        stage: set for the class when a run begins, as Locust does with ``host``.
        group: the behaviour's name in the results.
        user_id: ``sub`` of its token.
        is_on: whether it holds a welcome.
        has_tried: whether it has come on, or failed to, at least once.
        due_ns: when its session was intended to begin, None when nobody planned it.
        has_begun: whether its session began.
    """

    abstract = True
    stage: ClassVar[Stage]
    group: ClassVar[str] = ""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.index, self.due_ns = self.stage.enter(self)
        self.user_id = f"vu-{self.index}"
        self.is_on = False
        self.has_tried = False
        self.has_begun = False
        self._lane.owner = self.index
        self.account = LaneAccount(self.user_id, self.group, self._lane)
        self.stage.ledger.keep(self.account)
        self.heartbeat: HeartbeatOracle | None = None
        self._recorder = self.stage.recorder
        self._pushes.intake.is_sampled = is_sampled
        self._pushes.record(PushRecord(self._recorder))
        self._recorder.draw_from(self._pushes.flush)
        self._connects = 0

    def source_address(self) -> str | None:
        """Return this user's own: one for each 50 users on loopback."""
        return source_address(parse_target(str(self.host)).host, self.index)

    @task
    def live(self) -> None:
        """Be connected and behave; come back after a loss. Ends when Locust stops the user."""
        self._begin_when_due()
        attempt = 0
        while True:
            wait_s = 0.0
            try:
                try:
                    do_apart(self.come_on)
                finally:
                    self.has_tried = True
                attempt = 0
                self.behave()
            except ConnectRefused as error:
                # socket.io-client does not come back by itself after a refused CONNECT either.
                self._note_refusal(error, error.code or error.message)
                raise StopUser from error
            except Refused as error:
                self._note_refusal(error, f"HTTP {error.status}")
                wait_s = error.retry_after_s or 0.0
            except ClientError as error:
                # The loss of a connection is counted once, where it is noticed: in lost().
                if not isinstance(error, ConnectionClosed):
                    self.note_error(type(error).__name__, str(error))
            self.close()
            gevent.sleep(max(wait_s, reconnect_delay_s(attempt, self._draw(attempt))))
            attempt += 1

    def _draw(self, attempt: int) -> float:
        """Return the chance in a back-off, the same for a seed; a generator kept is 2.5 KB."""
        key = f"{self.stage.scenario.seed}:{self.user_id}:{self._connects}:{attempt}"
        return random.Random(key).random()  # noqa: S311 - a load plan, repeatable by its seed

    def _begin_when_due(self) -> None:
        """Wait for the session's intended time, and tell how late it began."""
        if self.due_ns is None:
            self.due_ns = time.monotonic_ns()
        gevent.sleep(max(0, self.due_ns - time.monotonic_ns()) / _NS_PER_S)
        now_ns = time.monotonic_ns()
        self.has_begun = True
        self._recorder.count("offered")
        self._recorder.count("sent")
        self._recorder.span(Series.SESSION_DELAY, max(0, now_ns - self.due_ns), now_ns)

    def come_on(self) -> None:
        """Connect, get the welcome, subscribe."""
        self.connect({"token": self.stage.token(self.user_id)})
        if self.client is not None:
            span_ns = self.welcome_ns - self.client.started_ns
            self._recorder.span(Series.CONNECT, span_ns, self.welcome_ns)
            event = Event.RECONNECT if self._connects else Event.CONNECT
            if not self._connects and self.due_ns is not None:
                span_from_due_ns = self.welcome_ns - self.due_ns
                self._recorder.span(Series.SESSION, span_from_due_ns, self.welcome_ns)
            self.note(event, self.welcome_ns, value_ns=span_ns)
        self._connects += 1
        self.subscribe_all()

    def subscribe_all(self) -> None:
        """Subscribe to what the behaviour listens to."""

    def behave(self) -> None:
        """Do what the behaviour does until the connection ends; raises then."""
        raise sleep_until(self.ended)

    def stop_requests(self, now_ns: int) -> None:
        """Send no more; count what was due by now and not sent."""

    def close_heartbeat(self, now_ns: int) -> None:
        """Judge the silence since the last heartbeat."""
        if self.heartbeat is not None and self.is_on:
            before = self.heartbeat.missed
            self._note_missed(self.heartbeat.close(now_ns) - before, now_ns, None)

    def request(self, event: str, payload: object = None, intended_ns: int | None = None) -> None:
        """Send a request that ought to succeed, time it, and count it if it does not.

        Raises:
            ClientError: the connection ended.
        """
        self._recorder.count("offered")
        try:
            reply = self.call(event, payload, intended_ns=intended_ns)
        except ConnectionClosed:
            raise
        except ClientError as error:
            self.note_error(type(error).__name__, f"{event}: {error}")
            return
        self._recorder.count("sent")
        self._recorder.span(Series.SCHEDULE_DELAY, reply.schedule_delay_ns, reply.sent_ns)
        refusal = refusal_of(reply)
        if refusal is None:
            self._recorder.span(Series.ACK, reply.response_ns, reply.done_ns)
            self._recorder.span(Series.ACK_SERVICE, reply.service_ns, reply.done_ns)
        elif refusal.get("code") == ErrorCode.RATE_LIMIT_EXCEEDED:
            self.note(Event.LIMIT, reply.done_ns, LimitOutcome.NEIGHBOUR_REFUSED, detail=event)
        else:
            self.note_error(str(refusal.get("code")), f"{event}: {refusal.get('message')}")

    def welcomed(self, stamp_ns: int, payload: dict[str, Any]) -> None:
        """Open the connection's accounts."""
        self.account.welcome(payload)
        interval_ns = int(payload["heartbeatInterval"]) * _NS_PER_MS
        self.heartbeat = HeartbeatOracle(interval_ns, stamp_ns) if interval_ns else None
        if not self.is_on:
            self.is_on = True
            self.stage.welcomed(1)

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Account for an event."""
        if name in _ACCOUNTED:
            self.account.received(name, payload)
        elif name == ServerEvent.HEARTBEAT:
            self._beat(stamp_ns)
        elif name == ServerEvent.SUBSCRIBED:
            self.account.subscribed(payload)
        elif name == ServerEvent.UNSUBSCRIBED:
            self.account.unsubscribed(payload)
        elif name == ServerEvent.ERROR and self.client is not None and not self.client.is_waiting:
            # With a request under way the error is its, and its acknowledgement is judged.
            self.note_error(str(payload.get("code")), str(payload.get("message")), stamp_ns)

    def is_push(self, name: str, payload: dict[str, Any]) -> bool:
        """Return whether an event's latency is to be measured: that of what the ledger counts."""
        return name in _ACCOUNTED and super().is_push(name, payload)

    def follow(self, name: str, payload: Any) -> None:
        """Leave it to the account which streams the lane follows."""

    def lost(self, stamp_ns: int, error: Exception) -> None:
        """Count a connection that ended unasked."""
        self.note_error("disconnected", str(error), stamp_ns)
        self.note(Event.DISCONNECT, stamp_ns, type(error).__name__, detail=str(error))
        self._leave(stamp_ns)

    def close(self) -> None:
        """Close the connection and its accounts."""
        self._leave(time.monotonic_ns())
        super().close()

    def note(self, event: Event, at_ns: int, outcome: str = "", **facts: Any) -> None:
        """Record an event of this user."""
        self._recorder.event(
            event, at_ns=at_ns, user=self.user_id, group=self.group, outcome=outcome, **facts
        )

    def note_error(self, outcome: str, detail: str, at_ns: int | None = None) -> None:
        """Count a failure that no scenario asked for, and keep its words."""
        self._recorder.count("errors")
        moment_ns = time.monotonic_ns() if at_ns is None else at_ns
        self.note(Event.ERROR, moment_ns, outcome, detail=detail)

    def _wait_until(self, due_ns: int) -> None:
        """Sleep until something is due; raises what ended the connection meanwhile."""
        wait_s = (due_ns - time.monotonic_ns()) / _NS_PER_S
        try:
            error = self.ended.get(timeout=max(0.0, wait_s))
        except Timeout:
            return
        raise error

    def _note_refusal(self, error: ClientError, outcome: str) -> None:
        self._recorder.count("errors")
        self.note(Event.REFUSE, time.monotonic_ns(), outcome, detail=str(error))

    def _leave(self, stamp_ns: int) -> None:
        if self.is_on:
            if not self.stage.is_over():
                self.close_heartbeat(stamp_ns)
            self.is_on = False
            self.account.disconnected()
            self.stage.welcomed(-1)

    def _beat(self, stamp_ns: int) -> None:
        oracle = self.heartbeat
        if oracle is None:
            return
        before = oracle.missed
        gap_ns = oracle.beat(stamp_ns)
        if gap_ns is not None:
            error_ns = abs(gap_ns - oracle.interval_ns)
            self._recorder.span(Series.HEARTBEAT_GAP, gap_ns, stamp_ns)
            self._recorder.span(Series.HEARTBEAT_ERROR, error_ns, stamp_ns)
        self._note_missed(oracle.missed - before, stamp_ns, gap_ns)

    def _note_missed(self, count: int, at_ns: int, gap_ns: int | None) -> None:
        for _ in range(count):
            self.note(Event.HEARTBEAT_MISSED, at_ns, value_ns=gap_ns)


class Subscriber(VirtualUser):
    """Listens to its symbols and does nothing else."""

    group = "subscriber"

    def subscribe_all(self) -> None:
        """Subscribe to the scenario's number of symbols."""
        settings = self.stage.scenario.users.subscriber
        count = settings.symbols if settings is not None else 1
        symbols = self.stage.symbols_of(self.user_id, count)
        self.request(ClientEvent.SUBSCRIBE, {"channel": Channel.MARKET_DATA, "symbols": symbols})


class Trader(VirtualUser):
    """Listens to trading and its symbols, and asks for something at intended times.

    In turn: its subscriptions, one more symbol, a ping, that symbol no more. The
    plan is fixed when the user comes on: late requests are sent late, and what was
    never sent is missed.
    """

    group = "trader"

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        settings = self.stage.scenario.users.trader
        self._every_s = settings.request_every_s if settings is not None else 4.0
        self._arrivals = settings.arrivals if settings is not None else Arrivals()
        count = settings.symbols if settings is not None else 1
        symbols = self.stage.symbols_of(self.user_id, count + 1)
        self._symbols, self._extra = symbols[:count], symbols[count:]
        self._plan: Plan | None = None
        self._sent = 0

    def subscribe_all(self) -> None:
        """Subscribe to trading and to the scenario's number of symbols."""
        self.request(ClientEvent.SUBSCRIBE, {"channel": Channel.TRADING})
        if self._symbols:
            self._change(ClientEvent.SUBSCRIBE, self._symbols)

    def behave(self) -> None:
        """Send each request when it is due, or as soon after as can be."""
        if self._plan is None:
            self._plan = user_arrivals(
                self.stage.scenario.seed,
                self.user_id,
                time.monotonic_ns(),
                self._every_s,
                self._arrivals,
            )
        while not self.stage.is_over():
            intended_ns = self._plan.due_ns(self._sent)
            self._wait_until(intended_ns)
            if self.stage.is_over():
                break
            self._sent += 1
            self._ask(self._sent % 4, intended_ns)
        super().behave()

    def stop_requests(self, now_ns: int) -> None:
        """Count what was due and not sent."""
        if self._plan is not None:
            missed = count_missed(self._plan, self._sent, now_ns)
            self._recorder.count("offered", missed)
            self._recorder.count("missed", missed)

    def _ask(self, turn: int, intended_ns: int) -> None:
        if turn == 1 or not self._extra:
            self.request(ClientEvent.GET_SUBSCRIPTIONS, None, intended_ns)
        elif turn == 2:
            self._change(ClientEvent.SUBSCRIBE, self._extra, intended_ns)
        elif turn == 3:
            self.request(ClientEvent.PING, None, intended_ns)
        else:
            self._change(ClientEvent.UNSUBSCRIBE, self._extra, intended_ns)

    def _change(
        self, event: ClientEvent, symbols: list[str], intended_ns: int | None = None
    ) -> None:
        payload = {"channel": Channel.MARKET_DATA, "symbols": symbols}
        self.request(event, payload, intended_ns)


def refusal_of(reply: Reply) -> dict[str, Any] | None:
    """Return the error of an acknowledgement, None when the request was done."""
    payload = reply.payload
    error = payload.get("error") if isinstance(payload, dict) else None
    return error if isinstance(error, dict) else None
