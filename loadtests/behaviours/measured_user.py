"""``MeasuredUser``: a user whose deliveries, requests and heartbeats are recorded.

It judges nothing: deliveries go to the ledger, heartbeats to their oracle, spans and events to
the recorder. ``virtual_user`` and the behaviours say what a user does.
"""

from __future__ import annotations

from typing import Any, Final

from locust.env import Environment

from gateway.contract import PRICE_EVENT, ErrorCode, ServerEvent
from loadtests.behaviours.judged_user import JudgedUser, refusal_of
from loadtests.connection.protocol.handshake import parse_target
from loadtests.errors import ClientError, ConnectionClosed, NotConnected
from loadtests.oracles.heartbeats import HeartbeatOracle
from loadtests.oracles.ledger import ACCOUNTED, BY_SYMBOL, market_stream_of
from loadtests.plan.addresses import source_address
from loadtests.reading.push_records import is_sampled
from loadtests.reading.staleness import is_watched
from loadtests.results import Event, LimitOutcome, Series, WrongOutcome

_NS_PER_MS: Final = 1_000_000
_NS_PER_US: Final = 1_000


class MeasuredUser(JudgedUser):
    """A judged user whose times, deliveries and heartbeats are recorded.

    Attributes:
        is_measured: whether its latencies, acknowledgements and heartbeats are recorded. Users
            that are not well-behaved or were ever paused are not measured.
        due_ns: intended start of its session, monotonic; None when it was not planned.
        node: place of its node, from 0.
    """

    abstract = True
    # As in JudgedUser.
    node: int = 0
    _refusals: int = 0
    _fresh_since_ns: int | None = None

    def __init__(self, environment: Environment, index: int, due_ns: int | None) -> None:
        super().__init__(environment, index)
        self.due_ns = due_ns
        self.heartbeat: HeartbeatOracle | None = None
        self.is_measured = self.is_well_behaved
        if self.run_context.has_nodes:
            self.run_context.nodes_of_users.append(0)
            self._go_to(index)
        self._pushes.intake.is_sampled = is_sampled
        self._pushes.record(self.run_context.pushes)
        if self.group in self.run_context.scenario.users.max_rates():
            self.run_context.pushes.with_rate.add(self._fast_path.owner)
        self._recorder.draw_from(self._pushes.flush)
        if self._is_watched():
            self.run_context.pushes.prices.watch(self._fast_path.owner, self.account)
            self._recorder.draw_from(self.run_context.pushes.ask_staleness)

    def _go_to(self, place: int) -> None:
        """Connect to the node at a place from now on, counted round."""
        context = self.run_context
        self.node = place % len(context.urls)
        self.host = context.urls[self.node]
        context.nodes_of_users[self._fast_path.owner] = self.node
        if self.client is not None:
            self.client.url = self.host

    def _go_on(self) -> None:
        """Go to the next node. Half of a node's users count downwards: one would get them all."""
        is_even = self.index // len(self.run_context.urls) % 2 == 0
        self._go_to(self.node + (1 if is_even else -1))

    def source_address(self) -> str | None:
        """Return the address to connect from: one for each 50 users on loopback."""
        return source_address(parse_target(str(self.host)).host, self.index)

    def close_oracles(self, now_ns: int) -> None:
        """Judge what has not come by the end of the run."""
        self.close_heartbeat(now_ns)
        if self.is_on:
            self.settle_snapshots(now_ns)

    def close_heartbeat(self, now_ns: int) -> None:
        """Count the heartbeats missed since the last one."""
        if self.heartbeat is not None and self.is_on:
            before = self.heartbeat.missed
            self._note_missed(self.heartbeat.close(now_ns) - before, now_ns, None)

    def request(self, event: str, payload: object = None, intended_ns: int | None = None) -> None:
        """Send a request that is expected to succeed, and time it. A refusal is an error.

        Args:
            event: its name.
            payload: None sends none.
            intended_ns: when it was due, monotonic; None means now.

        Raises:
            ClientError: the connection ended.
        """
        self._recorder.count("offered")
        try:
            reply = self.call(event, payload, intended_ns=intended_ns)
        except (ConnectionClosed, NotConnected):
            raise
        except ClientError as error:
            if self.is_measured:
                self.note_failure(error, f"{event}: {error}")
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
        super().welcomed(stamp_ns, payload)
        if self._refusals:
            self._refusals = 0
        self.account.welcome(payload, self.said_number())
        interval_ns = int(payload["heartbeatInterval"]) * _NS_PER_MS
        is_judged = interval_ns and self.is_measured
        self.heartbeat = HeartbeatOracle(interval_ns, stamp_ns) if is_judged else None
        if not self.is_measured:
            self._fast_path.is_timed = False
        if not self.is_on:
            self.is_on = True
            self.run_context.welcomed(1)

    def said_number(self) -> int | None:
        """Return the ``lastUserSeq`` that the user connected with; None when it named none."""
        return None

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Account for an event.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            payload: its first argument.
        """
        if name in ACCOUNTED:
            self.judge_content(stamp_ns, name, payload)
            self.account.received(name, payload)
            if self._fresh_since_ns is not None and name in BY_SYMBOL:
                self._note_fresh(stamp_ns)
            if name == PRICE_EVENT and "snapshot" in payload and self._is_watched():
                self._hold(payload)
        elif name == ServerEvent.HEARTBEAT:
            self._beat(stamp_ns, payload)
        elif name == ServerEvent.SUBSCRIBED:
            self.expect_snapshots(payload)
            self.account.subscribed(payload)
        elif name == ServerEvent.UNSUBSCRIBED:
            self.settle_snapshots(stamp_ns)
            self.account.unsubscribed(payload)
        elif name == ServerEvent.RESYNC:
            self.account.resynced(payload)
        elif name == ServerEvent.SERVER_DRAINING:
            self._take_draining(stamp_ns, payload)
        elif name == ServerEvent.ERROR and self.client is not None and not self.client.is_waiting:
            # An error during a request belongs to it; its acknowledgement is judged instead.
            self._take_error(stamp_ns, payload)

    def _is_watched(self) -> bool:
        """Return whether this user belongs to the sample whose prices' age is recorded."""
        return self.is_well_behaved and is_watched(self.index)

    def _hold(self, payload: dict[str, Any]) -> None:
        """Take the price that came with a subscription, for its age."""
        if self._fast_path.is_timed and isinstance(payload.get("ts"), int):
            slot = self._fast_path.intake.slot_of(market_stream_of(PRICE_EVENT, payload["symbol"]))
            self.run_context.pushes.prices.hold(
                self._fast_path.owner, slot, payload["ts"] * _NS_PER_US
            )

    def is_push(self, name: str, payload: dict[str, Any]) -> bool:
        """Return whether an event's latency is measured: of those that the ledger counts."""
        return name in ACCOUNTED and super().is_push(name, payload)

    def follow(self, name: str, payload: Any) -> None:
        """Do nothing: the account decides which streams the fast path follows."""

    def _note_fresh(self, stamp_ns: int) -> None:
        """Record how long it had no market event. A snapshot ends that time too."""
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
        self.heartbeat = None  # a draining gateway owes no more heartbeats
        ordered_ns = self.run_context.gateway_ordered_ns(self.welcome_ns, stamp_ns, self.node)
        if ordered_ns is not None and self.is_measured:
            self._recorder.span(Series.DRAIN_NOTICE, stamp_ns - ordered_ns, stamp_ns)

    def _leave(self, stamp_ns: int) -> None:
        if self.is_on:
            if not self.run_context.is_over():
                self.close_heartbeat(stamp_ns)
            self.is_on = False
            self.account.disconnected()
            self.run_context.welcomed(-1)

    def _beat(self, stamp_ns: int, payload: Any) -> None:
        oracle = self.heartbeat
        if oracle is None:
            return
        said = payload if isinstance(payload, dict) else {}
        ts_us, missed, extra = said.get("ts"), oracle.missed, oracle.extra
        sent_ns = ts_us * _NS_PER_US if isinstance(ts_us, int) else None
        gap_ns = oracle.beat(stamp_ns, said.get("seq"), sent_ns)
        if gap_ns is not None:
            error_ns = abs(gap_ns - oracle.interval_ns)
            self._recorder.span(Series.HEARTBEAT_GAP, gap_ns, stamp_ns)
            self._recorder.span(Series.HEARTBEAT_ERROR, error_ns, stamp_ns)
        self._note_missed(oracle.missed - missed, stamp_ns, gap_ns)
        if oracle.extra > extra:
            self.note_wrong(WrongOutcome.HEARTBEAT, f"seq {said.get('seq')}", stamp_ns)

    def _note_missed(self, count: int, at_ns: int, gap_ns: int | None) -> None:
        for _ in range(count):
            self.note(Event.HEARTBEAT_MISSED, at_ns, value_ns=gap_ns)
