"""``Engine``: the Engine.IO 4 sessions of a server, on asyncio sockets.

It does not depend on python-engineio: ``dropin.EngineServer`` adds that interface. The module
is long because it holds the whole life of a session, from its first to its last table.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import time
from binascii import b2a_base64
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from gateway.limits.log_lines import LogLines
from gateway.transport import frames
from gateway.transport.counts import Counts, EndReason
from gateway.transport.dismissed import Dismissed
from gateway.transport.engine_options import EngineOptions
from gateway.transport.engine_session import EngineSession
from gateway.transport.environ import RequestEnviron
from gateway.transport.payloads import PacketType
from gateway.transport.refusals import HandshakeRefusal
from gateway.transport.siblings import Siblings
from gateway.transport.wheel import Sleeper, WheelTimer

_CLEANUP_SLICE_NS: Final = 5_000_000
_NS_PER_S: Final = 1_000_000_000
_SHORTEST_TICK_NS: Final = 4_000_000
_LONGEST_TICK_NS: Final = 100_000_000
_CLOSES_A_TURN: Final = 100
_SHUTDOWN_POLL_S: Final = 0.01
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_ID_RANDOM_BYTES: Final = 12
_IDS_A_READ: Final = 64  # ids whose random bytes one system call reads

log = logging.getLogger("gateway.transport")


class Application(Protocol):
    """The user of the sessions: Engine.IO handlers, or a Socket.IO server."""

    def opened(self, session: EngineSession) -> Any:
        """Admit a new session: return ``None`` or true, or an awaitable of that."""

    def received(self, session: EngineSession, data: str | bytes) -> None:
        """Handle one message."""

    def breached(self, session: EngineSession, what: str) -> None:
        """Note a breach of the protocol. The engine closes the session afterwards."""

    def closed(self, session: EngineSession, reason: str) -> None:
        """Note the end of a session, before the engine forgets it."""


class Engine:
    """The sessions of an Engine.IO 4 server.

    Args:
        options: limits and hooks.
        application: the user of the sessions.
        ping_interval: seconds between two pings of a client.
        ping_timeout: seconds that a client may take to answer a ping.
        max_message_bytes: bytes of a message or polling body.
        transports: the served transports, of ``polling`` and ``websocket``.
        allow_upgrades: whether a polling session may move to a WebSocket.
    """

    sequence_number: int = 0

    def __init__(
        self,
        options: EngineOptions,
        application: Application,
        *,
        ping_interval: float,
        ping_timeout: float,
        max_message_bytes: int,
        transports: Sequence[str],
        allow_upgrades: bool,
    ) -> None:
        clock = options.clock
        self.now_ns = clock
        self.application = application
        self.sockets: dict[str, EngineSession] = {}
        self.frame_limits = frames.FrameLimits(
            max_message_bytes=max_message_bytes, max_fragments=options.max_fragments
        )
        self.max_message_bytes = max_message_bytes
        self.transports = list(transports)
        self.allow_upgrades = allow_upgrades
        self.connect_timeout_ns = round((options.connect_timeout or 0) * _NS_PER_S)
        self.max_send_bytes = options.max_send_bytes
        self.max_send_age_ns = round(options.max_send_age * _NS_PER_S)
        self.max_waiting_bytes = options.max_waiting_bytes
        self.ping_interval_ns = round(ping_interval * _NS_PER_S)
        self.ping_timeout_ns = round(ping_timeout * _NS_PER_S)
        self.most_blocked_ns = self.ping_interval_ns + self.ping_timeout_ns
        self.head_timeout_ns = round(options.head_timeout * _NS_PER_S)
        self.body_timeout_s = options.body_timeout
        self.body_timeout_ns = round(options.body_timeout * _NS_PER_S)
        self.upgrade_timeout_ns = round(options.upgrade_timeout * _NS_PER_S)
        self.path = "/engine.io/"
        self.sid_prefix = options.sid_prefix
        self.siblings: Siblings | None = None
        self.counts = Counts()
        self.waiting_bytes = 0
        self._close_timeout_ns = round(options.close_timeout * _NS_PER_S)
        self._admit = options.admit
        self._on_session_close = options.on_session_close
        self._openings = {name: self._opening(name) for name in ("polling", "websocket")}
        tick_ns = min(_LONGEST_TICK_NS, max(_SHORTEST_TICK_NS, self.ping_interval_ns // 250))
        self._timer = WheelTimer(clock, tick_ns)
        self.wake_at: Callable[[Sleeper, int], None] = self._timer.wake_at
        self.forget_deadline = self._timer.wheel.forget
        self._random: list[bytes] = []
        self._lost: deque[EngineSession] = deque()
        self._behind: set[EngineSession] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing: set[EngineSession] = set()
        self.is_stopping = False
        self._dismissed: set[Dismissed] = set()
        self._is_evicting = False
        self._log_lines = LogLines()
        self.doors: set[Any] = set()
        """Connections whose first request head is incomplete."""
        self.leaving: dict[str, EngineSession] = {}
        """Closed polling sessions whose client may still fetch its queued packets."""

    # HTTP rules, which a subclass implements

    def allows_origin(self, origin: str, environ: RequestEnviron) -> bool:
        """Return whether a page of this origin may connect."""
        raise NotImplementedError

    def cors_headers(self, environ: RequestEnviron) -> list[tuple[str, str]]:
        """Return the CORS headers of an answer."""
        raise NotImplementedError

    def answer_headers(self, environ: RequestEnviron) -> list[tuple[str, str]]:
        """Return the headers of every answer: no cache may hand it to another client."""
        return [*self.cors_headers(environ), ("Cache-Control", "no-store"), ("Vary", "Origin")]

    def cookie_for(self, sid: str) -> str | None:
        """Return the ``Set-Cookie`` header of a new polling session, ``None`` for none."""
        raise NotImplementedError

    def compress(self, body: bytes, accepted: str) -> tuple[bytes, str | None]:
        """Return a polling body, compressed if the client accepts it, and its encoding."""
        raise NotImplementedError

    # Sessions

    def generate_id(self) -> str:
        """Return an id: the prefix, 12 random bytes and a counter of 3, as python-engineio's."""
        self.sequence_number = (self.sequence_number + 1) & 0xFFFFFF
        if not self._random:
            read = os.urandom(_ID_RANDOM_BYTES * _IDS_A_READ)
            starts = range(0, len(read), _ID_RANDOM_BYTES)
            self._random = [read[start : start + _ID_RANDOM_BYTES] for start in starts]
        raw = self._random.pop() + self.sequence_number.to_bytes(3)
        return self.sid_prefix + b2a_base64(raw, newline=False).translate(_URL_SAFE).decode("ascii")

    def open_session(self, environ: RequestEnviron) -> EngineSession:
        """Return the new session of an admitted request."""
        session = EngineSession(self, self.generate_id(), environ)
        self.sockets[session.sid] = session
        if self.connect_timeout_ns:
            session.admission_due_ns = self.now_ns() + self.connect_timeout_ns
            self.wake_at(session, session.admission_due_ns)
        return session

    def admission(self, environ: RequestEnviron) -> HandshakeRefusal | None:
        """Return why a request gets no session, ``None`` if it does."""
        if self.is_stopping:
            return HandshakeRefusal(503, "The server is stopping", 1.0)
        return None if self._admit is None else self._admit(environ)

    def handshake(self, session: EngineSession, transport: str) -> str:
        """Return the OPEN packet of a new session."""
        return self._openings[transport] % session.sid

    def _opening(self, transport: str) -> str:
        """Return the OPEN packet with a placeholder for the session's id."""
        can_upgrade = (
            transport == "polling" and self.allow_upgrades and "websocket" in self.transports
        )
        facts = {
            "upgrades": ["websocket"] if can_upgrade else [],
            "pingTimeout": round(self.ping_timeout_ns / 1_000_000),
            "pingInterval": self.ping_interval_ns // 1_000_000,
            "maxPayload": self.max_message_bytes,
        }
        return f'{PacketType.OPEN}{{"sid":"%s",{json.dumps(facts, separators=(",", ":"))[1:]}'

    async def answer_of(self, answer: Any) -> object:
        """Return a connect handler's answer, awaited if need be; ``False`` if it raises."""
        try:
            return await answer if inspect.isawaitable(answer) else answer
        except Exception:
            log.exception("connect handler failed")
            return False

    def receive(self, session: EngineSession, data: str | bytes) -> None:
        """Hand a message to the application."""
        self.application.received(session, data)

    def breach(
        self, session: EngineSession, what: str, code: int = frames.CloseCode.POLICY_VIOLATION
    ) -> None:
        """Close a session whose client broke the protocol.

        Args:
            session: the session.
            what: the breach, for the application, the log and the close frame.
            code: of the WebSocket's close frame.
        """
        if session.is_open:
            session.is_broken = True
            self.application.breached(session, what)
            self.close(session, EndReason.PROTOCOL_BREACH, code, what)
            session.stop_listening()

    def log_breach(self, what: str) -> None:
        """Log a breach of the protocol, for an application without a log of its own."""
        left_out = self._log_lines.admit("protocol breach", self.now_ns())
        if left_out is not None:
            more = f" ({left_out} like it were not logged)" if left_out else ""
            log.warning("protocol breach: %s%s", what, more)

    def flooded(self, session: EngineSession) -> None:
        """Close a session whose client sends too many control frames."""
        self.breach(session, "a flood of control frames")

    def close(
        self,
        session: EngineSession,
        reason: str,
        code: int = frames.CloseCode.NORMAL,
        text: str = "",
    ) -> None:
        """Close a session and its socket. The socket is aborted after ``close_timeout``.

        Args:
            session: the session, open or not.
            reason: the reason for the application, the log and the counts.
            code: the code of the WebSocket's close frame.
            text: its text.
        """
        self.finish(session, reason)
        session.close_transport(
            frames.encode_close(code, text), self.now_ns() + self._close_timeout_ns
        )

    def finish(self, session: EngineSession, reason: str, *, is_lost: bool = False) -> None:
        """Remove a session from every table, once, and tell the application.

        Args:
            session: the session, open or not.
            reason: the reason for the application, the log and the counts.
            is_lost: whether the client is gone and cannot fetch its queued packets.
        """
        if not session.is_open:
            return
        session.is_dismissed = reason == EndReason.SERVER_DISCONNECT and not self.is_stopping
        session.is_open = False  # first: uncorking must not evict a session that is closing
        session.uncork()
        session.is_clear = False
        if session.upgrade is not None:
            session.abandon_upgrade()
        if session.transport is not None:
            self._closing.add(session)
        elif session.waiting_bytes and not is_lost:
            self.leaving[session.sid] = session
        if session.sid not in self.leaving:
            session.drop_waiting()
            self.forget_deadline(session)
        self.counts.closed[reason] += 1
        try:
            self.application.closed(session, reason)
        except Exception:
            log.exception("application failed to close a session")
        session.participants = ()
        self.sockets.pop(session.sid, None)
        if self._on_session_close is not None:
            try:
                self._on_session_close(session.environ)
            except Exception:
                log.exception("on_session_close failed")

    def dismiss(self, transport: asyncio.Transport) -> None:
        """Close a socket that belongs to no session. It is aborted after ``close_timeout``."""
        dismissed = Dismissed(transport, self._gone)
        self._dismissed.add(dismissed)
        transport.set_protocol(dismissed)
        transport.close()
        self.wake_at(dismissed, self.now_ns() + self._close_timeout_ns)

    def _gone(self, dismissed: Dismissed) -> None:
        self._dismissed.discard(dismissed)
        self.forget_deadline(dismissed)

    def forget(self, session: EngineSession) -> None:
        """Drop a closed polling session and its queue."""
        if self.leaving.pop(session.sid, None) is not None:
            session.drop_waiting()

    def evict(self, session: EngineSession) -> None:
        """Close a client that does not read, without a DISCONNECT, so that it reconnects."""
        session.drop_waiting()
        self.close(
            session, EndReason.SLOW_CONSUMER, frames.CloseCode.TRY_AGAIN_LATER, "SLOW_CONSUMER"
        )

    def overdue(self, session: EngineSession, why: str) -> None:
        """Close a session whose deadline has passed."""
        if why == EndReason.SLOW_CONSUMER:
            self.evict(session)
        else:
            self.close(session, why)

    def lost(self, session: EngineSession) -> None:
        """Note that a session has lost its socket. It is cleaned up in a later slice."""
        self._closing.discard(session)
        if not session.is_open:
            self.forget_deadline(session)
            return
        if not self._lost:
            asyncio.get_running_loop().call_soon(self._clean_up)
        self._lost.append(session)

    def _clean_up(self) -> None:
        ends_ns = time.monotonic_ns() + _CLEANUP_SLICE_NS
        while self._lost:
            self.finish(self._lost.popleft(), EndReason.TRANSPORT_CLOSE, is_lost=True)
            if time.monotonic_ns() >= ends_ns:
                break
        if self._lost:
            asyncio.get_running_loop().call_soon(self._clean_up)

    # Queued bytes

    def held(self, session: EngineSession, added_bytes: int) -> None:
        """Note that a session's queued bytes have changed, and evict if all together exceed."""
        self.waiting_bytes += added_bytes
        if session.waiting_bytes:
            self._behind.add(session)
        else:
            self._behind.discard(session)
        if self.waiting_bytes <= self.max_waiting_bytes or self._is_evicting:
            return
        self._is_evicting = True
        try:
            while self.waiting_bytes > self.max_waiting_bytes and self._behind:
                self.evict(max(self._behind, key=lambda waiter: waiter.waiting_bytes))
        finally:
            self._is_evicting = False

    # Tasks

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine. An exception is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("handler failed", exc_info=task.exception())

    # The end

    async def close_all(self) -> None:
        """Close every session, a batch per turn of the event loop."""
        for position, session in enumerate(list(self.sockets.values()), start=1):
            self.close(session, EndReason.SERVER_DISCONNECT)
            if not position % _CLOSES_A_TURN:
                await asyncio.sleep(0)

    async def shutdown(self) -> None:
        """Close every client, wait until all sockets are closed or aborted, and stop the timer."""
        self.is_stopping = True
        for door in list(self.doors):
            door.abort()
        for dismissed in list(self._dismissed):
            dismissed.transport.abort()
        await self.close_all()
        ends_ns = time.monotonic_ns() + self._close_timeout_ns + _NS_PER_S
        while self._closing and time.monotonic_ns() < ends_ns:  # noqa: ASYNC110 - only once
            await asyncio.sleep(_SHUTDOWN_POLL_S)
        for session in self._closing:
            if session.transport is not None:
                session.transport.abort()
        await asyncio.sleep(_SHUTDOWN_POLL_S)  # an aborted socket closes one turn later
        self._timer.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._close_timeout_ns / _NS_PER_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
