"""``VirtualUser``: the life of every user of a scenario, whatever its behaviour.

A user keeps its identity, its source address and its symbols over reconnections. A
failure that no scenario asked for is counted as an error and kept as an event. No failure ends
a user except a refused CONNECT. Nothing is an error that a command of the scenario caused.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar, Final

import gevent
from gevent.event import AsyncResult
from gevent.pool import Group
from gevent.timeout import Timeout
from locust import task
from locust.env import Environment
from locust.exception import StopUser

from gateway.contract import ClientEvent, ServerEvent
from loadtests.behaviours.commanded_user import CommandedUser
from loadtests.behaviours.user_greenlet import UserGreenlet
from loadtests.connection.protocol.backoff import reconnect_delay_s
from loadtests.errors import (
    ClientError,
    ConnectionClosed,
    ConnectRefused,
    NotConnected,
    Refused,
)
from loadtests.record.gateway_orders import RESTARTED_WITHIN_S
from loadtests.results import Event, Series

_NS_PER_S: Final = 1_000_000_000
_ASK_AGAIN_S: Final = 1.0
_LATER_S: Final = 1.0
"""A newer token expires at least this much later: tokens tell whole seconds."""


class VirtualUser(CommandedUser):
    """A user of a scenario: it connects, follows its behaviour and reconnects.

    A behaviour is a subclass. It sets ``group``, and overrides ``subscribe_all`` and ``behave``
    where it does more than stay connected.

    Attributes:
        has_fixed_count: whether ``-u`` and load stages leave the number of its users alone.
        has_tried: whether it has connected, or failed to, at least once.
        has_begun: whether its session has begun.
        connects: how many welcomes it has received.
        first_welcome_ns: read stamp of the first welcome, monotonic; None before it.
    """

    abstract = True
    has_fixed_count: ClassVar[bool] = False

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment, *self.run_context.enter(self))
        self.has_tried = False
        self.has_begun = False
        self.connects = 0
        self.first_welcome_ns: int | None = None

    def start(self, group: Group) -> UserGreenlet:
        """Begin the user's life among Locust's users, which lasts until Locust ends it.

        The user has a running greenlet only while it has work; see ``user_greenlet``.
        """
        greenlet = UserGreenlet(self, self.close)
        self._greenlet, self._group = greenlet, group
        group.add(greenlet)
        greenlet.run_soon(self.live)
        return greenlet

    @task
    def live(self) -> None:
        """Begin when due, connect and behave: the task that Locust lists for the user.

        :meth:`start` runs it once. Locust's loop over tasks would need a stack of its own.
        """
        self._begin_when_due()
        self._connect_until_on()

    def connect_and_subscribe(self) -> None:
        """Connect, receive the welcome, subscribe.

        Raises:
            ClientError: the gateway refused, could not be reached or did not answer in time.
        """
        try:
            self.connect({"token": self.token(), **self.said()})
        except ClientError as error:
            self._note_attempt(error)
            if self.run_context.has_nodes:
                self._refusals += 1
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
        self._end_absence()
        self.subscribe_all()
        if self._more_symbols:
            self.change(ClientEvent.SUBSCRIBE, self._more_symbols)

    def token(self) -> str:
        """Return the token for the next connection."""
        return self.run_context.tokens.token(self.index)

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Refresh a token that is about to expire, and leave other events to the account.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            payload: its first argument.
        """
        if name == ServerEvent.TOKEN_EXPIRING:
            gevent.spawn(self._refresh_token, payload)  # the hub, the caller, must not wait
        else:
            super().received(stamp_ns, name, payload)

    def _refresh_token(self, warning: dict[str, Any]) -> None:
        """Refresh with a newer token. The expiring one would only bring the warning again."""
        client, tokens = self.client, self.run_context.tokens
        expires_unix_s = datetime.fromisoformat(str(warning["expiresAt"])).timestamp()
        while self.is_on and self.client is client and not self.run_context.is_over():
            token = self.token()
            end_unix_s = tokens.end_unix_s(self.index)
            if end_unix_s is None or end_unix_s > expires_unix_s + _LATER_S:
                # The loss of the connection is counted where it is noticed: in lost().
                with suppress(ConnectionClosed):
                    self.request(ClientEvent.TOKEN_REFRESH, {"token": token})
                return
            gevent.sleep(_ASK_AGAIN_S)

    def said(self) -> dict[str, object]:
        """Return what it says when it connects, beside its token."""
        return {}

    @property
    def may_own(self) -> bool:
        """Whether the publisher may name it as the owner of private events."""
        return False

    def subscribe_all(self) -> None:
        """Subscribe as the behaviour does after each welcome."""

    def behave(self) -> bool:
        """Do what the behaviour does once it is connected.

        Returns:
            Whether the user has disconnected and is to connect again. A user that has not
            disconnected only listens from then on.

        Raises:
            ClientError: the connection ended meanwhile.
        """
        return False

    def close(self) -> None:
        """Close the connection and its accounts."""
        self._leave(time.monotonic_ns())
        super().close()

    def _begin_when_due(self) -> None:
        """Wait for the session's intended time, and record how late it began."""
        if self.due_ns is None:
            self.due_ns = time.monotonic_ns()
        gevent.sleep(max(0, self.due_ns - time.monotonic_ns()) / _NS_PER_S)
        now_ns = time.monotonic_ns()
        self.has_begun = True
        self._recorder.count("offered")
        self._recorder.count("sent")
        self._recorder.span(Series.SESSION_DELAY, max(0, now_ns - self.due_ns), now_ns)

    def _connect_until_on(self, attempt: int = 0) -> None:
        """Connect, as often as it takes, and behave from then on."""
        while True:
            if self.absence.wait():
                attempt = 0
                gevent.sleep(self._back_off_s(attempt))
            try:
                try:
                    self.connect_and_subscribe()
                finally:
                    self.has_tried = True
            except ClientError as error:
                self._recover(error, attempt)
                attempt += 1
            else:
                # A new greenlet frees the stack that connecting took.
                self._run_soon(self._behave)
                return

    def _behave(self) -> None:
        try:
            has_left = self.behave()
        except ClientError as error:
            self._recover(error)
            self._connect_until_on(1)
        else:
            if has_left:
                self._connect_until_on()
            else:
                self.ended.rawlink(self._notice_end)

    def _notice_end(self, ended: AsyncResult) -> None:
        """Take the end of a connection that the user only listened to. Runs in the hub."""
        self._run_soon(lambda: self._take_end(ended.value))

    def _run_soon(self, work: Callable[[], None]) -> None:
        greenlet: UserGreenlet = self.greenlet
        greenlet.run_soon(work)

    def _take_end(self, error: Exception) -> None:
        if not isinstance(error, ClientError):
            raise error
        self._recover(error)
        self._connect_until_on(1)

    def _recover(self, error: ClientError, attempt: int = 0) -> None:
        """Record why the user is not connected, and wait until its next attempt."""
        if isinstance(error, ConnectRefused):
            # socket.io-client does not come back by itself after a refused CONNECT either.
            self._note_refusal(error, error.code or error.message)
            raise StopUser from error
        wait_s = self._note_failure(error)
        self.close()
        has_another = self._has_another_node()
        if self._refusals:
            self._go_on()
        if not self.absence.is_ordered and not has_another:
            gevent.sleep(max(wait_s, self._back_off_s(attempt)))

    def _has_another_node(self) -> bool:
        """Return whether this node refused it and not every node has, since it last waited."""
        return self._refusals > 0 and self._refusals % len(self.run_context.urls) > 0

    def _back_off_s(self, attempt: int) -> float:
        # One seed a draw: a generator kept by each user would take 2.5 KB.
        key = f"{self.run_context.scenario.seed}:{self.user_id}:{self.connects}:{attempt}"
        draw = random.Random(key).random()  # noqa: S311 - a load plan, repeatable by its seed
        return reconnect_delay_s(attempt, draw)

    def _wait_until(self, due_ns: int) -> None:
        """Sleep until a moment, monotonic. Raises what ended the connection meanwhile."""
        wait_s = (due_ns - time.monotonic_ns()) / _NS_PER_S
        try:
            error = self.ended.get(timeout=max(0.0, wait_s))
        except Timeout:
            return
        raise error

    def _note_failure(self, error: ClientError) -> float:
        """Count what disconnected this user. Returns how long the gateway asks to wait, in s."""
        wait_s = error.retry_after_s or 0.0 if isinstance(error, Refused) else 0.0
        if (self._refusals or isinstance(error, NotConnected)) and self._is_node_away():
            self.absence.begin(time.monotonic_ns())
        if self.absence.since_ns is not None:
            return wait_s
        if isinstance(error, Refused):
            self._note_refusal(error, f"HTTP {error.status}", is_error=not self._is_sent_on(error))
        # The loss of a connection is counted once, where it is noticed: in lost().
        elif not isinstance(error, ConnectionClosed) and self.is_measured:
            self.note_failure(error, str(error))
        return wait_s

    def _is_node_away(self) -> bool:
        """Return whether a command ended this node, of several, a short time ago."""
        now_ns = time.monotonic_ns()
        after_ns = now_ns - round(RESTARTED_WITHIN_S * _NS_PER_S)
        ordered_ns = self.run_context.gateway_ordered_ns(after_ns, now_ns, self.node)
        return self.run_context.has_nodes and ordered_ns is not None

    def _is_sent_on(self, error: Refused) -> bool:
        """Return whether a node that takes no clients leaves another to try, as with a balancer."""
        return error.status == HTTPStatus.SERVICE_UNAVAILABLE and self._has_another_node()

    def _note_refusal(self, error: ClientError, outcome: str, *, is_error: bool = True) -> None:
        if is_error:
            self._recorder.count("errors")
        self.note(Event.REFUSE, time.monotonic_ns(), outcome, detail=str(error))
