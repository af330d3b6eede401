"""``EngineSession``: one Engine.IO session, and the asyncio protocol of its WebSocket.

A session outlives its transports: it may begin on HTTP polling and move to a WebSocket. An
idle session owns no task, no queue and no timer. A session allocates an inbox only while a
handler is suspended, and a backlog only while the client is not reading. Polling, upgrade and
deadlines share one state, so they are in one module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from gateway.transport import frames
from gateway.transport.counts import EndReason
from gateway.transport.environ import RequestEnviron
from gateway.transport.inbox import Inbox, Work
from gateway.transport.outbox import MOST_BYTES_A_WRITE, Outbox, OutboxOwner
from gateway.transport.parcels import Parcel
from gateway.transport.payloads import PacketType
from gateway.transport.wheel import Sleeper

_STOPPED_NS: Final = 100_000_000
_PING_FRAME: Final = frames.encode_frame(frames.TEXT, PacketType.PING.encode())
_PONG_FRAME_HEAD: Final = b"\x81\x81"  # a whole text of one byte, masked (RFC 6455 5.2)
_PONG_FRAME_BYTES: Final = 7  # head, four of the mask, one of the text
_PONG_BYTE: Final = ord(PacketType.PONG)
_PROBE_ANSWER: Final = frames.encode_frame(frames.TEXT, b"3probe")


class Participant:
    """One Socket.IO client: a session's connection to one namespace.

    Args:
        sid: its id, the client's ``socket.id``.
        namespace: the namespace.
        session: the session that carries it.

    Attributes:
        rooms: the rooms that it is in, without its own.
        is_connected: its CONNECT has been answered, and it is not leaving.
        is_leaving: its disconnect handler is running.
        early: parcels sent to it before its CONNECT was answered.
        callbacks: callbacks of the acknowledgements it owes, by id.
    """

    __slots__ = (
        "callbacks",
        "early",
        "is_connected",
        "is_leaving",
        "namespace",
        "rooms",
        "session",
        "sid",
    )

    def __init__(self, sid: str, namespace: str, session: EngineSession) -> None:
        self.sid = sid
        self.namespace = namespace
        self.session = session
        self.rooms: list[str] = []
        self.is_connected = False
        self.is_leaving = False
        self.early: list[Parcel] | None = None
        self.callbacks: dict[int, Any] | None = None


class SessionOwner(OutboxOwner, Protocol):
    """What a session needs from its engine."""

    ping_interval_ns: int
    ping_timeout_ns: int
    most_blocked_ns: int
    frame_limits: frames.FrameLimits
    wake_at: Callable[[Sleeper, int], None]

    def receive(self, session: EngineSession, data: str | bytes) -> None:
        """Hand a message to the application."""

    def breach(self, session: EngineSession, what: str, code: int = ...) -> None:
        """Close a session whose client broke the protocol.

        Args:
            session: the session.
            what: what the client did, for the log.
            code: status code of the WebSocket close frame.
        """

    def close(self, session: EngineSession, reason: str, code: int = ..., text: str = ...) -> None:
        """Close a session and its socket.

        Args:
            session: the session.
            reason: why it ends, for handlers and metrics.
            code: status code of the WebSocket close frame.
            text: reason in the close frame.
        """

    def finish(self, session: EngineSession, reason: str, *, is_lost: bool = ...) -> None:
        """Remove a session from every table.

        Args:
            session: the session.
            reason: why it ended.
            is_lost: whether the connection broke without a close.
        """

    def held(self, session: EngineSession, added_bytes: int) -> None:
        """Note that a session's queued bytes have changed."""

    def evict(self, session: EngineSession) -> None:
        """Close a client that does not read."""

    def overdue(self, session: EngineSession, why: str) -> None:
        """Close a session whose deadline has passed."""

    def lost(self, session: EngineSession) -> None:
        """Note that a session has lost its socket."""

    def forget(self, session: EngineSession) -> None:
        """Drop a closed polling session and its queue."""

    def dismiss(self, transport: asyncio.Transport) -> None:
        """Close a socket that belongs to no session."""

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine."""


class EngineSession(Outbox):
    """One Engine.IO session.

    Args:
        owner: the engine.
        sid: its id.
        environ: the environ of the request that opened it.

    Attributes:
        is_broken: the client broke the protocol.
        is_receiving: a polling body of the session is being read.
        participants: its Socket.IO clients, one per namespace.
        application: the data that an application saved with ``save_session``.
        poll: the future that an open poll awaits, ``None`` without one.
        upgrade: the WebSocket that the session may move to, ``None`` without one.
        admission_due_ns: deadline of the application's admission, 0 for none.
        attachments_due_ns: deadline of missing binary parts, 0 for none.
    """

    __slots__ = (
        "_blocked_at_ns",
        "_close_due_ns",
        "_inbox",
        "_is_ping_waiting",
        "_ping_due_ns",
        "_pong_due_ns",
        "admission_due_ns",
        "application",
        "attachments_due_ns",
        "environ",
        "is_broken",
        "is_receiving",
        "participants",
        "poll",
        "sid",
        "upgrade",
        "wake_tick",
    )

    _owner: SessionOwner

    def __init__(self, owner: SessionOwner, sid: str, environ: RequestEnviron) -> None:
        super().__init__(owner)
        self.sid = sid
        self.environ = environ
        self.is_broken = False
        self.participants: tuple[Participant, ...] = ()
        self.application: dict[str, Any] | None = None
        self.poll: asyncio.Future[bytes | None] | None = None
        self.upgrade: Upgrade | None = None
        self.wake_tick = 0
        self.admission_due_ns = 0
        self.attachments_due_ns = 0
        self._blocked_at_ns = 0
        self._inbox: Inbox | None = None
        self._is_ping_waiting = False
        self.is_receiving = False
        self._ping_due_ns = 0
        self._pong_due_ns = 0
        self._close_due_ns = 0

    # Queued parcels

    def held(self, added_bytes: int) -> None:
        """Note that the queued bytes have changed (outbox)."""
        self._owner.held(self, added_bytes)

    def outgrown(self) -> None:
        """Close the client, which does not read (outbox)."""
        self._owner.evict(self)

    def wake_by(self, due_ns: int) -> None:
        """Check the queue at that time or earlier (outbox)."""
        self._owner.wake_at(self, due_ns)

    # HTTP polling

    @property
    def has_packets(self) -> bool:
        """Whether a poll can be answered at once."""
        return bool(self._backlog) or self._is_ping_waiting or not self.is_open

    def take_packets(self, most_bytes: int) -> list[bytes]:
        """Return the packets for a poll: at most so many bytes, but at least one packet."""
        packets = [parcel.polled() for parcel in self.take(most_bytes // 2)]
        if self._is_ping_waiting:
            self._is_ping_waiting = False
            packets.insert(0, PacketType.PING.encode())
        return packets

    def answer_poll(self, packet: bytes | None = None) -> None:
        """Answer the open poll with a packet, or with the queued packets."""
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(packet)

    async def worked_off(self) -> None:
        """Wait until the client's inbox is short enough for reading to continue."""
        if self._inbox is not None:
            await self._inbox.shortened()

    def flow(self) -> None:
        """Write queued parcels while the transport takes them."""
        if not self.is_open or self.transport is None or self.upgrade is not None:
            return
        if self._is_ping_waiting and not self._is_blocked:
            self._is_ping_waiting = False
            self._pong_due_ns = self._owner.now_ns() + self._owner.ping_timeout_ns
            self.write(_PING_FRAME)
        while self._backlog and not self._is_blocked:
            parcels = self.take(MOST_BYTES_A_WRITE)
            self.write(b"".join([parcel.frame for parcel in parcels]))
        self.is_clear = not self._is_blocked and not self._backlog

    # The WebSocket

    def begin_websocket(self, transport: asyncio.Transport, upgrade: Upgrade | None) -> None:
        """Continue on a WebSocket whose 101 response has been written.

        Args:
            transport: the transport of the socket. The session becomes its protocol.
            upgrade: the upgrade of a polling session, ``None`` for a new session.
        """
        self.adopt(transport)
        self.upgrade = upgrade
        self.flow()

    @property
    def frame_limits(self) -> frames.FrameLimits:
        """Limits of a client's messages."""
        return self._owner.frame_limits

    def data_received(self, data: bytes) -> None:
        """Read frames (asyncio protocol). The pong of an idle client takes a short path."""
        if (
            len(data) == _PONG_FRAME_BYTES
            and data[6] ^ data[2] == _PONG_BYTE
            and data[:2] == _PONG_FRAME_HEAD
            and self._partial is None
            and self._unread is None
            and self.upgrade is None
            and self.is_open
        ):
            self.receive_pong()
        else:
            super().data_received(data)

    def received_bytes(self, data: bytes) -> None:
        """Handle one binary message of the client."""
        if not self.is_open:
            return
        if self.upgrade is None:
            self._owner.receive(self, data)
        else:
            self.abandon_upgrade()

    def ended(self, message: frames.Close | frames.Violation) -> None:
        """Answer the peer's close frame, or close because of the peer's violation."""
        transport = self.transport
        if self.upgrade is not None:
            self.abandon_upgrade()
        elif isinstance(message, frames.Violation) and self.is_open:
            self._owner.breach(self, f"WebSocket: {message.reason}", message.code)
        else:
            if self.is_open:
                self.control(frames.encode_close(frames.CloseCode.NORMAL))
                self._owner.finish(self, EndReason.TRANSPORT_CLOSE)
            if transport is not None:
                transport.close()

    def received_text(self, text: str) -> None:
        """Handle one text message of the client: an Engine.IO packet."""
        if not self.is_open:
            return
        kind = text[:1]
        if self.upgrade is not None:
            self._upgrade(text)
        elif kind == "4":
            is_corked = self.cork()
            try:
                self._owner.receive(self, text[1:])
            finally:
                if is_corked:
                    self.uncork()
        elif kind == "3":
            self.receive_pong()
        elif kind == "1":
            self._owner.close(self, EndReason.CLIENT_DISCONNECT)
        elif kind not in ("5", "6") or len(text) > 1:
            self._owner.breach(self, "malformed packet (Engine.IO)")

    def _upgrade(self, text: str) -> None:
        """Follow the probe of an upgrade (Engine.IO protocol: upgrade)."""
        if text == "2probe":
            if self.upgrade is not None:
                self.upgrade.is_probed = True
            self.control(_PROBE_ANSWER)
            self.answer_poll()  # the client sends its upgrade packet after the poll has ended
        elif text == "5" and self.upgrade is not None and self.upgrade.is_probed:
            self.upgrade = None
            self.answer_poll()
            self.flow()
        else:
            self.abandon_upgrade()

    def abandon_upgrade(self) -> None:
        """Close the WebSocket of a failed upgrade. The session continues on polling."""
        transport = self.transport
        self.upgrade = None
        self.transport = None
        self._partial = None
        self._unread = None
        if transport is not None:
            transport.set_protocol(asyncio.Protocol())
            self._owner.dismiss(transport)

    def pause_writing(self) -> None:
        """Note that the kernel takes no more bytes (asyncio protocol)."""
        super().pause_writing()
        self._blocked_at_ns = self._owner.now_ns()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Note that the socket is closed (asyncio protocol)."""
        self.transport = None
        self.is_clear = False
        self._is_blocked = False
        self._partial = None
        self._unread = None
        if self.upgrade is not None:
            self.upgrade = None  # the session continues on polling
        else:
            self._owner.lost(self)

    # Receiving in order

    def in_order(self, work: Work) -> None:
        """Handle a message now, or after the handler that is awaiting.

        Args:
            work: handles the message. It returns an awaitable, or ``None`` when it is done.
        """
        if self._inbox is not None:
            self._inbox.add(work)
            return
        waiting = work()
        if waiting is not None:
            self._inbox = Inbox(self)
            self._owner.spawn(self._inbox.work_off(waiting))

    def emptied(self) -> None:
        """Note that the inbox is empty (inbox)."""
        self._inbox = None
        self.resume_reading()

    @property
    def may_read(self) -> bool:
        """Whether none of the client's handlers is awaiting."""
        return self._inbox is None

    # Deadlines

    def begin_pings(self, now_ns: int) -> None:
        """Start the pings of the client."""
        self._ping_due_ns = now_ns + self._owner.ping_interval_ns
        self._owner.wake_at(self, self._ping_due_ns)

    def receive_pong(self) -> None:
        """Note that the client answered a ping."""
        if self._pong_due_ns:
            self._pong_due_ns = 0
            self._ping_due_ns = self._owner.now_ns() + self._owner.ping_interval_ns
            if self._owner.ping_interval_ns < self._owner.ping_timeout_ns:
                self._owner.wake_at(self, self._ping_due_ns)  # earlier than the pong's deadline

    def close_by(self, due_ns: int) -> None:
        """Abort the socket at that time if it is not closed, monotonic ns."""
        self._close_due_ns = due_ns
        self._owner.wake_at(self, due_ns)

    def wake(self, now_ns: int) -> int:
        """Ping, or close the session, if that is due (timer wheel).

        Returns:
            The next deadline in ns, 0 for none.
        """
        if not self.is_open:
            return self._wake_closed(now_ns)
        if not self._pong_due_ns and now_ns < self._ping_due_ns and self._has_pings_alone:
            return self._ping_due_ns  # the pong came: the usual case of an idle client
        owner = self._owner
        overdue = self._overdue(now_ns)
        if overdue is not None:
            owner.overdue(self, overdue)
            return self._close_due_ns
        if self.upgrade is not None and now_ns >= self.upgrade.due_ns:
            self.abandon_upgrade()
        if not self._pong_due_ns and now_ns >= self._ping_due_ns:
            # The pong's deadline counts from the planned ping, so that late timers do not add
            # up. After a long stop of the process it counts from now: the client needs the time.
            late_ns = now_ns - self._ping_due_ns
            is_prompt = late_ns < min(_STOPPED_NS, owner.ping_timeout_ns // 4)
            sent_ns = self._ping_due_ns if is_prompt else now_ns
            self._pong_due_ns = sent_ns + owner.ping_timeout_ns
            self._ping()
            if self._has_pings_alone:
                return self._pong_due_ns
        dues = [self._pong_due_ns or self._ping_due_ns]
        dues += [due for due in (self.admission_due_ns, self.attachments_due_ns) if due]
        since_ns = self._backlog.since_ns() if self._backlog else None
        if since_ns is not None:
            dues.append(since_ns + owner.max_send_age_ns)
        if self.upgrade is not None:
            dues.append(self.upgrade.due_ns)
        return min(dues)

    @property
    def _has_pings_alone(self) -> bool:
        """Whether pings and pongs are the session's only deadlines."""
        return (
            self._backlog is None
            and not self._is_blocked
            and not self.admission_due_ns
            and not self.attachments_due_ns
            and self.upgrade is None
        )

    def _overdue(self, now_ns: int) -> str | None:
        """Return why the session must end now, ``None`` if it need not."""
        since_ns = self._backlog.since_ns() if self._backlog else None
        if since_ns is not None and now_ns >= since_ns + self._owner.max_send_age_ns:
            return EndReason.SLOW_CONSUMER
        if self._is_blocked and now_ns >= self._blocked_at_ns + self._owner.most_blocked_ns:
            return EndReason.SLOW_CONSUMER  # the kernel took no bytes for a whole ping cycle
        if self._pong_due_ns and self._is_reading_paused:
            # Its pong may be among the bytes that are not read yet.
            self._pong_due_ns = max(self._pong_due_ns, now_ns + self._owner.ping_timeout_ns)
        if self._pong_due_ns and now_ns >= self._pong_due_ns:
            return EndReason.PING_TIMEOUT
        if self.admission_due_ns and now_ns >= self.admission_due_ns:
            return EndReason.NO_CONNECT
        if self.attachments_due_ns and now_ns >= self.attachments_due_ns:
            return EndReason.ATTACHMENTS_MISSING
        return None

    def _wake_closed(self, now_ns: int) -> int:
        if now_ns < self._close_due_ns:
            return self._close_due_ns
        self._owner.forget(self)
        if self.transport is not None:
            self.transport.abort()
        return 0

    def _ping(self) -> None:
        if self.is_clear:
            self.write(_PING_FRAME)
        elif self.transport is not None and self.upgrade is None:
            self._is_ping_waiting = not self.control(_PING_FRAME)
        else:
            self._is_ping_waiting = True
            self.answer_poll()

    # The end

    def close_transport(self, frame: bytes | None, abort_by_ns: int) -> None:
        """Send a close frame and wait for the peer to close; abort the socket at a deadline.

        Args:
            frame: the close frame, ``None`` for none.
            abort_by_ns: the deadline, monotonic ns.
        """
        self.is_open = False
        self.is_clear = False
        self._partial = None
        if self._inbox is not None:
            self._inbox.clear()
        self.answer_poll()
        self.close_by(abort_by_ns)
        if self.transport is None or self.transport.is_closing():
            return
        self.resume_reading()
        if frame is not None:
            self.write(frame)


class Upgrade:
    """A WebSocket that a polling session may move to.

    Attributes:
        due_ns: deadline of the client's upgrade packet, monotonic ns.
        is_probed: the client has sent its probe.
    """

    __slots__ = ("due_ns", "is_probed")

    def __init__(self, due_ns: int) -> None:
        self.due_ns = due_ns
        self.is_probed = False
