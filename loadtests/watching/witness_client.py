"""``WitnessClient``: one client of the witness. It judges what it gets, and comes back by itself.

The client, the ledger and the oracles are the laboratory's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import gevent
from gevent.event import AsyncResult, Event

from gateway.contract import Channel, ClientEvent, ErrorCode, ServerEvent
from loadtests.connection.client import CONNECT_TIMEOUT_S, Client
from loadtests.connection.protocol.backoff import reconnect_delay_s
from loadtests.errors import ClientError, Disconnected, TimedOut
from loadtests.health.clock_id import is_one_clock, read_clock_id
from loadtests.oracles.answers import mistake_in_answer, mistake_in_welcome
from loadtests.oracles.checksums import is_altered
from loadtests.oracles.ledger import ACCOUNTED, BY_SYMBOL, Account, market_stream_of
from loadtests.oracles.membership import StreamCounts
from loadtests.oracles.returns import PrivateNumbers
from loadtests.oracles.snapshots import ExpectedSnapshots, SharedContents
from loadtests.results import LeakOutcome, ReturnOutcome
from loadtests.watching import figures
from loadtests.watching.figures import Finding
from loadtests.watching.witness_heartbeats import Heartbeats
from loadtests.watching.witness_metrics import WitnessMetrics

CALL_S: Final = 5.0
_NS_PER_MS: Final = 1_000_000
_NS_PER_US: Final = 1_000
_FOR_GOOD: Final = frozenset({ErrorCode.TOKEN_EXPIRED, ErrorCode.AUTH_FAILED})
_LEAKS: Final = {
    LeakOutcome.FOREIGN: Finding.FOREIGN,
    LeakOutcome.PRIVATE_FIELD: Finding.PRIVATE_FIELD,
    LeakOutcome.UNSUBSCRIBED: Finding.UNSUBSCRIBED,
}
_RETURNS: Final = {
    ReturnOutcome.LOST: Finding.RETURN_LOST,
    ReturnOutcome.DOUBLED: Finding.RETURN_DOUBLED,
}
_COUNTED: Final = (
    Finding.LOST, Finding.DUPLICATE, Finding.REORDERED, Finding.LATE, Finding.LEAKED,
)  # fmt: skip

Report = Callable[[Finding, str, str], None]
"""Takes a finding, the user that it happened to, and words."""


class WitnessClient:
    """A client that stays connected, and judges everything that it gets.

    Args:
        url: of the gateway.
        user_id: ``sub`` of its token.
        token: returns a token.
        metrics: takes times and counts.
        contents: what each number of a market stream says, for all clients.
        report: takes findings.
        rate: its ``maxRate``; None without one.

    Attributes:
        is_on: whether it has its welcome.
        epoch: of the last welcome.
        offset_ns: the gateway's clock minus ours, ns; None while it is unknown.
    """

    def __init__(
        self,
        url: str,
        user_id: str,
        token: Callable[[], str],
        *,
        metrics: WitnessMetrics,
        contents: SharedContents,
        report: Report,
        rate: int | None = None,
    ) -> None:
        self.user_id = user_id
        self.rate = rate
        self.is_on = False
        self.epoch: object = None
        self.offset_ns: int | None = None
        self._token = token
        self._metrics = metrics
        self._contents = contents
        self._report = report
        self._client = Client(url, self)
        self._account = Account(user_id, "witness")
        self._account.on_leak = self._take_leak
        self._counted = StreamCounts()
        self._numbers = PrivateNumbers()
        self._snapshots = ExpectedSnapshots()
        self._heartbeats = Heartbeats(metrics, self._found)
        self._welcomed: AsyncResult = AsyncResult()
        self._ended = Event()
        self._error_code: object = None
        self._is_draining = False
        self._is_entering = False
        self._rated_since_ns = 0
        self._rated: dict[str, int] = {}

    def live(self) -> None:
        """Keep connected; return only when killed."""
        attempt = 0
        while True:
            if not self.is_on:
                attempt = 0 if self.enter() else attempt + 1
            if self.is_on:
                self._ended.wait()
                self._ended.clear()
            if not self.is_on:
                gevent.sleep(reconnect_delay_s(attempt, random.random()))  # noqa: S311 - jitter

    def enter(self) -> bool:
        """Connect once, and return whether that succeeded. A failure is counted."""
        if self.is_on or self._is_entering:
            return self.is_on
        self._is_entering = True
        try:
            return self._enter()
        finally:
            self._is_entering = False
            if not self.is_on:
                self._ended.set()  # so that live() goes on, whoever tried

    def _enter(self) -> bool:
        self._welcomed = AsyncResult()
        self._ended.clear()
        try:
            self._client.connect({"token": self._token(), **self._numbers.said()})
            stamp_ns = self._welcomed.get(timeout=CONNECT_TIMEOUT_S)
        except gevent.Timeout:
            self._client.close()
            self._fail(TimedOut("the welcome event", CONNECT_TIMEOUT_S))
            return False
        except ClientError as error:
            self._fail(error)
            return False
        self._metrics.time(figures.CONNECT, stamp_ns - self._client.started_ns)
        return True

    def drop(self) -> None:
        """End the connection as a broken line would."""
        self._client.drop()
        self._leave()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
        self._leave()

    def subscribe(self, symbols: Sequence[str], *, trading: bool) -> None:
        """Join the symbols, and the channel of trading where asked. A failure is counted."""
        if trading:
            self._ask(ClientEvent.SUBSCRIBE, {"channel": Channel.TRADING})
        if symbols:
            rate = {} if self.rate is None else {"maxRate": self.rate}
            payload = {"channel": Channel.MARKET_DATA, "symbols": list(symbols), **rate}
            self._rated, self._rated_since_ns = {}, time.monotonic_ns()
            self._ask(ClientEvent.SUBSCRIBE, payload)
        self._ask(ClientEvent.GET_SUBSCRIPTIONS, None)

    def unsubscribe(self, symbols: Sequence[str]) -> None:
        """Leave the symbols. A failure is counted."""
        if symbols:
            self._judge_rate()
            payload = {"channel": Channel.MARKET_DATA, "symbols": list(symbols)}
            self._ask(ClientEvent.UNSUBSCRIBE, payload)

    def has_all(self, last_numbers: dict[str, int]) -> bool:
        """Return whether it has everything that it is owed."""
        is_current = self._account.owes_nothing(last_numbers) and self._numbers.is_current
        return not self.is_on or (is_current and not self._missing_snapshots())

    def settle(self, last_numbers: dict[str, int], now_ns: int) -> StreamCounts:
        """Judge what has not come, and return the counts since the last call."""
        if self.is_on:
            for stream in self._missing_snapshots():
                self._found(Finding.SNAPSHOT, f"{stream}: no snapshot came")
            for outcome in self._numbers.close():
                self._found(_RETURNS[outcome], "a missed private event did not come")
            self._heartbeats.judge_silence(now_ns)
        self._snapshots = ExpectedSnapshots()
        total, before = self._account.settle(last_numbers), self._counted
        self._counted = total
        names = StreamCounts.__slots__
        new = StreamCounts(**{name: getattr(total, name) - getattr(before, name) for name in names})
        for finding in _COUNTED:
            count = getattr(new, finding.value)
            if count > 0:
                self._found(finding, f"{count} deliveries", count)
        if new.conflated and self.rate is None:
            self._found(Finding.FALSE_CONFLATION, f"{new.conflated} deliveries", new.conflated)
        return new

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:
        """Take an event; part of ``connection.client.Listener``.

        Args:
            stamp_ns: read stamp, monotonic ns.
            name: of the event.
            arguments: its payload.
        """
        payload = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
        try:
            self._take(stamp_ns, name, payload)
        except (KeyError, TypeError, ValueError) as error:
            self._found(Finding.ALTERED, f"{name} breaks the contract: {error!r}")

    def on_end(self, stamp_ns: int, error: Exception) -> None:  # noqa: ARG002 - the listener's shape
        """Take the end of the connection; part of ``connection.client.Listener``."""
        if isinstance(error, Disconnected) and self._error_code not in _FOR_GOOD:
            self._found(Finding.STRANDED, f"DISCONNECT after the error {self._error_code}")
        if not self._welcomed.ready():
            self._welcomed.set_exception(error)
        elif not self._is_draining:
            self._metrics.reconnected()
        self._leave()
        self._ended.set()

    def on_left_open(self, stamp_ns: int) -> None:  # noqa: ARG002 - the listener's shape
        """Take a transport that the gateway did not close after its DISCONNECT."""
        self._found(Finding.LEFT_OPEN, "the transport stayed open after DISCONNECT")

    def _take(self, stamp_ns: int, name: str, payload: dict[str, Any]) -> None:
        if name in ACCOUNTED:
            self._take_delivery(stamp_ns, name, payload)
        elif name == ServerEvent.HEARTBEAT:
            self._heartbeats.beat(stamp_ns, payload)
        elif name == ServerEvent.CONNECTED:
            self._welcome(stamp_ns, payload)
        elif name == ServerEvent.SUBSCRIBED:
            self._snapshots.expect(self._account.rooms(), payload)
            self._account.subscribed(payload)
        elif name == ServerEvent.UNSUBSCRIBED:
            self._account.unsubscribed(payload)
        elif name == ServerEvent.RESYNC:
            self._numbers.resync(payload)
            self._account.resynced(payload)
        elif name == ServerEvent.ERROR:
            self._error_code = payload.get("code")
        elif name == ServerEvent.SERVER_DRAINING:
            self._is_draining = True
            self._heartbeats.stop()
        elif name == ServerEvent.TOKEN_EXPIRING:
            gevent.spawn(self._ask, ClientEvent.TOKEN_REFRESH, {"token": self._token()})

    def _welcome(self, stamp_ns: int, payload: dict[str, Any]) -> None:
        mistake = mistake_in_welcome(payload, self.user_id, self._client.sid)
        if mistake is not None:
            self._found(Finding.ANSWER, f"welcome: {mistake}")
        said = self._numbers.said().get("lastUserSeq")
        self._account.welcome(payload, said if isinstance(said, int) else None)
        self._numbers.welcome(payload)
        self._contents.begin(payload.get("epoch"))
        self.epoch = payload.get("epoch")
        if is_one_clock(read_clock_id(), payload.get("clock")):
            self.offset_ns = 0
        self._heartbeats.begin(int(payload["heartbeatInterval"]) * _NS_PER_MS, stamp_ns)
        self._error_code, self._is_draining = None, False
        self.is_on = True
        self._welcomed.set(stamp_ns)

    def _take_delivery(self, stamp_ns: int, name: str, payload: dict[str, Any]) -> None:
        is_snapshot = payload.get("snapshot") is True
        if name in BY_SYMBOL:
            self._take_market(name, payload, is_snapshot=is_snapshot)
        if is_altered(name, payload):
            self._found(Finding.ALTERED, f"{name} {payload.get('seq', payload.get('userSeq'))}")
        self._account.received(name, payload)
        if "userSeq" in payload and payload["userSeq"] is not None:
            for outcome in self._numbers.receive(payload["userSeq"]):
                if outcome in _RETURNS:
                    self._found(_RETURNS[outcome], f"{name} {payload['userSeq']}")
        if not is_snapshot and "replayed" not in payload and self.rate is None:
            self._time(stamp_ns, payload)

    def _take_market(self, name: str, payload: dict[str, Any], *, is_snapshot: bool) -> None:
        stream, number = market_stream_of(name, payload["symbol"]), payload["seq"]
        mistake = self._snapshots.take(stream, number) if is_snapshot else None
        if mistake is None and not self._contents.agrees(stream, number, payload):
            mistake = f"{stream} {number} says something else than another copy of it"
        if mistake is not None:
            self._found(Finding.SNAPSHOT if is_snapshot else Finding.ALTERED, mistake)
        if self.rate is not None and not is_snapshot:
            self._rated[stream] = self._rated.get(stream, 0) + 1

    def _time(self, stamp_ns: int, payload: dict[str, Any]) -> None:
        if self.offset_ns is None or not isinstance(payload.get("ts"), int):
            return
        read_ns = stamp_ns + self.offset_ns
        self._metrics.time(figures.PUSH_SERVICE, read_ns - payload["ts"] * _NS_PER_US)
        if isinstance(payload.get("srcTs"), int):
            self._metrics.time(figures.PUSH, read_ns - payload["srcTs"] * _NS_PER_US)

    def _judge_rate(self) -> None:
        """Compare the deliveries of each stream with the rate: one more a slot may be cut off."""
        if self.rate is None:
            return
        span_s = (time.monotonic_ns() - self._rated_since_ns) / 1e9
        for stream, count in self._rated.items():
            if count > self.rate * span_s + 2:
                words = f"{stream}: {count} in {span_s:.1f} s at {self.rate} a second"
                self._found(Finding.OVER_RATE, words)

    def _ask(self, event: ClientEvent, payload: object) -> None:
        """Send a request and judge its answer. A failure or refusal is counted."""
        if not self.is_on:
            return
        held = self._account.rooms() if event == ClientEvent.GET_SUBSCRIPTIONS else None
        try:
            reply = self._client.call(event, payload, timeout_s=CALL_S)
        except ClientError:
            self._metrics.failed()
            return
        answer = reply.payload
        if isinstance(answer, dict) and "error" in answer:
            self._metrics.failed()
            return
        self._metrics.time(figures.ACK, reply.response_ns)
        mistake = mistake_in_answer(event, payload, answer, held)
        if mistake is not None:
            self._found(Finding.ANSWER, mistake)

    def _missing_snapshots(self) -> list[str]:
        return self._snapshots.missing(self._account.last_of)

    def _leave(self) -> None:
        self.is_on = False
        self._heartbeats.stop()
        self._snapshots = ExpectedSnapshots()
        self._account.disconnected()

    def _fail(self, error: ClientError) -> None:  # noqa: ARG002 - counted, whatever it was
        self._metrics.failed()
        self._leave()

    def _take_leak(self, outcome: LeakOutcome, words: str) -> None:
        self._found(_LEAKS[outcome], words)

    def _found(self, finding: Finding, words: str, count: int = 1) -> None:
        self._metrics.found(finding, count)
        self._report(finding, self.user_id, words)
