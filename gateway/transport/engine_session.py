"""``EngineSession``: one Engine.IO session, and the asyncio protocol of its WebSocket.

A session outlives its transports: it may begin on HTTP polling and go on over a WebSocket.
While it is idle it owns no task, no queue and no timer; an inbox exists only while a
handler of its client awaits, a backlog only while the client does not read. The module is
long because polling, upgrade and deadlines share one state and its order.
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

    Attributes:
        sid: its id, which the client knows as ``socket.id``.
        namespace: where.
        session: over what.
        rooms: the rooms that it is in, without its own.
        is_connected: its CONNECT has been answered, and it is not leaving.
        is_leaving: its disconnect handler runs.
        early: what was sent to it before its CONNECT was answered.
        callbacks: what waits for its acknowledgements.
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
        """Close a session whose client broke the protocol."""

    def close(self, session: EngineSession, reason: str, code: int = ..., text: str = ...) -> None:
        """Close a session and its socket."""

    def finish(self, session: EngineSession, reason: str, *, is_lost: bool = ...) -> None:
        """Take a session out of every table."""

    def held(self, session: EngineSession, added_bytes: int) -> None:
        """Note that more, or less, waits for a session."""

    def evict(self, session: EngineSession) -> None:
        """Close a client that does not read."""

    def overdue(self, session: EngineSession, why: str) -> None:
        """Close a session whose deadline has passed."""

    def lost(self, session: EngineSession) -> None:
        """Note that a session's socket is gone."""

    def forget(self, session: EngineSession) -> None:
        """Drop what a closed session's client did not fetch in time."""

    def dismiss(self, transport: asyncio.Transport) -> None:
        """Close a socket that belongs to no session."""

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine."""


class EngineSession(Outbox):
    """One Engine.IO session.

    Attributes:
        sid: its id.
        environ: of the request that opened it.
        is_broken: its client broke the protocol.
        is_receiving: a polling body of its is being read.
        participants: its Socket.IO clients, one a namespace.
        application: what an application saved with ``save_session``.
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

    # What waits

    def held(self, added_bytes: int) -> None:
        """Note that more, or less, waits; the outbox's."""
        self._owner.held(self, added_bytes)

    def outgrown(self) -> None:
        """Close the client, which does not read; the outbox's."""
        self._owner.evict(self)

    def wake_by(self, due_ns: int) -> None:
        """Look at what waits at that time, or before; the outbox's."""
        self._owner.wake_at(self, due_ns)

    # HTTP polling

    @property
    def has_packets(self) -> bool:
        """Whether a poll would be answered at once."""
        return bool(self._backlog) or self._is_ping_waiting or not self.is_open

    def take_packets(self, most_bytes: int) -> list[bytes]:
        """Return what a poll is answered with, at most so many bytes, or one packet."""
        packets = [parcel.polled() for parcel in self.take(most_bytes // 2)]
        if self._is_ping_waiting:
            self._is_ping_waiting = False
            packets.insert(0, PacketType.PING.encode())
        return packets

    def answer_poll(self, packet: bytes | None = None) -> None:
        """Let the poll that waits be answered: with a packet, or with what waits."""
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(packet)

    async def worked_off(self) -> None:
        """Wait until less waits for the client's handlers than stops a WebSocket's reading."""
        if self._inbox is not None:
            await self._inbox.shortened()

    def flow(self) -> None:
        """Write what waits, as far as the transport takes it."""
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
        """Go on over a WebSocket whose 101 is written.

        Args:
            transport: its socket's; this session is its protocol from now on.
            upgrade: the probe that a polling session waits for; ``None`` for a new session.
        """
        self.adopt(transport)
        self.upgrade = upgrade
        self.flow()

    @property
    def frame_limits(self) -> frames.FrameLimits:
        """What a client's messages may be."""
        return self._owner.frame_limits

    def data_received(self, data: bytes) -> None:
        """Read frames; the asyncio protocol's. An idle client's are pongs, and found at once."""
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
        """Take one binary message of the client's."""
        if not self.is_open:
            return
        if self.upgrade is None:
            self._owner.receive(self, data)
        else:
            self.abandon_upgrade()

    def ended(self, message: frames.Close | frames.Violation) -> None:
        """Answer the peer's close, or name the peer's violation and close."""
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
        """Take one text message of the client's: an Engine.IO packet."""
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
            self.answer_poll()  # the client waits for its end before it upgrades
        elif text == "5" and self.upgrade is not None and self.upgrade.is_probed:
            self.upgrade = None
            self.answer_poll()
            self.flow()
        else:
            self.abandon_upgrade()

    def abandon_upgrade(self) -> None:
        """Close the WebSocket of an upgrade that did not succeed; polling goes on."""
        transport = self.transport
        self.upgrade = None
        self.transport = None
        self._partial = None
        self._unread = None
        if transport is not None:
            transport.set_protocol(asyncio.Protocol())
            self._owner.dismiss(transport)

    def pause_writing(self) -> None:
        """The kernel takes no more; the asyncio protocol's."""
        super().pause_writing()
        self._blocked_at_ns = self._owner.now_ns()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The socket is gone; the asyncio protocol's: only note it."""
        self.transport = None
        self.is_clear = False
        self._is_blocked = False
        self._partial = None
        self._unread = None
        if self.upgrade is not None:
            self.upgrade = None  # polling goes on
        else:
            self._owner.lost(self)

    # Receiving in order

    def in_order(self, work: Work) -> None:
        """Do work of the client's now, or behind the handler of its that awaits.

        Args:
            work: returns an awaitable where it has to wait.
        """
        if self._inbox is not None:
            self._inbox.add(work)
            return
        waiting = work()
        if waiting is not None:
            self._inbox = Inbox(self)
            self._owner.spawn(self._inbox.work_off(waiting))

    def emptied(self) -> None:
        """Note that nothing of the client's waits for its handlers any more; the inbox's."""
        self._inbox = None
        self.resume_reading()

    @property
    def may_read(self) -> bool:
        """Whether no handler of the client's awaits."""
        return self._inbox is None

    # Deadlines

    def begin_pings(self, now_ns: int) -> None:
        """Ping the client from now on."""
        self._ping_due_ns = now_ns + self._owner.ping_interval_ns
        self._owner.wake_at(self, self._ping_due_ns)

    def receive_pong(self) -> None:
        """Note that the client lives."""
        if self._pong_due_ns:
            self._pong_due_ns = 0
            self._ping_due_ns = self._owner.now_ns() + self._owner.ping_interval_ns
            if self._owner.ping_interval_ns < self._owner.ping_timeout_ns:
                self._owner.wake_at(self, self._ping_due_ns)  # before the pong would be due

    def close_by(self, due_ns: int) -> None:
        """Abort the socket when it is not closed by then."""
        self._close_due_ns = due_ns
        self._owner.wake_at(self, due_ns)

    def wake(self, now_ns: int) -> int:
        """Do what is due; the timer wheel's."""
        if not self.is_open:
            return self._wake_closed(now_ns)
        if not self._pong_due_ns and now_ns < self._ping_due_ns and self._has_pings_alone:
            return self._ping_due_ns  # its pong came: so it is each time, for an idle client
        owner = self._owner
        overdue = self._overdue(now_ns)
        if overdue is not None:
            owner.overdue(self, overdue)
            return self._close_due_ns
        if self.upgrade is not None and now_ns >= self.upgrade.due_ns:
            self.abandon_upgrade()
        if not self._pong_due_ns and now_ns >= self._ping_due_ns:
            # From when it was due, so that late timers do not add up; unless so late, as where
            # the process stood still, that its client would miss the time.
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
        """Whether pings and pongs are the only deadlines that it has."""
        return (
            self._backlog is None
            and not self._is_blocked
            and not self.admission_due_ns
            and not self.attachments_due_ns
            and self.upgrade is None
        )

    def _overdue(self, now_ns: int) -> str | None:
        """Return why the session must end now, ``None`` when it need not."""
        since_ns = self._backlog.since_ns() if self._backlog else None
        if since_ns is not None and now_ns >= since_ns + self._owner.max_send_age_ns:
            return EndReason.SLOW_CONSUMER
        if self._is_blocked and now_ns >= self._blocked_at_ns + self._owner.most_blocked_ns:
            return (
                EndReason.SLOW_CONSUMER
            )  # it has not taken what it was handed in a whole ping cycle
        if self._pong_due_ns and self._is_reading_paused:
            # Its pong may lie among what is not read yet.
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
        """Send a close frame and wait for the peer to close; abort when that takes too long."""
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
        due_ns: by when its client must have decided, monotonic ns.
        is_probed: its client has asked whether it works.
    """

    __slots__ = ("due_ns", "is_probed")

    def __init__(self, due_ns: int) -> None:
        self.due_ns = due_ns
        self.is_probed = False
