"""``EngineServer``: Engine.IO 4 on asyncio sockets, in the place of ``engineio.AsyncServer``.

python-engineio's server is kept for its settings and its CORS rules; sessions, WebSocket,
polling and timers are this package's. The module is long because a session's life, from the
tables that it enters to the ones that it is taken out of, is read best in one place, and
python-engineio's verbs stand beside it.
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
from collections.abc import Callable, Coroutine
from typing import Any, Final

import engineio
from aiohttp import web
from engineio import packet as stock_packet

from gateway.transport import frames
from gateway.transport.adoption import Adoption
from gateway.transport.application import Application, Counts, EngineHandlers
from gateway.transport.clockwork import Clockwork
from gateway.transport.environ import RequestEnviron
from gateway.transport.parcels import Parcel
from gateway.transport.payloads import PacketType
from gateway.transport.polling import Polling
from gateway.transport.refusals import Refusal
from gateway.transport.requests import RequestHead
from gateway.transport.session import SLOW_CONSUMER, EngineSession

_CLEANUP_SLICE_NS: Final = 5_000_000
_NS_PER_S: Final = 1_000_000_000
_SHORTEST_TICK_NS: Final = 4_000_000
_LONGEST_TICK_NS: Final = 100_000_000
_LEAST_DISMISSED: Final = 64  # closed sockets remembered before those that are gone are not
_CLOSES_A_TURN: Final = 100
_SHUTDOWN_POLL_S: Final = 0.01
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")

PROTOCOL_BREACH: Final = "protocol breach"

log = logging.getLogger("gateway.transport")


class EngineServer(engineio.AsyncServer):  # type: ignore[misc]  # python-engineio ships no types
    """An Engine.IO 4 server for aiohttp.

    Args:
        connect_timeout: s that a session may take until its application admits it; ``None``
            for ever.
        max_send_bytes: of what must reach it, that may wait for one client; more closes it.
        max_send_age: s that it may wait; longer closes it.
        max_waiting_bytes: that may wait for all together; the largest waiters are closed.
        close_timeout: s that a close may take before the socket is aborted.
        head_timeout: s that the first head of a connection may take.
        body_timeout: s that a polling body may take.
        upgrade_timeout: s that a client may take to decide on an upgrade.
        max_fragments: of one WebSocket message.
        admit: asked before a session exists; a ``Refusal`` becomes the HTTP answer.
        on_session_close: called once for each admitted session, with its environ.
        clock: monotonic ns.
        **options: as ``engineio.AsyncServer`` takes them; ``async_mode`` is "aiohttp".

    Raises:
        ValueError: an option that this transport does not have.
    """

    sequence_number: int

    def __init__(
        self,
        *,
        connect_timeout: float | None = None,
        max_send_bytes: int = 1_048_576,
        max_send_age: float = 5.0,
        max_waiting_bytes: int = 268_435_456,
        close_timeout: float = 2.0,
        head_timeout: float = 10.0,
        body_timeout: float = 10.0,
        upgrade_timeout: float = 10.0,
        max_fragments: int = 1_024,
        admit: Callable[[RequestEnviron], Refusal | None] | None = None,
        on_session_close: Callable[[RequestEnviron], None] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        **options: Any,
    ) -> None:
        mode = options.setdefault("async_mode", "aiohttp")
        if mode != "aiohttp":
            raise ValueError(f"async_mode is {mode!r}; this transport has 'aiohttp' alone")
        options["monitor_clients"] = False  # the timer wheel does
        super().__init__(**options)
        self.now_ns = clock
        self.application: Application = EngineHandlers(self)
        self.frame_limits = frames.FrameLimits(
            max_message_bytes=self.max_http_buffer_size, max_fragments=max_fragments
        )
        self.connect_timeout_ns = round((connect_timeout or 0) * _NS_PER_S)
        self.max_send_bytes = max_send_bytes
        self.max_send_age_ns = round(max_send_age * _NS_PER_S)
        self.max_waiting_bytes = max_waiting_bytes
        self.ping_interval_ns = round(
            (self.ping_interval + self.ping_interval_grace_period) * _NS_PER_S
        )
        self.ping_timeout_ns = round(self.ping_timeout * _NS_PER_S)
        self.most_blocked_ns = self.ping_interval_ns + self.ping_timeout_ns
        self.head_timeout_s = head_timeout
        self.body_timeout_s = body_timeout
        self.body_timeout_ns = round(body_timeout * _NS_PER_S)
        self.path = "/engine.io/"
        self.counts = Counts()
        self.waiting_bytes = 0
        self._close_timeout_ns = round(close_timeout * _NS_PER_S)
        self.upgrade_timeout_ns = round(upgrade_timeout * _NS_PER_S)
        self._admit = admit
        self._on_session_close = on_session_close
        self._openings = {name: self._opening(name) for name in ("polling", "websocket")}
        self._polling = Polling(self)
        tick_ns = min(_LONGEST_TICK_NS, max(_SHORTEST_TICK_NS, self.ping_interval_ns // 250))
        self._clockwork = Clockwork(clock, tick_ns)
        self.wake_at = self._clockwork.wake_at
        self.forget_deadline = self._clockwork.wheel.forget
        self._adoption = Adoption(self)
        self._lost: deque[EngineSession] = deque()
        self._behind: set[EngineSession] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing: set[EngineSession] = set()
        self.is_stopping = False
        self._dismissed: set[asyncio.Transport] = set()
        self._most_dismissed = _LEAST_DISMISSED
        self._is_evicting = False
        self.doors: set[Any] = set()
        """Connections that have not said yet what they want."""
        self.departing: dict[str, EngineSession] = {}
        """Closed sessions whose ``disconnect`` handler still runs."""
        self.leaving: dict[str, EngineSession] = {}
        """Closed polling sessions whose client may still fetch what waited for it."""

    # HTTP

    def attach(self, app: web.Application, engineio_path: str = "engine.io") -> None:
        """Answer under a path of an aiohttp application."""
        self.path = f"/{engineio_path.strip('/')}/"
        app.router.add_route("*", self.path, self.handle_request)
        app.on_shutdown.append(self._shut_down_with)

    async def _shut_down_with(self, _app: web.Application) -> None:
        await self.shutdown()

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Answer an HTTP request for the path: a poll, a packet, an upgrade."""
        return await self._polling.answer(request)

    # Sessions

    def generate_id(self) -> str:
        """Return an id as python-engineio makes them: 12 random bytes and 3 that count."""
        self.sequence_number = (self.sequence_number + 1) & 0xFFFFFF
        raw = os.urandom(12) + self.sequence_number.to_bytes(3)
        return b2a_base64(raw, newline=False).translate(_URL_SAFE).decode("ascii")

    def open_session(self, environ: RequestEnviron) -> EngineSession:
        """Make a session for an admitted request."""
        session = EngineSession(self, self.generate_id(), environ)
        self.sockets[session.sid] = session
        if self.connect_timeout_ns:
            session.admission_due_ns = self.now_ns() + self.connect_timeout_ns
            self.wake_at(session, session.admission_due_ns)
        return session

    def admission(self, environ: RequestEnviron) -> Refusal | None:
        """Return why a new session is refused, ``None`` when it is not."""
        if self.is_stopping:
            return Refusal(503, "The server is stopping", 1.0)
        return None if self._admit is None else self._admit(environ)

    def handshake(self, session: EngineSession, transport: str) -> str:
        """Return the OPEN packet of a new session."""
        return self._openings[transport] % session.sid

    def _opening(self, transport: str) -> str:
        """Return the OPEN packet with a place for the session's id."""
        can_upgrade = (
            transport == "polling" and self.allow_upgrades and "websocket" in self.transports
        )
        facts = {
            "upgrades": ["websocket"] if can_upgrade else [],
            "pingTimeout": round(self.ping_timeout * 1_000),
            "pingInterval": self.ping_interval_ns // 1_000_000,
            "maxPayload": self.max_http_buffer_size,
        }
        return f'{PacketType.OPEN}{{"sid":"%s",{json.dumps(facts, separators=(",", ":"))[1:]}'

    def adopt(
        self,
        transport: asyncio.Transport,
        head: RequestHead,
        tail: bytes,
        *,
        is_bounded: bool = False,
    ) -> None:
        """Take over a socket whose client asks for a WebSocket; see ``Adoption``."""
        self._adoption.adopt(transport, head, tail, is_bounded=is_bounded)

    async def answer_of(self, answer: Any) -> object:
        """Return what a connect handler answered; one that fails refuses."""
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
        """Close a session whose client broke the protocol."""
        if session.is_open:
            session.is_broken = True
            self.application.breached(session, what)
            self.close(session, PROTOCOL_BREACH, code, what)

    def close(
        self,
        session: EngineSession,
        reason: str,
        code: int = frames.CloseCode.NORMAL,
        text: str = "",
    ) -> None:
        """Close a session and its socket, which is aborted when that takes too long.

        Args:
            session: open or not.
            reason: for the application, the log and the counts.
            code: of the WebSocket's close frame.
            text: of the same.
        """
        self.finish(session, reason)
        session.close_transport(
            frames.encode_close(code, text), self.now_ns() + self._close_timeout_ns
        )

    def finish(self, session: EngineSession, reason: str, *, is_lost: bool = False) -> None:
        """Take a session out of every table, once, and tell the application.

        Args:
            session: open or not.
            reason: for the application, the log and the counts.
            is_lost: nobody is there any more to fetch what waits.
        """
        if not session.is_open:
            return
        session.is_open = False  # first: what is uncorked must not evict who is closed already
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
            log.exception("the end of a session was not told")
        session.members = ()
        self.sockets.pop(session.sid, None)
        if self._on_session_close is not None:
            try:
                self._on_session_close(session.environ)
            except Exception:
                log.exception("on_session_close failed")

    def dismiss(self, transport: asyncio.Transport) -> None:
        """Close a socket that belongs to no session; one that does not close goes with us."""
        if len(self._dismissed) >= self._most_dismissed:
            self._dismissed = {other for other in self._dismissed if not _is_gone(other)}
            self._most_dismissed = max(_LEAST_DISMISSED, 2 * len(self._dismissed))
        self._dismissed.add(transport)
        transport.close()

    def forget(self, session: EngineSession) -> None:
        """Drop what a closed session's client did not fetch in time."""
        if self.leaving.pop(session.sid, None) is not None:
            session.drop_waiting()

    def evict(self, session: EngineSession) -> None:
        """Close a client that does not read: without a word of Socket.IO's, so that it returns."""
        session.drop_waiting()
        self.close(session, SLOW_CONSUMER, frames.CloseCode.TRY_AGAIN_LATER, "SLOW_CONSUMER")

    def overdue(self, session: EngineSession, why: str) -> None:
        """Close a session whose deadline has passed."""
        if why == SLOW_CONSUMER:
            self.evict(session)
        else:
            self.close(session, why)

    def lost(self, session: EngineSession) -> None:
        """Note a socket that is gone; its session is cleaned up in a slice of its own."""
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
            self.finish(self._lost.popleft(), self.reason.TRANSPORT_CLOSE, is_lost=True)
            if time.monotonic_ns() >= ends_ns:
                break
        if self._lost:
            asyncio.get_running_loop().call_soon(self._clean_up)

    # What waits

    def held(self, session: EngineSession, added_bytes: int) -> None:
        """Note that more, or less, waits for a session."""
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
        """Run a coroutine; what it raises is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a handler failed", exc_info=task.exception())

    # python-engineio's verbs

    async def send(self, sid: str, data: str | bytes | list[Any] | dict[str, Any]) -> None:
        """Send a message to a client; one that is gone is ignored."""
        if isinstance(data, list | dict):
            self._send_message(sid, stock_packet.Packet.json.dumps(data, separators=(",", ":")))
        else:
            self._send_message(sid, data)

    async def send_packet(self, sid: str, pkt: Any) -> None:
        """Send a MESSAGE packet of python-engineio's to a client.

        Raises:
            ValueError: a packet of another type.
        """
        if pkt.packet_type != stock_packet.MESSAGE:
            raise ValueError(f"packet type {pkt.packet_type}: messages alone can be sent")
        await self.send(sid, pkt.data)

    def _send_message(self, sid: str, data: str | bytes) -> None:
        session = self.sockets.get(sid)
        if session is None:
            log.warning("nobody to send to", extra={"sid": sid})
        else:
            session.send(Parcel(data))

    async def get_session(self, sid: str) -> dict[str, Any]:
        """Return what an application saved for a client.

        Raises:
            KeyError: there is no such session.
        """
        session: EngineSession = self._get_socket(sid)
        if session.application is None:
            session.application = {}
        return session.application

    async def save_session(self, sid: str, session: dict[str, Any]) -> None:
        """Save an application's data for a client.

        Raises:
            KeyError: there is no such session.
        """
        self._get_socket(sid).application = session

    async def disconnect(self, sid: str | None = None) -> None:
        """Close a client, or all of them."""
        found = self.sockets.get(sid) if sid is not None else None
        sessions = list(self.sockets.values()) if sid is None else [found] if found else []
        for position, session in enumerate(sessions, start=1):
            self.close(session, self.reason.SERVER_DISCONNECT)
            if not position % _CLOSES_A_TURN:
                await asyncio.sleep(0)

    def transport(self, sid: str) -> str:
        """Return "polling" or "websocket".

        Raises:
            KeyError: there is no such session.
        """
        session: EngineSession = self._get_socket(sid)
        is_websocket = session.transport is not None and session.upgrade is None
        return "websocket" if is_websocket else "polling"

    def _get_socket(self, sid: str) -> EngineSession:
        session: EngineSession | None = self.sockets.get(sid, self.departing.get(sid))
        if session is None:
            raise KeyError("Session not found")
        return session

    async def shutdown(self) -> None:
        """Close every client, wait until all sockets are closed or aborted, stop the timer."""
        self.is_stopping = True
        for door in list(self.doors):
            door.abort()
        for transport in self._dismissed:
            transport.abort()
        self._dismissed.clear()
        await self.disconnect()
        ends_ns = time.monotonic_ns() + self._close_timeout_ns + _NS_PER_S
        while self._closing and time.monotonic_ns() < ends_ns:  # noqa: ASYNC110 - once in a life
            await asyncio.sleep(_SHUTDOWN_POLL_S)
        for session in self._closing:
            if session.transport is not None:
                session.transport.abort()
        await asyncio.sleep(_SHUTDOWN_POLL_S)  # an aborted socket is closed a turn later
        self._clockwork.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._close_timeout_ns / _NS_PER_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _is_gone(transport: asyncio.Transport) -> bool:
    """Return whether a closed socket has nothing left to write."""
    return transport.is_closing() and not transport.get_write_buffer_size()
