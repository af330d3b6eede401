"""``Witness``: a connection that keeps account of what comes over it, and of what it asks for.

It judges nothing and decides nothing: deliveries go to the ledger, heartbeats to their oracle,
spans and events to the recorder. What a user does is in ``users`` and the behaviours.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar, Final

from locust.env import Environment

from gateway.contract import PRICE_EVENT, ErrorCode, ServerEvent
from loadtests.behaviours.stage import Stage
from loadtests.connection.calls import Reply
from loadtests.connection.protocol.handshake import parse_target
from loadtests.errors import ClientError, ConnectionClosed
from loadtests.oracles.heartbeats import HeartbeatOracle
from loadtests.oracles.ledger import ACCOUNTED, BY_SYMBOL, market_stream_of
from loadtests.plan.addresses import source_address
from loadtests.reading.accounts import FastPathAccount
from loadtests.reading.push_records import is_sampled
from loadtests.reading.staleness import is_watched
from loadtests.record.recording import Recorder
from loadtests.results import Event, LeakOutcome, LimitOutcome, Series
from loadtests.user import SocketIOUser

_NS_PER_MS: Final = 1_000_000
_NS_PER_US: Final = 1_000
MOST_LEAKS: Final = 100
"""Events of a user's kept whole that it must not see; a gateway may send it all there are."""


class Witness(SocketIOUser):
    """A user of a scenario as far as it only looks on.

    Attributes:
        stage: set for the class when a run begins, as Locust does with ``host``.
        group: the behaviour's name in the results.
        is_well_behaved: whether it keeps all rules; what a user meets that does not is no error.
        is_measured: whether its latencies, acknowledgements and heartbeats are recorded; not
            those of a user that is not well-behaved, nor of one that was ever paused.
        index: its place among the users of the scenario.
        user_id: ``sub`` of its token.
        is_on: whether it holds a welcome.
        due_ns: when its session was intended to begin, None when nobody planned it.
    """

    abstract = True
    stage: ClassVar[Stage]
    group: ClassVar[str] = ""
    is_well_behaved: ClassVar[bool] = True
    # What most users never change stands here: with more than 30 attributes of its own an
    # instance shares its names with no other any more, and costs 1.3 KB instead of 0.3.
    _fresh_since_ns: int | None = None
    _leaks: int = 0

    def __init__(self, environment: Environment, index: int, due_ns: int | None) -> None:
        super().__init__(environment)
        self.index, self.due_ns = index, due_ns
        self.user_id = f"vu-{self.index}"
        self.is_on = False
        self._fast_path.owner = len(self.stage.users) - 1
        self.account = FastPathAccount(self.user_id, self.group, self._fast_path)
        self.account.on_leak = self._note_leak
        self.stage.ledger.keep(self.account)
        self.heartbeat: HeartbeatOracle | None = None
        self.is_measured = self.is_well_behaved
        self._pushes.intake.is_sampled = is_sampled
        self._pushes.record(self.stage.pushes)
        self._recorder.draw_from(self._pushes.flush)
        if self._is_watched():
            self.stage.pushes.prices.watch(self._fast_path.owner, self.account)
            self._recorder.draw_from(self.stage.pushes.ask_staleness)

    def source_address(self) -> str | None:
        """Return this user's own: one for each 50 users on loopback."""
        return source_address(parse_target(str(self.host)).host, self.index)

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
            self._fast_path.is_timed = False
        if not self.is_on:
            self.is_on = True
            self.stage.welcomed(1)

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Account for an event."""
        if name in ACCOUNTED:
            self.account.received(name, payload)
            if self._fresh_since_ns is not None and name in BY_SYMBOL:
                self._be_fresh(stamp_ns)
            if name == PRICE_EVENT and "snapshot" in payload and self._is_watched():
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
        if self._fast_path.is_timed and isinstance(payload.get("ts"), int):
            slot = self._fast_path.intake.slot_of(market_stream_of(PRICE_EVENT, payload["symbol"]))
            self.stage.pushes.prices.hold(self._fast_path.owner, slot, payload["ts"] * _NS_PER_US)

    def is_push(self, name: str, payload: dict[str, Any]) -> bool:
        """Return whether an event's latency is to be measured: that of what the ledger counts."""
        return name in ACCOUNTED and super().is_push(name, payload)

    def follow(self, name: str, payload: Any) -> None:
        """Leave it to the account which streams the fast path follows."""

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

    def _be_fresh(self, stamp_ns: int) -> None:
        """Tell how long it had no market event, snapshots included: those are fresh too."""
        since_ns, self._fresh_since_ns = self._fresh_since_ns, None
        self._fast_path.wanted = frozenset(self._handlers)
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
