"""``VirtualUser``: what every user of a scenario is, whatever it does.

What each group does is in ``loadtests.behaviours``, one class a module. A user keeps its
identity ``vu-<n>``, its source address and its symbols over reconnects. Failures that no
scenario asked for are counted as errors and kept as events; none ends a user, but a refused
token does. What a command of the scenario brought about, or happened to those who ask for
it, is no error. The module is long because all of it moves the one state of a user: on,
away, or gone.
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
from loadtests.behaviours.absence import Absence
from loadtests.conducting.stage import Stage
from loadtests.connection.addresses import source_address
from loadtests.connection.apart import do_apart, sleep_until
from loadtests.connection.backoff import reconnect_delay_s
from loadtests.connection.calls import Reply
from loadtests.connection.handshake import parse_target
from loadtests.errors import (
    ClientError,
    ConnectionClosed,
    ConnectRefused,
    Refused,
    TimedOut,
    Unreachable,
)
from loadtests.locust import SocketIOUser
from loadtests.oracles.accounts import LaneAccount
from loadtests.oracles.heartbeats import HeartbeatOracle
from loadtests.oracles.ledger import market_stream_of
from loadtests.reading.pushrecords import is_sampled
from loadtests.reading.staleness import is_watched
from loadtests.record.recording import Recorder
from loadtests.results import (
    AttemptOutcome,
    EndOutcome,
    Event,
    LeakOutcome,
    LimitOutcome,
    Series,
)

_NS_PER_MS: Final = 1_000_000
_NS_PER_US: Final = 1_000
_NS_PER_S: Final = 1_000_000_000
MOST_LEAKS: Final = 100
"""Events of a user's kept whole that it must not see; a gateway may send it all there are."""
_ACCOUNTED: Final = frozenset({*MarketEvent, *TradingEvent, BALANCE_EVENT})
_MARKET: Final = frozenset(map(str, MarketEvent))
_ATTEMPTS: Final = (
    (Refused, AttemptOutcome.REFUSED),
    (Unreachable, AttemptOutcome.UNREACHABLE),
    (TimedOut, AttemptOutcome.LATE),
)


class VirtualUser(SocketIOUser):
    """A user of a scenario: connects, is watched, comes back when it is thrown out.

    Attributes:
        stage: set for the class when a run begins, as Locust does with ``host``.
        group: the behaviour's name in the results.
        is_well_behaved: whether it keeps all rules; what a user meets that does not is no error.
        is_paused: whether it has stopped reading; who has cannot be owed anything in the end.
        is_measured: whether its latencies, acknowledgements and heartbeats are recorded; not
            those of a user that is not well-behaved, nor of one that was ever paused.
        absence: whether it is away because a command or a drain of the gateway made it so.
        user_id: ``sub`` of its token.
        is_on: whether it holds a welcome.
        has_tried: whether it has come on, or failed to, at least once.
        due_ns: when its session was intended to begin, None when nobody planned it.
        has_begun: whether its session began.
        connects: welcomes that it got.
        first_welcome_ns: the first one's read stamp, None before it.
    """

    abstract = True
    stage: ClassVar[Stage]
    group: ClassVar[str] = ""
    is_well_behaved: ClassVar[bool] = True
    # What most users never change stands here: with more than 30 attributes of its own an
    # instance shares its names with no other any more, and costs 1.3 KB instead of 0.3.
    _fresh_since_ns: int | None = None
    _leaks: int = 0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.index, self.due_ns = self.stage.enter(self)
        self.user_id = f"vu-{self.index}"
        self.is_on = False
        self.has_tried = False
        self.has_begun = False
        self._lane.owner = len(self.stage.users) - 1
        self.account = LaneAccount(self.user_id, self.group, self._lane)
        self.account.on_leak = self._note_leak
        self.stage.ledger.keep(self.account)
        self.heartbeat: HeartbeatOracle | None = None
        self.absence = Absence()
        self.is_measured = self.is_well_behaved
        self.is_paused = False
        self._more_symbols: list[str] = []
        self._pushes.intake.is_sampled = is_sampled
        self._pushes.record(self.stage.pushes)
        self._recorder.draw_from(self._pushes.flush)
        if self._is_watched():
            self.stage.pushes.prices.watch(self._lane.owner, self.account)
            self._recorder.draw_from(self.stage.pushes.ask_staleness)
        self.connects = 0
        self.first_welcome_ns: int | None = None

    def source_address(self) -> str | None:
        """Return this user's own: one for each 50 users on loopback."""
        return source_address(parse_target(str(self.host)).host, self.index)

    @task
    def live(self) -> None:
        """Be connected and behave; come back after a loss. Ends when Locust stops the user."""
        self._begin_when_due()
        attempt = 0
        while True:
            if self.absence.wait():
                attempt = 0
                gevent.sleep(reconnect_delay_s(attempt, self._draw(attempt)))
            wait_s = 0.0
            try:
                try:
                    do_apart(self.come_on)
                finally:
                    self.has_tried = True
                attempt = 0
                self.behave()
                continue  # it has left by itself, and returns when it wants to
            except ConnectRefused as error:
                # socket.io-client does not come back by itself after a refused CONNECT either.
                self._note_refusal(error, error.code or error.message)
                raise StopUser from error
            except ClientError as error:
                wait_s = self._note_failure(error)
            self.close()
            if self.absence.is_ordered:
                continue
            gevent.sleep(max(wait_s, reconnect_delay_s(attempt, self._draw(attempt))))
            attempt += 1

    def _draw(self, attempt: int) -> float:
        """Return the chance in a back-off, the same for a seed; a generator kept is 2.5 KB."""
        key = f"{self.stage.scenario.seed}:{self.user_id}:{self.connects}:{attempt}"
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
        try:
            self.connect({"token": self.token()})
        except ClientError as error:
            self._note_attempt(error)
            raise
        if self.client is not None:
            span_ns = self.welcome_ns - self.client.started_ns
            if self.first_welcome_ns is None:
                self.first_welcome_ns = self.welcome_ns
            self._recorder.span(Series.CONNECT, span_ns, self.welcome_ns)
            event = Event.RECONNECT if self.connects else Event.CONNECT
            if not self.connects and self.due_ns is not None:
                span_from_due_ns = self.welcome_ns - self.due_ns
                self._recorder.span(Series.SESSION, span_from_due_ns, self.welcome_ns)
            self.note(event, self.welcome_ns, value_ns=span_ns)
        self.connects += 1
        self._be_back()
        self.subscribe_all()
        if self._more_symbols:
            self.change(ClientEvent.SUBSCRIBE, self._more_symbols)

    def token(self) -> str:
        """Return what the next connection shows."""
        return self.stage.token(self.user_id)

    def subscribe_all(self) -> None:
        """Subscribe to what the behaviour listens to."""

    def behave(self) -> None:
        """Do what the behaviour does until the connection ends; raises then."""
        raise sleep_until(self.ended)

    def stop_requests(self, now_ns: int) -> None:
        """Send no more; count what was due by now and not sent.

        Who has not read cannot be owed what it left unread: its connection ends here.
        """
        if self.is_paused:
            self._leave(now_ns)
            if self.client is not None:
                self.client.drop()

    def drop(self) -> None:
        """End the connection as a broken line would, and stay away until told to return."""
        now_ns = time.monotonic_ns()
        was_on = self.is_on
        self.absence.order(now_ns)
        if self.client is not None:
            self.client.drop()
        if was_on:
            self.note(Event.DISCONNECT, now_ns, EndOutcome.DROPPED)
            self._leave(now_ns)
        self._wake(ConnectionClosed("dropped by a command"))

    def come_back(self) -> None:
        """Return after a drop, as socket.io-client does: after its first delay."""
        self.absence.allow_return()

    def pause(self) -> None:
        """Read nothing any more. What this user reads from now on is late by its own doing."""
        self.is_paused = True
        self.is_measured = self._lane.is_timed = False
        self.heartbeat = None
        if self.client is not None:
            self.client.pause()

    def resume(self) -> None:
        """Read again."""
        self.is_paused = False
        if self.client is not None:
            self.client.resume()

    def hold_more(self, count: int, intended_ns: int) -> None:
        """Subscribe to so many more symbols, and again after each reconnection."""
        held = self.stage.scenario.users.symbols().get(self.group, 0) + len(self._more_symbols)
        # One more than a trader holds comes and goes with its own requests.
        held += self.group == "trader"
        more = self.stage.symbols_of(self.user_id, held + count)[held:]
        self._more_symbols = [*self._more_symbols, *more]
        if more:
            self.change(ClientEvent.SUBSCRIBE, more, intended_ns)

    def let_go(self, intended_ns: int) -> None:
        """Unsubscribe from what commands had it subscribe to."""
        held, self._more_symbols = self._more_symbols, []
        if held:
            self.change(ClientEvent.UNSUBSCRIBE, held, intended_ns)

    def change(
        self, event: ClientEvent, symbols: list[str], intended_ns: int | None = None
    ) -> None:
        """Subscribe to symbols, or unsubscribe from them. Raises as :meth:`request`."""
        self.request(event, {"channel": Channel.MARKET_DATA, "symbols": symbols}, intended_ns)

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
            if self.is_measured:
                self.note_error(type(error).__name__, f"{event}: {error}")
            return
        self._recorder.count("sent")
        if not self.is_measured:
            return
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
        is_judged = interval_ns and self.is_measured
        self.heartbeat = HeartbeatOracle(interval_ns, stamp_ns) if is_judged else None
        if not self.is_measured:
            self._lane.is_timed = False
        if not self.is_on:
            self.is_on = True
            self.stage.welcomed(1)

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Account for an event."""
        if name in _ACCOUNTED:
            self.account.received(name, payload)
            if self._fresh_since_ns is not None and name in _MARKET:
                self._be_fresh(stamp_ns)
            if name == MarketEvent.PRICE and "snapshot" in payload and self._is_watched():
                self._hold(payload)
        elif name == ServerEvent.HEARTBEAT:
            self._beat(stamp_ns)
        elif name == ServerEvent.SUBSCRIBED:
            self.account.subscribed(payload)
        elif name == ServerEvent.UNSUBSCRIBED:
            self.account.unsubscribed(payload)
        elif name == ServerEvent.SERVER_DRAINING:
            self._take_draining(stamp_ns, payload)
        elif name == ServerEvent.ERROR and self.client is not None and not self.client.is_waiting:
            # With a request under way the error is its, and its acknowledgement is judged.
            self._take_error(stamp_ns, payload)

    @property
    def _recorder(self) -> Recorder:
        return self.stage.recorder

    def _is_watched(self) -> bool:
        """Return whether this user is of the sample that staleness is asked of."""
        return self.is_well_behaved and is_watched(self.index)

    def _hold(self, payload: dict[str, Any]) -> None:
        """Take the price that came with a subscription: it is as old as its number."""
        if self._lane.is_timed and isinstance(payload.get("ts"), int):
            slot = self._lane.intake.slot_of(market_stream_of(MarketEvent.PRICE, payload["symbol"]))
            self.stage.pushes.prices.hold(self._lane.owner, slot, payload["ts"] * _NS_PER_US)

    def is_push(self, name: str, payload: dict[str, Any]) -> bool:
        """Return whether an event's latency is to be measured: that of what the ledger counts."""
        return name in _ACCOUNTED and super().is_push(name, payload)

    def follow(self, name: str, payload: Any) -> None:
        """Leave it to the account which streams the lane follows."""

    def lost(self, stamp_ns: int, error: Exception) -> None:
        """Take the end of a connection; one that nobody asked for is an error."""
        ordered_ns = self.stage.gateway_ordered_ns(self.welcome_ns, stamp_ns)
        outcome = str(EndOutcome.DRAINED) if ordered_ns is not None else type(error).__name__
        if ordered_ns is not None:
            self.absence.begin(stamp_ns)
            if self.is_measured:
                self._recorder.span(Series.DRAIN_CLOSE, stamp_ns - ordered_ns, stamp_ns)
        elif self.is_measured:
            self.note_error("disconnected", str(error), stamp_ns)
        self.note(Event.DISCONNECT, stamp_ns, outcome, detail=str(error))
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

    def _wake(self, error: ClientError) -> None:
        """Have whatever waits for this connection hear of its end."""
        if not self._welcomed.ready():
            self._welcomed.set_exception(error)
        if not self.ended.ready():
            self.ended.set(error)

    def _be_back(self) -> None:
        """Tell how long it was away, if it was away by order."""
        since_ns = self.absence.end()
        if since_ns is None:
            return
        span_ns = self.welcome_ns - since_ns
        self.note(Event.ATTEMPT, self.welcome_ns, AttemptOutcome.WELCOME, value_ns=span_ns)
        if self.is_measured:
            self._recorder.span(Series.STORM_BACK, span_ns, self.welcome_ns)
            self._fresh_since_ns = since_ns
            self._lane.wanted |= _MARKET

    def _be_fresh(self, stamp_ns: int) -> None:
        """Tell how long it had no market event, snapshots included: those are fresh too."""
        since_ns, self._fresh_since_ns = self._fresh_since_ns, None
        self._lane.wanted = frozenset(self._handlers)
        if since_ns is not None:
            self._recorder.span(Series.STORM_FRESH, stamp_ns - since_ns, stamp_ns)

    def _take_error(self, stamp_ns: int, payload: Any) -> None:
        if self.is_measured:
            self.note_error(str(payload.get("code")), str(payload.get("message")), stamp_ns)

    def _take_draining(self, stamp_ns: int, payload: Any) -> None:
        after_ms = payload.get("reconnectAfter") if isinstance(payload, dict) else None
        value_ns = round(after_ms * _NS_PER_MS) if isinstance(after_ms, int | float) else None
        self.note(Event.DRAINING, stamp_ns, value_ns=value_ns)
        self.close_heartbeat(stamp_ns)
        self.heartbeat = None  # who is being let go is owed none
        ordered_ns = self.stage.gateway_ordered_ns(self.welcome_ns, stamp_ns)
        if ordered_ns is not None and self.is_measured:
            self._recorder.span(Series.DRAIN_NOTICE, stamp_ns - ordered_ns, stamp_ns)

    def _note_attempt(self, error: ClientError) -> None:
        """Keep what came of a connection tried while away."""
        since_ns = self.absence.since_ns
        if since_ns is not None:
            now_ns = time.monotonic_ns()
            found = (outcome for kind, outcome in _ATTEMPTS if isinstance(error, kind))
            outcome = next(found, AttemptOutcome.ENDED)
            self.note(Event.ATTEMPT, now_ns, outcome, value_ns=now_ns - since_ns, detail=str(error))

    def _note_failure(self, error: ClientError) -> float:
        """Count what kept this user from being on; return how long it has to wait, in s."""
        wait_s = error.retry_after_s or 0.0 if isinstance(error, Refused) else 0.0
        if self.absence.since_ns is not None:
            return wait_s
        if isinstance(error, Refused):
            self._note_refusal(error, f"HTTP {error.status}")
        # The loss of a connection is counted once, where it is noticed: in lost().
        elif not isinstance(error, ConnectionClosed) and self.is_measured:
            self.note_error(type(error).__name__, str(error))
        return wait_s

    def _note_refusal(self, error: ClientError, outcome: str) -> None:
        self._recorder.count("errors")
        self.note(Event.REFUSE, time.monotonic_ns(), outcome, detail=str(error))

    def _note_leak(self, outcome: LeakOutcome, words: str) -> None:
        """Keep what this user must not see; the ledger counts on when these are too many."""
        self._leaks += 1
        if self._leaks <= MOST_LEAKS:
            self.note(Event.LEAK, time.monotonic_ns(), outcome, detail=words)

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


def refusal_of(reply: Reply) -> dict[str, Any] | None:
    """Return the error of an acknowledgement, None when the request was done."""
    payload = reply.payload
    error = payload.get("error") if isinstance(payload, dict) else None
    return error if isinstance(error, dict) else None
