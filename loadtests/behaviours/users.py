"""``VirtualUser``: what every user of a scenario is, whatever it does.

What each group does is in ``loadtests.behaviours``, one class a module. A user keeps its
identity ``vu-<n>``, its source address and its symbols over reconnects. Failures that no
scenario asked for are counted as errors and kept as events; none ends a user, but a refused
token does. What a command of the scenario brought about, or happened to those who ask for
it, is no error.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Final

import gevent
from gevent.event import AsyncResult
from gevent.pool import Group
from gevent.timeout import Timeout
from locust import task
from locust.env import Environment
from locust.exception import StopUser

from gateway.contract import Channel, ClientEvent
from loadtests.behaviours.absence import Absence
from loadtests.behaviours.seat import Seat
from loadtests.behaviours.witness import Witness
from loadtests.connection.protocol.backoff import reconnect_delay_s
from loadtests.errors import (
    ClientError,
    ConnectionClosed,
    ConnectRefused,
    Refused,
    TimedOut,
    Unreachable,
)
from loadtests.oracles.ledger import BY_SYMBOL
from loadtests.results import AttemptOutcome, EndOutcome, Event, Series

_NS_PER_S: Final = 1_000_000_000
_ATTEMPTS: Final = (
    (Refused, AttemptOutcome.REFUSED),
    (Unreachable, AttemptOutcome.UNREACHABLE),
    (TimedOut, AttemptOutcome.LATE),
)


class VirtualUser(Witness):
    """A user of a scenario: connects, is watched, comes back when it is thrown out.

    Attributes:
        is_paused: whether it has stopped reading; who has cannot be owed anything in the end.
        absence: whether it is away because a command or a drain of the gateway made it so.
        has_tried: whether it has come on, or failed to, at least once.
        has_begun: whether its session began.
        connects: welcomes that it got.
        first_welcome_ns: the first one's read stamp, None before it.
    """

    abstract = True
    is_paused: bool = False
    _more_symbols: tuple[str, ...] = ()

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment, *self.stage.enter(self))
        self.has_tried = False
        self.has_begun = False
        self.absence = Absence()
        self.connects = 0
        self.first_welcome_ns: int | None = None

    def start(self, group: Group) -> Seat:
        """Begin the user's life among Locust's users, which lasts until Locust ends it.

        It has a greenlet only while it has something to do; see ``loadtests.behaviours.seat``.
        """
        seat = Seat(self, self.close)
        self._greenlet, self._group = seat, group
        group.add(seat)
        seat.take_turn(self.live)
        return seat

    @task
    def live(self) -> None:
        """Begin when it is due, come on and behave: the task that Locust lists for the user.

        :meth:`start` has it done once; Locust's loop over tasks would need a stack of its own.
        """
        self._begin_when_due()
        self._come_on_again()

    def _come_on_again(self, attempt: int = 0) -> None:
        """Come on, as often as it takes, and behave from then on."""
        while True:
            if self.absence.wait():
                attempt = 0
                gevent.sleep(self._back_off_s(attempt))
            try:
                try:
                    self.come_on()
                finally:
                    self.has_tried = True
            except ClientError as error:
                self._recover(error, attempt)
                attempt += 1
            else:
                # In a greenlet of its own: the stack that connecting took goes.
                self._take_turn(self._behave)
                return

    def _behave(self) -> None:
        try:
            is_leaving = self.behave()
        except ClientError as error:
            self._recover(error)
            self._come_on_again(1)
        else:
            if is_leaving:
                self._come_on_again()
            else:
                self.ended.rawlink(self._notice_end)

    def _notice_end(self, ended: AsyncResult) -> None:
        """Take the end of a connection that the user only listened to; in the hub."""
        self._take_turn(lambda: self._take_end(ended.value))

    def _take_turn(self, work: Callable[[], None]) -> None:
        seat: Seat = self.greenlet
        seat.take_turn(work)

    def _take_end(self, error: Exception) -> None:
        if not isinstance(error, ClientError):
            raise error
        self._recover(error)
        self._come_on_again(1)

    def _recover(self, error: ClientError, attempt: int = 0) -> None:
        """Note what kept this user from being on, and let pass the time until the next attempt."""
        if isinstance(error, ConnectRefused):
            # socket.io-client does not come back by itself after a refused CONNECT either.
            self._note_refusal(error, error.code or error.message)
            raise StopUser from error
        wait_s = self._note_failure(error)
        self.close()
        if not self.absence.is_ordered:
            gevent.sleep(max(wait_s, self._back_off_s(attempt)))

    def _back_off_s(self, attempt: int) -> float:
        return reconnect_delay_s(attempt, self._draw(attempt))

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

    def behave(self) -> bool:
        """Do what the behaviour does by itself, and return whether it has left to come on again.

        A user that has not left only listens from then on. Raises what ended the connection
        meanwhile.
        """
        return False

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
        self.is_measured = self._fast_path.is_timed = False
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
        self._more_symbols = (*self._more_symbols, *more)
        if more:
            self.change(ClientEvent.SUBSCRIBE, more, intended_ns)

    def let_go(self, intended_ns: int) -> None:
        """Unsubscribe from what commands had it subscribe to."""
        held, self._more_symbols = self._more_symbols, ()
        if held:
            self.change(ClientEvent.UNSUBSCRIBE, held, intended_ns)

    def change(
        self, event: ClientEvent, symbols: Sequence[str], intended_ns: int | None = None
    ) -> None:
        """Subscribe to symbols, or unsubscribe from them. Raises as :meth:`request`."""
        payload = {"channel": Channel.MARKET_DATA, "symbols": list(symbols)}
        self.request(event, payload, intended_ns)

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
            self._fast_path.wanted |= BY_SYMBOL

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
