"""``SocketIOUser``: a Socket.IO user for Locust files of your own.

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
        def list_subscriptions(self):
            self.call("get-subscriptions")

        def price(self, stamp_ns, payload):
            ...  # in the hub: do not block

Locust's table then has a line ``CONNECT``, one ``ACK`` for each event that was called, and one
``PUSH`` for each pushed event whose ``ts`` is of this machine's clock, or of a clock whose offset
is known. Its figures are rounded and not used for a verdict. A latency that cannot be measured
is absent, not zero. The connection closes when the user ends, for whatever reason.

A push that continues its stream is timed and counted without being decoded, unless the user
has a handler for it. A user needs a socket and Locust's greenlet, and no greenlet of its own.
``examples/locustfile.py`` is a complete file, and a test runs it.
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
from loadtests.health.clock_id import is_one_clock, read_clock_id
from loadtests.reading.fast_path import FastPath
from loadtests.reading.intake import place_of
from loadtests.reading.pushes import PushTable

__all__ = ["ClientError", "Reply", "SocketIOUser"]

CONNECT: Final = "CONNECT"
ACK: Final = "ACK"
LOST: Final = "lost"
STAMPED_EACH: Final = 50
"""The kernel stamps the reads of one user in this many."""
STAMPED_FIRST: Final = 64
"""The kernel stamps the reads of the first users: small runs need samples too."""
_NS_PER_MS: Final = 1_000_000


class SocketIOUser(User):
    """A virtual user with one Socket.IO connection.

    Attributes:
        host: the server, ``http://HOST:PORT``; Locust's ``-H``.
        number: of this user in its process, from 0.
        connect_timeout_s: from the first SYN to the answer to CONNECT, and as long again from
            there to the welcome event.
        call_timeout_s: for an acknowledgement.
        welcome: the payload of the last ``connected`` event; empty before it.
        welcome_ns: its read stamp.
        ended: holds what ended the connection once it is over.
        tls: what to trust with https and wss; None trusts the machine's authorities.
        receive_buffer_bytes: of the socket (``SO_RCVBUF``); None keeps the kernel's default.
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
        """Return the address to connect from. None, the default, lets the kernel choose."""
        return None

    def start(self, group: Group) -> Any:
        """Start the user's greenlet. The connection closes when the greenlet ends.

        Locust does not call ``on_stop`` when ``on_start`` raised or a task ended the user.
        """
        greenlet = super().start(group)
        greenlet.link(self._close_with_greenlet)
        return greenlet

    def connect(self, auth: object = None) -> dict[str, Any]:
        """Connect and return the welcome. Locust's table counts success and failure.

        Raises:
            ClientError: refused, unreachable or too late; see ``loadtests.errors``.
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
        """Send an event without an acknowledgement. Returns when its write began, monotonic ns.

        Raises:
            ClientError: there is no connection.
        """
        return self._require().emit(event, *arguments)

    def call(self, event: str, payload: object = None, *, intended_ns: int | None = None) -> Reply:
        """Send an event and wait for its acknowledgement, a line ``ACK`` in Locust's table.

        Args:
            event: its name.
            payload: None sends none.
            intended_ns: when it was due, monotonic. The response time counts from then; None
                means from the sending.

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
        """Call ``handler(stamp_ns, payload)`` for each such event. It must not block."""
        self._handlers[event] = handler
        self._fast_path.wanted |= {event}

    def close(self) -> None:
        """Close the connection. Idempotent."""
        if self.client is not None:
            self.client.close()

    def on_stop(self) -> None:
        """Close the connection when Locust stops the user."""
        self.close()

    def on_event(self, stamp_ns: int, name: str, arguments: tuple[Any, ...]) -> None:
        """Handle an event; part of ``loadtests.connection.client.Listener``.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            arguments: its payload, and what follows it.
        """
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
        """Handle the end of the connection; part of ``loadtests.connection.client.Listener``."""
        try:
            if not self._welcomed.ready():
                self._welcomed.set_exception(error)
            else:
                self._pushes.fail(CONNECT, LOST, error)
                self.lost(stamp_ns, error)
        finally:
            self.ended.set(error)

    def on_left_open(self, stamp_ns: int) -> None:
        """Take that the gateway disconnected it and left the transport open; for subclasses."""

    def welcomed(self, stamp_ns: int, payload: dict[str, Any]) -> None:
        """Handle the welcome, before :meth:`connect` returns; for subclasses. Must not block."""

    def received(self, stamp_ns: int, name: str, payload: Any) -> None:
        """Handle an event that the fast path left; for subclasses. Must not block.

        Args:
            stamp_ns: read stamp, monotonic.
            name: of the event.
            payload: its first argument.
        """

    def lost(self, stamp_ns: int, error: Exception) -> None:
        """Handle the loss of an established connection; for subclasses. Must not block."""

    def is_push(self, name: str, payload: dict[str, Any]) -> bool:  # noqa: ARG002 - for subclasses
        """Return whether an event's latency is measured.

        Snapshots and replays are never timed, nor is an event stamped by a clock whose offset
        from ours is unknown.
        """
        return (
            self._fast_path.is_timed
            and "ts" in payload
            and "snapshot" not in payload
            and "replayed" not in payload
        )

    def follow(self, name: str, payload: Any) -> None:
        """Let the fast path follow an event's stream; for subclasses with a ledger."""
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
