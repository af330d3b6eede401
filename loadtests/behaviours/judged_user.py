"""``JudgedUser``: a user that records what happens to it, and each broken promise of the contract.

The oracles (``loadtests.oracles``) judge. ``measured_user`` adds times, deliveries and heartbeats.
"""

from __future__ import annotations

import time
from collections.abc import Set
from typing import Any, ClassVar, Final

from locust.env import Environment

from gateway.contract import USER_STREAM, ClientEvent, ErrorCode, ServerEvent
from loadtests.behaviours.run_context import RunContext
from loadtests.connection.calls import Reply
from loadtests.errors import ClientError, Disconnected, Exhausted
from loadtests.oracles.answers import mistake_in_answer, mistake_in_welcome
from loadtests.oracles.checksums import is_altered
from loadtests.oracles.ledger import ACCOUNTED, BY_SYMBOL, market_stream_of
from loadtests.oracles.snapshots import ExpectedSnapshots, SharedContents
from loadtests.reading.accounts import FastPathAccount
from loadtests.record.recording import Recorder
from loadtests.results import Event, LeakOutcome, WrongOutcome
from loadtests.user import SocketIOUser

MOST_LEAKS: Final = 100
"""Leaked events that are kept whole for each user: a broken gateway may send very many."""
MOST_WRONG: Final = 100
"""Broken promises that are kept for each user."""
_LONGEST_DETAIL: Final = 500
_FOR_GOOD: Final = frozenset(
    [ErrorCode.TOKEN_EXPIRED, ErrorCode.AUTH_FAILED, ErrorCode.TOO_MANY_CONNECTIONS]
)
"""Errors after which the gateway disconnects a client for good. No scenario kicks a user."""


class JudgedUser(SocketIOUser):
    """A user of a scenario, as far as its gateway is judged.

    Attributes:
        run_context: shared by all users. It is set on the class when a run begins, as Locust
            sets ``host``.
        group: the behaviour's name in scenarios and results.
        is_well_behaved: whether it keeps all rules. Failures of other users are no errors.
        index: its place among the users of the scenario, from 0.
        user_id: ``sub`` of its token.
        is_on: whether it is connected and has received its welcome.
        account: its account in the ledger.
    """

    abstract = True
    run_context: ClassVar[RunContext]
    group: ClassVar[str] = ""
    is_well_behaved: ClassVar[bool] = True
    # Defaults that most users never change are class attributes. An instance with more than 30
    # attributes of its own stops sharing their names: 1.3 KB instead of 0.3 KB.
    _error_code: object = None
    _leaks: int = 0
    _wrong: int = 0
    _snapshots: ExpectedSnapshots | None = None

    def __init__(self, environment: Environment, index: int) -> None:
        super().__init__(environment)
        self.index = index
        self.user_id = self.run_context.tokens.user_id(index)
        self.is_on = False
        self._fast_path.owner = len(self.run_context.users) - 1
        self.account = FastPathAccount(self.user_id, self.group, self._fast_path)
        self.account.on_leak = self._note_leak
        self.run_context.ledger.keep(self.account)

    def call(self, event: str, payload: object = None, *, intended_ns: int | None = None) -> Reply:
        """Send an event, wait for its acknowledgement, and judge whether it answers the event.

        Args:
            event: its name.
            payload: None sends none.
            intended_ns: when it was due, monotonic; None means now.

        Raises:
            ClientError: no answer in ``call_timeout_s``, or no connection.
        """
        before = self.account.rooms() if event == ClientEvent.GET_SUBSCRIPTIONS else None
        reply = super().call(event, payload, intended_ns=intended_ns)
        # Rooms that changed meanwhile, by a command of the scenario, leave the right list open.
        is_known = before is not None and before == self.account.rooms()
        self.judge_answer(event, payload, reply, before if is_known else None)
        return reply

    def welcomed(self, stamp_ns: int, payload: dict[str, Any]) -> None:
        """Judge the identity that the welcome names. What the last connection owed is void."""
        self._snapshots = None
        self._contents.begin(payload.get("epoch"))
        sid = "" if self.client is None else self.client.sid
        mistake = mistake_in_welcome(payload, self.user_id, sid)
        if mistake is not None:
            self.note_wrong(WrongOutcome.ANSWER, f"welcome: {mistake}", stamp_ns)
        if self._error_code is not None:
            self._error_code = None

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:
        """Keep the code of an error, which may be the reason of a disconnection.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            arguments: its payload, and what follows it.
        """
        if name == ServerEvent.ERROR and arguments and isinstance(arguments[0], dict):
            self._error_code = arguments[0].get("code")
        super().on_event(stamp_ns, name, arguments)

    def on_end(self, stamp_ns: int, error: Exception) -> None:
        """Judge a DISCONNECT, which keeps a stock client away."""
        if isinstance(error, Disconnected) and self._error_code not in _FOR_GOOD:
            words = f"the last error was {self._error_code}"
            self.note_wrong(WrongOutcome.STRANDED, words, stamp_ns)
        super().on_end(stamp_ns, error)

    def on_left_open(self, stamp_ns: int) -> None:
        """Record a transport that the gateway did not close."""
        self.note_wrong(WrongOutcome.LEFT_OPEN, "the transport stayed open", stamp_ns)

    def note(self, event: Event, at_ns: int, outcome: str = "", **facts: Any) -> None:
        """Record an event of this user.

        Args:
            event: what happened.
            at_ns: when, monotonic.
            outcome: how it ended; see the enumerations of ``loadtests.results``.
            facts: other columns of ``events``: ``sent_ns``, ``value_ns``, ``detail``.
        """
        self._recorder.event(
            event, at_ns=at_ns, user=self.user_id, group=self.group, outcome=outcome, **facts
        )

    def note_failure(self, error: ClientError, detail: str) -> None:
        """Count a failure to reach the gateway, unless this machine is to blame."""
        if isinstance(error, Exhausted):
            self.run_context.lose(f"the load generator is at its own limit: {error}")
        else:
            self.note_error(type(error).__name__, detail)

    def note_error(self, outcome: str, detail: str, at_ns: int | None = None) -> None:
        """Count a failure that no scenario asked for, and record its message.

        Args:
            outcome: the error's code or class.
            detail: the message.
            at_ns: when, monotonic; None means now.
        """
        self._recorder.count("errors")
        moment_ns = time.monotonic_ns() if at_ns is None else at_ns
        self.note(Event.ERROR, moment_ns, outcome, detail=detail)

    def note_wrong(self, outcome: WrongOutcome, words: str, at_ns: int | None = None) -> None:
        """Record a broken promise of the contract; those over ``MOST_WRONG`` are left out.

        Args:
            outcome: which promise.
            words: what came, for a human.
            at_ns: when, monotonic; None means now.
        """
        self._wrong += 1
        if self._wrong <= MOST_WRONG:
            moment_ns = time.monotonic_ns() if at_ns is None else at_ns
            self.note(Event.WRONG, moment_ns, outcome, detail=words[:_LONGEST_DETAIL])

    def judge_answer(
        self, event: str, request: object, reply: Reply, held: Set[str] | None = None
    ) -> None:
        """Record an acknowledgement that does not answer its request; a refusal always does.

        Args:
            event: the request.
            request: its payload; None without one.
            reply: the acknowledgement.
            held: rooms of the user, for ``get-subscriptions``; None when they are unknown.
        """
        if refusal_of(reply) is None:
            mistake = mistake_in_answer(event, request, reply.payload, held)
            if mistake is not None:
                self.note_wrong(WrongOutcome.ANSWER, mistake, reply.done_ns)

    def judge_content(self, stamp_ns: int, name: str, payload: dict[str, Any]) -> None:
        """Record an event whose payload is not the published one.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            payload: its first argument.
        """
        is_snapshot = payload.get("snapshot") is True
        if is_snapshot:
            self._judge_snapshot(stamp_ns, name, payload)
        if is_altered(name, payload) or not (is_snapshot or self._agrees(name, payload)):
            self.note_wrong(WrongOutcome.ALTERED, f"{name}: {payload}", stamp_ns)

    def _agrees(self, name: str, payload: dict[str, Any]) -> bool:
        """Return whether a shared event says what the first copy of its number said."""
        if name in BY_SYMBOL:
            stream = market_stream_of(name, payload["symbol"])
        else:
            stream = ACCOUNTED[name].stream.kind
        if stream == USER_STREAM or "userSeq" in payload:
            return True
        return self._contents.agrees(stream, payload["seq"], payload)

    def _judge_snapshot(self, stamp_ns: int, name: str, payload: dict[str, Any]) -> None:
        """Record a snapshot of another number than the subscription's, or of another content."""
        stream, number = market_stream_of(name, payload["symbol"]), payload["seq"]
        expected = self._snapshots
        mistake = expected.take(stream, number) if expected is not None else None
        if mistake is None and not self._agrees(name, payload):
            mistake = f"{stream}: the snapshot of {number} says something else than the event"
        if mistake is not None:
            self.note_wrong(WrongOutcome.SNAPSHOT, mistake, stamp_ns)
        if expected is not None and not expected:
            self._snapshots = None
            self.note(Event.SNAPSHOTS, stamp_ns)

    def expect_snapshots(self, payload: dict[str, Any]) -> None:
        """Take a ``subscribed``, before the account does. Only a user that reads well is judged."""
        if not self.is_well_behaved:
            return
        expected = self._snapshots or ExpectedSnapshots()
        expected.expect(self.account.rooms(), payload)
        self._snapshots = expected or None

    def settle_snapshots(self, now_ns: int) -> None:
        """Record the snapshots that have not come."""
        for stream in self.missing_snapshots():
            self.note_wrong(WrongOutcome.SNAPSHOT, f"{stream}: no snapshot came", now_ns)
        self._snapshots = None

    def missing_snapshots(self) -> list[str]:
        """Return the streams of which neither a snapshot nor a later event has come."""
        expected = self._snapshots
        return [] if expected is None else expected.missing(self.account.last_of)

    @property
    def _contents(self) -> SharedContents:
        return self._pushes.intake.contents

    @property
    def _recorder(self) -> Recorder:
        return self.run_context.recorder

    def _note_leak(self, outcome: LeakOutcome, words: str) -> None:
        """Record an event that this user must not see. The ledger counts those over the limit."""
        self._leaks += 1
        if self._leaks <= MOST_LEAKS:
            self.note(Event.LEAK, time.monotonic_ns(), outcome, detail=words)


def refusal_of(reply: Reply) -> dict[str, Any] | None:
    """Return the error of an acknowledgement, None when the request succeeded."""
    payload = reply.payload
    error = payload.get("error") if isinstance(payload, dict) else None
    return error if isinstance(error, dict) else None
