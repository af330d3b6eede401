"""``EngineSession``: one Engine.IO session, and the asyncio protocol of its WebSocket.

A session outlives its transports: it may begin on HTTP polling and go on over a WebSocket.
While it is idle it owns no task, no queue and no timer; an inbox exists only while a
handler of its client awaits, a backlog only while the client does not read. The module is
long because sending, polling, upgrade and deadlines share one state and its order.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from gateway.transport import frames
from gateway.transport.backlog import Backlog
from gateway.transport.inbox import Inbox, Work
from gateway.transport.parcels import Parcel
from gateway.transport.payloads import PacketType
from gateway.transport.websocket import WebSocket

if TYPE_CHECKING:
    from gateway.transport.engine import EngineServer
    from gateway.transport.environ import RequestEnviron
    from gateway.transport.rooms import Member

_MOST_BYTES_A_WRITE: Final = 65_536
_STOPPED_NS: Final = 50_000_000
_PING_FRAME: Final = frames.encode_frame(frames.TEXT, PacketType.PING.encode())
_PROBE_ANSWER: Final = frames.encode_frame(frames.TEXT, b"3probe")

SLOW_CONSUMER: Final = "slow consumer"


class EngineSession(WebSocket):
    """One Engine.IO session.

    Attributes:
        sid: its id.
        environ: of the request that opened it.
        is_clear: a frame may be written at once: there is an open WebSocket, and nothing waits.
        is_open: it has not been closed, by whom ever.
        is_broken: its client broke the protocol.
        is_receiving: a polling body of its is being read.
        members: its Socket.IO clients, one a namespace.
        application: what an application saved with ``save_session``.
    """

    __slots__ = (
        "_backlog",
        "_blocked_at_ns",
        "_close_due_ns",
        "_engine",
        "_inbox",
        "_is_ping_waiting",
        "_ping_due_ns",
        "_pong_due_ns",
        "admission_due_ns",
        "application",
        "attachments_due_ns",
        "environ",
        "is_broken",
        "is_open",
        "is_receiving",
        "members",
        "poll",
        "sid",
        "upgrade",
        "wake_tick",
    )

    def __init__(self, engine: EngineServer, sid: str, environ: RequestEnviron) -> None:
        super().__init__()
        self._engine = engine
        self.sid = sid
        self.environ = environ
        self.is_open = True
        self.is_broken = False
        self.members: tuple[Member, ...] = ()
        self.application: dict[str, Any] | None = None
        self.poll: asyncio.Future[bytes | None] | None = None
        self.upgrade: Upgrade | None = None
        self.wake_tick = 0
        self.admission_due_ns = 0
        self.attachments_due_ns = 0
        self._backlog: Backlog | None = None
        self._blocked_at_ns = 0
        self._inbox: Inbox | None = None
        self._is_ping_waiting = False
        self.is_receiving = False
        self._ping_due_ns = 0
        self._pong_due_ns = 0
        self._close_due_ns = 0

    # Sending

    def send(self, parcel: Parcel) -> None:
        """Send a parcel now, or behind what waits."""
        if self.is_clear:
            self.write(parcel.frame)
        else:
            self.hold(parcel)

    def hold(self, parcel: Parcel) -> None:
        """Let a parcel wait until it can be written; a closed session forgets it."""
        if not self.is_open:
            return
        engine = self._engine
        now_ns = engine.now_ns()
        if parcel.follows_all:
            self.settle()
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = Backlog()
        before, conflated = backlog.size, backlog.conflated
        backlog.add(parcel, now_ns)
        engine.counts.conflated += backlog.conflated - conflated
        engine.held(self, backlog.size - before)
        if backlog.lossless_bytes > engine.max_send_bytes:
            engine.evict(self)
            return
        self.is_clear = False
        self.answer_poll()
        engine.wake_at(self, now_ns + engine.max_send_age_ns)

    def settle(self) -> None:
        """Fix what waits: a parcel sent next comes behind it."""
        backlog = self._backlog
        if backlog:
            before = backlog.size
            backlog.settle(self._engine.now_ns())
            self._engine.held(self, backlog.size - before)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the client."""
        backlog = self._backlog
        return 0 if backlog is None else backlog.size

    def take(self, most_bytes: int) -> list[Parcel]:
        """Return what waits, to be written by the caller; fewer where they are large."""
        backlog = self._backlog
        if backlog is None:
            return []
        before = backlog.size
        taken = backlog.take(most_bytes)
        self._engine.held(self, backlog.size - before)
        if not backlog:
            self._backlog = None
        return taken

    def drop_waiting(self) -> None:
        """Forget all that waits."""
        waiting_bytes = self.waiting_bytes
        self._backlog = None
        if waiting_bytes:
            self._engine.held(self, -waiting_bytes)

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
            self._pong_due_ns = self._engine.now_ns() + self._engine.ping_timeout_ns
            self.write(_PING_FRAME)
        while self._backlog and not self._is_blocked:
            parcels = self.take(_MOST_BYTES_A_WRITE)
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
        return self._engine.frame_limits

    def received(self, message: frames.Message) -> None:
        """Take one message of the client's."""
        if not self.is_open:
            return
        data = message.data
        if isinstance(data, str):
            self._receive_text(data)
        elif self.upgrade is None:
            self._engine.receive(self, data)
        else:
            self.abandon_upgrade()

    def ended(self, message: frames.Close | frames.Violation) -> None:
        """Answer the peer's close, or name the peer's violation and close."""
        transport = self.transport
        if self.upgrade is not None:
            self.abandon_upgrade()
        elif isinstance(message, frames.Violation) and self.is_open:
            self._engine.breach(self, f"WebSocket: {message.reason}", message.code)
        else:
            if self.is_open:
                self.control(frames.encode_close(frames.CloseCode.NORMAL))
                self._engine.finish(self, self._engine.reason.TRANSPORT_CLOSE)
            if transport is not None:
                transport.close()

    def _receive_text(self, text: str) -> None:
        kind = text[:1]
        if self.upgrade is not None:
            self._upgrade(text)
        elif kind == "4":
            self._engine.receive(self, text[1:])
        elif kind == "3":
            self.receive_pong()
        elif kind == "1":
            self._engine.close(self, self._engine.reason.CLIENT_DISCONNECT)
        elif kind not in ("5", "6") or len(text) > 1:
            self._engine.breach(self, "malformed packet (Engine.IO)")

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
            self._engine.dismiss(transport)

    def pause_writing(self) -> None:
        """The kernel takes no more; the asyncio protocol's."""
        super().pause_writing()
        self._blocked_at_ns = self._engine.now_ns()

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
            self._engine.lost(self)

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
            self._engine.spawn(self._inbox.work_off(waiting))

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
        self._ping_due_ns = now_ns + self._engine.ping_interval_ns
        self._engine.wake_at(self, self._ping_due_ns)

    def receive_pong(self) -> None:
        """Note that the client lives."""
        if self._pong_due_ns:
            self._pong_due_ns = 0
            self._ping_due_ns = self._engine.now_ns() + self._engine.ping_interval_ns
            if self._engine.ping_interval_ns < self._engine.ping_timeout_ns:
                self._engine.wake_at(self, self._ping_due_ns)  # before the pong would be due

    def close_by(self, due_ns: int) -> None:
        """Abort the socket when it is not closed by then."""
        self._close_due_ns = due_ns
        self._engine.wake_at(self, due_ns)

    def wake(self, now_ns: int) -> int:
        """Do what is due; the timer wheel's."""
        if not self.is_open:
            return self._wake_closed(now_ns)
        engine = self._engine
        overdue = self._overdue(now_ns)
        if overdue is not None:
            engine.overdue(self, overdue)
            return self._close_due_ns
        if self.upgrade is not None and now_ns >= self.upgrade.due_ns:
            self.abandon_upgrade()
        if not self._pong_due_ns and now_ns >= self._ping_due_ns:
            # From when it was due, so that late timers do not add up; or the process stood still.
            sent_ns = self._ping_due_ns if now_ns - self._ping_due_ns < _STOPPED_NS else now_ns
            self._pong_due_ns = sent_ns + engine.ping_timeout_ns
            self._ping()
        dues = [self._pong_due_ns or self._ping_due_ns]
        dues += [due for due in (self.admission_due_ns, self.attachments_due_ns) if due]
        since_ns = self._backlog.since_ns() if self._backlog else None
        if since_ns is not None:
            dues.append(since_ns + engine.max_send_age_ns)
        if self.upgrade is not None:
            dues.append(self.upgrade.due_ns)
        return min(dues)

    def _overdue(self, now_ns: int) -> str | None:
        """Return why the session must end now, ``None`` when it need not."""
        since_ns = self._backlog.since_ns() if self._backlog else None
        if since_ns is not None and now_ns >= since_ns + self._engine.max_send_age_ns:
            return SLOW_CONSUMER
        if self._is_blocked and now_ns >= self._blocked_at_ns + self._engine.most_blocked_ns:
            return SLOW_CONSUMER  # it has not taken what it was handed in a whole ping cycle
        if self._pong_due_ns and self._is_reading_paused:
            # Its pong may lie among what is not read yet.
            self._pong_due_ns = max(self._pong_due_ns, now_ns + self._engine.ping_timeout_ns)
        if self._pong_due_ns and now_ns >= self._pong_due_ns:
            return str(self._engine.reason.PING_TIMEOUT)
        if self.admission_due_ns and now_ns >= self.admission_due_ns:
            return "no CONNECT"
        if self.attachments_due_ns and now_ns >= self.attachments_due_ns:
            return "attachments missing"
        return None

    def _wake_closed(self, now_ns: int) -> int:
        if now_ns < self._close_due_ns:
            return self._close_due_ns
        self._engine.forget(self)
        if self.transport is not None:
            self.transport.abort()
        return 0

    def _ping(self) -> None:
        if self.transport is not None and self.upgrade is None:
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
