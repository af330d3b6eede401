"""``CommandedUser``: what the scenario's commands do to a user, and its planned absences."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, Final

from gevent.event import Event as Signal
from locust.env import Environment

from gateway.contract import Channel, ClientEvent
from loadtests.behaviours.measured_user import MeasuredUser
from loadtests.errors import ClientError, ConnectionClosed, Refused, TimedOut, Unreachable
from loadtests.oracles.ledger import BY_SYMBOL
from loadtests.results import AttemptOutcome, EndOutcome, Event, Series

_ATTEMPTS: Final = (
    (Refused, AttemptOutcome.REFUSED),
    (Unreachable, AttemptOutcome.UNREACHABLE),
    (TimedOut, AttemptOutcome.LATE),
)


class PlannedAbsence:
    """Whether a user is disconnected because a command or a drain of the gateway said so.

    Attributes:
        since_ns: when the absence began; None while there is none.
            A connection tried meanwhile is an attempt, and a failed attempt is no error.
    """

    __slots__ = ("_may_return", "since_ns")

    def __init__(self) -> None:
        self.since_ns: int | None = None
        self._may_return: Signal | None = None

    @property
    def is_ordered(self) -> bool:
        """Whether the user must stay away until a command lets it return."""
        return self._may_return is not None

    def begin(self, now_ns: int) -> None:
        """Begin an absence that the user may end at any time."""
        if self.since_ns is None:
            self.since_ns = now_ns

    def order(self, now_ns: int) -> None:
        """Begin an absence that lasts until ``allow_return``."""
        self.since_ns = now_ns
        if self._may_return is None:
            self._may_return = Signal()

    def allow_return(self) -> None:
        """Let the user return."""
        signal, self._may_return = self._may_return, None
        if signal is not None:
            signal.set()

    def wait(self) -> bool:
        """Wait until the user may return. Returns whether it had to wait."""
        signal = self._may_return
        if signal is None:
            return False
        signal.wait()
        return True

    def end(self) -> int | None:
        """End the absence. Returns when it began, None when there was none."""
        since_ns, self.since_ns = self.since_ns, None
        return since_ns


class CommandedUser(MeasuredUser):
    """A measured user that carries out commands.

    Attributes:
        own_symbols: symbols that its behaviour adds and removes beside those of the scenario.
        is_paused: whether it has stopped reading. A paused user is owed nothing at the end.
        absence: whether a command or a drain of the gateway has disconnected it.
    """

    abstract = True
    own_symbols: ClassVar[int] = 0
    is_paused: bool = False
    _more_symbols: tuple[str, ...] = ()

    def __init__(self, environment: Environment, index: int, due_ns: int | None) -> None:
        super().__init__(environment, index, due_ns)
        self.absence = PlannedAbsence()

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
        """Stop reading. What this user reads later is late by its own doing and is not timed."""
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
        """Subscribe to ``count`` more symbols, now and after each reconnection."""
        held = self.run_context.scenario.users.symbols().get(self.group, 0) + self.own_symbols
        held += len(self._more_symbols)
        more = self.run_context.symbols_of(self.user_id, held + count)[held:]
        self._more_symbols = (*self._more_symbols, *more)
        if more:
            self.change(ClientEvent.SUBSCRIBE, more, intended_ns)

    def let_go(self, intended_ns: int) -> None:
        """Unsubscribe from the symbols that commands added."""
        held, self._more_symbols = self._more_symbols, ()
        if held:
            self.change(ClientEvent.UNSUBSCRIBE, held, intended_ns)

    def change(
        self, event: ClientEvent, symbols: Sequence[str], intended_ns: int | None = None
    ) -> None:
        """Subscribe to symbols at the group's rate, or unsubscribe from them.

        Args:
            event: ``SUBSCRIBE`` or ``UNSUBSCRIBE``.
            symbols: of the market data channel.
            intended_ns: when the request was due, monotonic; None means now.

        Raises:
            ClientError: the connection ended.
        """
        payload: dict[str, object] = {"channel": Channel.MARKET_DATA, "symbols": list(symbols)}
        rate = self.run_context.scenario.users.max_rates().get(self.group)
        if rate is not None and event == ClientEvent.SUBSCRIBE:
            payload["maxRate"] = rate
        self.request(event, payload, intended_ns)

    def stop_requests(self, now_ns: int) -> None:
        """Send no more requests, and count those that were due by now and not sent.

        A user that does not read cannot be owed unread events, so its connection ends here.
        """
        if self.is_paused:
            self._leave(now_ns)
            if self.client is not None:
                self.client.drop()

    def lost(self, stamp_ns: int, error: Exception) -> None:
        """Record the end of a connection. An end that no command asked for is an error."""
        ordered_ns = self.run_context.gateway_ordered_ns(self.welcome_ns, stamp_ns, self.node)
        outcome = str(EndOutcome.DRAINED) if ordered_ns is not None else type(error).__name__
        if ordered_ns is not None:
            self.absence.begin(stamp_ns)
            if self.is_measured:
                self._recorder.span(Series.DRAIN_CLOSE, stamp_ns - ordered_ns, stamp_ns)
        elif self.is_measured:
            self.note_error("disconnected", str(error), stamp_ns)
        self.note(Event.DISCONNECT, stamp_ns, outcome, detail=str(error))
        self._leave(stamp_ns)

    def _wake(self, error: ClientError) -> None:
        """Tell everything that waits for this connection that it has ended."""
        if not self._welcomed.ready():
            self._welcomed.set_exception(error)
        if not self.ended.ready():
            self.ended.set(error)

    def _end_absence(self) -> None:
        """Record how long a planned absence lasted, if there was one."""
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
        """Record a connection that failed during a planned absence."""
        since_ns = self.absence.since_ns
        if since_ns is not None:
            now_ns = time.monotonic_ns()
            found = (outcome for kind, outcome in _ATTEMPTS if isinstance(error, kind))
            outcome = next(found, AttemptOutcome.ENDED)
            self.note(Event.ATTEMPT, now_ns, outcome, value_ns=now_ns - since_ns, detail=str(error))
