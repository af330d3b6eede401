"""The face for people who write Locust files: a Socket.IO user.

::

    from locust import between, task
    from loadtests.user import SocketIOUser

    class Watcher(SocketIOUser):
        wait_time = between(2, 5)

        def on_start(self):
            self.connect({"token": "…"})
            self.on("price:update", self.price)
            self.call("subscribe", {"channel": "market-data", "symbols": ["BTC/USDT"]})

        @task
        def look(self):
            self.call("get-subscriptions")

        def price(self, stamp_ns, payload):
            ...  # in the hub: do not block

Locust's table then has a line ``CONNECT``, one ``ACK`` for each event that was
called, and one ``PUSH`` for each event that carries ``ts`` and was published on
this machine's clock. Its figures are rounded and nothing judges them; a latency
that cannot be measured is absent, not zero. The connection is closed when the
user ends, however it ends.

A push that continues its stream is timed and counted without being decoded for the user,
unless a handler waits for it: a user costs a socket and no greenlet of its own beside
Locust's. ``examples/locustfile.py`` is a whole file, and a test runs it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from gevent.event import AsyncResult
from gevent.pool import Group
from gevent.timeout import Timeout

# An exported name: a Locust file needs no second import for its tasks.
from locust import User
from locust.env import Environment

from gateway.contract import USER_STREAM, ServerEvent
from loadtests.connection.calls import CALL_TIMEOUT_S, Reply
from loadtests.connection.client import CONNECT_TIMEOUT_S, Client
from loadtests.errors import ClientError, NotConnected, TimedOut
from loadtests.health.clocks import is_one_clock, read_clock_id
from loadtests.reading.fast_path import FastPath
from loadtests.reading.intake import place_of
from loadtests.reading.pushes import PushTable

__all__ = ["ClientError", "Reply", "SocketIOUser"]

CONNECT: Final = "CONNECT"
ACK: Final = "ACK"
LOST: Final = "lost"
STAMPED_EACH: Final = 50
"""One user in so many has its reads stamped by the kernel too."""
STAMPED_FIRST: Final = 64
"""So many users have it at least: a small run's quantiles need samples as well."""
_NS_PER_MS: Final = 1_000_000


class SocketIOUser(User):
    """A virtual user with one Socket.IO connection.

    Attributes:
        host: the server, ``http://HOST:PORT``; Locust's ``-H``.
        number: of this user in its process, from 0.
        connect_timeout_s: from the first SYN to the welcome event.
        call_timeout_s: for an acknowledgement.
        welcome: the payload of the last ``connected`` event; empty before it.
        welcome_ns: its read stamp.
        ended: holds what ended the connection once it is over.
        tls: whom to trust with https and wss; None takes the machine's authorities.
        receive_buffer_bytes: of the socket (``SO_RCVBUF``); None leaves it to the kernel.
    """

    abstract = True
    connect_timeout_s = CONNECT_TIMEOUT_S
    call_timeout_s = CALL_TIMEOUT_S
    tls: ssl.SSLContext | None = None
    receive_buffer_bytes: int | None = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.welcome: dict[str, Any] = {}
        self.welcome_ns = 0
        self.ended: AsyncResult = AsyncResult()
        self.client: Client | None = None
        self.is_one_clock = False
        self._welcomed: AsyncResult = AsyncResult()
        self._handlers: dict[str, Callable[[int, Any], None]] = {}
        self._pushes = PushTable.of(environment)
        self.number = self._pushes.enter()
        self._fast_path = FastPath(self._pushes.intake, self.number)

    def source_address(self) -> str | None:
        """Return the address to connect from; None, the default, leaves it to the kernel."""
        return None

    def start(self, group: Group) -> Any:
        """Start the user's greenlet; its connection ends with it, whatever ends it.

        Locust calls ``on_stop`` neither when ``on_start`` raised nor when a task ended the user.
        """
        greenlet = super().start(group)
        greenlet.link(self._close_with_greenlet)
        return greenlet

    def connect(self, auth: object = None) -> dict[str, Any]:
        """Connect and return the welcome; a line ``CONNECT`` in Locust's table either way.

        Raises:
            ClientError: refused, unreachable or too late; ``loadtests.errors`` has the tree.
        """
        if self.client is None:
            self.client = Client(
                str(self.host or ""),
                self,
                fast_path=self._fast_path,
                is_stamped=self.number % STAMPED_EACH == 0 or self.number < STAMPED_FIRST,
                source_address=self.source_address(),
                connect_timeout_s=self.connect_timeout_s,
                receive_buffer_bytes=self.receive_buffer_bytes,
                tls=self.tls,
            )
        self._pushes.start()
        self._welcomed = AsyncResult()
        self.ended = AsyncResult()
        self._fast_path.clear()
        try:
            self.client.connect(auth)
            self._await_welcome()
        except ClientError as error:
            self.client.close()
            self._fire(CONNECT, "connect", None, error)
            raise
        self._fire(CONNECT, "connect", self.welcome_ns - self.client.started_ns)
        return self.welcome

    def emit(self, event: str, *arguments: object) -> int:
        """Send an event without asking for an answer, and return when it was sent, in ns.

        Raises:
            ClientError: there is no connection.
        """
        return self._require().emit(event, *arguments)

    def call(self, event: str, payload: object = None, *, intended_ns: int | None = None) -> Reply:
        """Send an event and wait for its acknowledgement; a line ``ACK`` in Locust's table.

        Args:
            event: its name.
            payload: None sends none.
            intended_ns: when it should have been sent; the response time counts from then.

        Raises:
            ClientError: no answer in ``call_timeout_s``, or no connection.
        """
        try:
            reply = self._require().call(
                event, payload, timeout_s=self.call_timeout_s, intended_ns=intended_ns
            )
        except ClientError as error:
            self._fire(ACK, event, None, error)
            raise
        self._fire(ACK, event, reply.response_ns)
        return reply

    def on(self, event: str, handler: Callable[[int, Any], None]) -> None:
        """Have ``handler(stamp_ns, payload)`` called for an event; it must not block."""
        self._handlers[event] = handler
        self._fast_path.wanted |= {event}

    def close(self) -> None:
        """Close the connection; idempotent."""
        if self.client is not None:
            self.client.close()

    def on_stop(self) -> None:
        """Close the connection when Locust stops the user."""
        self.close()

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:
        """Take an event; part of ``loadtests.connection.client.Listener``."""
        payload = arguments[0] if arguments else None
        if name == ServerEvent.CONNECTED and isinstance(payload, dict):
            self.welcome, self.welcome_ns = self._pushes.share_limits(payload), stamp_ns
            self.is_one_clock = is_one_clock(_our_clock(), payload.get("clock"))
            self._fast_path.is_timed = (
                self.is_one_clock or self._pushes.intake.offset_ns is not None
            )
            self.welcomed(stamp_ns, payload)
            self._welcomed.set(None)
        if isinstance(payload, dict) and self.is_push(name, payload):
            self._pushes.intake.take(stamp_ns, self._fast_path.owner, name, payload)
        else:
            self._pushes.intake.others += 1
        self.follow(name, payload)
        self.received(stamp_ns, name, payload)
        handler = self._handlers.get(name)
        if handler is not None:
            handler(stamp_ns, payload)

    def on_end(self, stamp_ns: int, error: Exception) -> None:
        """Take the end of the connection; part of ``loadtests.connection.client.Listener``."""
        try:
            if not self._welcomed.ready():
                self._welcomed.set_exception(error)
            else:
                self._pushes.fail(CONNECT, LOST, error)
                self.lost(stamp_ns, error)
        finally:
            self.ended.set(error)

    def welcomed(self, stamp_ns: int, payload: dict[str, Any]) -> None:
        """Take the welcome, before :meth:`connect` returns; for subclasses. Must not block."""

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Take an event that the fast path did not; for subclasses. In the hub: must not block."""

    def lost(self, stamp_ns: int, error: Exception) -> None:
        """Take the loss of an established connection; for subclasses. Must not block."""

    def is_push(self, name: str, payload: dict[str, Any]) -> bool:  # noqa: ARG002 - for subclasses
        """Return whether an event's latency is to be measured.

        Snapshots and replays are never timed, nor is anything on another clock than ours
        whose offset nobody knows.
        """
        return (
            self._fast_path.is_timed
            and "ts" in payload
            and "snapshot" not in payload
            and "replayed" not in payload
        )

    def follow(self, name: str, payload: Any) -> None:
        """Let the fast path take what continues an event's stream; for subclasses with a ledger."""
        if isinstance(payload, dict) and "seq" in payload and "snapshot" not in payload:
            place = place_of(name, payload)
            if place is not None and place.stream != USER_STREAM:
                self._fast_path.follow(place.stream, place.number)

    def _await_welcome(self) -> None:
        try:
            self._welcomed.get(timeout=self.connect_timeout_s)
        except Timeout:
            raise TimedOut("the welcome event", self.connect_timeout_s) from None

    def _require(self) -> Client:
        if self.client is None:
            raise NotConnected("nothing can be sent before connect()")
        return self.client

    def _close_with_greenlet(self, _greenlet: object) -> None:
        self.close()

    def _fire(
        self, kind: str, name: str, span_ns: int | None, error: Exception | None = None
    ) -> None:
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=None if span_ns is None else span_ns / _NS_PER_MS,
            response_length=0,
            exception=error,
            context=self.context(),
        )


@lru_cache(maxsize=1)
def _our_clock() -> str | None:
    return read_clock_id()
