"""``EngineSession``: one Engine.IO session, and the asyncio protocol of its WebSocket.

A session outlives its transports: it may begin on HTTP polling and move to a WebSocket. An
idle session owns no task, no queue and no timer. A session allocates an inbox only while a
handler is suspended, and a backlog only while the client is not reading.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from gateway.transport import frames
from gateway.transport.counts import EndReason
from gateway.transport.environ import RequestEnviron
from gateway.transport.inbox import Inbox, Work
from gateway.transport.liveness import PING_FRAME, Liveness, Upgrade
from gateway.transport.outbox import MOST_BYTES_A_WRITE
from gateway.transport.payloads import PacketType, PayloadError, decode_base64
from gateway.transport.session_owner import SessionOwner

_PONG_FRAME_HEAD: Final = b"\x81\x81"  # a whole text of one byte, masked (RFC 6455 5.2)
_PONG_FRAME_BYTES: Final = 7  # head, four of the mask, one of the text
_PONG_BYTE: Final = ord(PacketType.PONG)
_PROBE_ANSWER: Final = frames.encode_frame(frames.TEXT, b"3probe")


class EngineSession(Liveness):
    """One Engine.IO session.

    Args:
        owner: the engine.
        sid: its id.
        environ: the environ of the request that opened it.

    Attributes:
        is_broken: the client broke the protocol.
        is_dismissed: the application closed the session, and the client is not to return.
        is_receiving: a polling body of the session is being read.
        participants: its Socket.IO clients (``Participant``), one per namespace.
        application: the data that an application saved with ``save_session``.
        left: the namespaces that its clients left last.
        connects: the CONNECT packets that it has sent.
        poll: the future that an open poll awaits, ``None`` without one.
    """

    __slots__ = (
        "_inbox",
        "application",
        "connects",
        "environ",
        "is_broken",
        "is_dismissed",
        "is_receiving",
        "left",
        "participants",
        "poll",
        "sid",
    )

    _owner: SessionOwner

    def __init__(self, owner: SessionOwner, sid: str, environ: RequestEnviron) -> None:
        super().__init__(owner)
        self.sid = sid
        self.environ = environ
        self.is_broken = False
        self.is_dismissed = False
        self.participants: tuple[Any, ...] = ()
        self.application: dict[str, Any] | None = None
        self.left: tuple[str, ...] = ()
        self.connects = 0
        self.poll: asyncio.Future[bytes | None] | None = None
        self._inbox: Inbox | None = None
        self.is_receiving = False

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
            self.write(PING_FRAME)
        while self._backlog and not self._is_blocked:
            parcels = self.take(MOST_BYTES_A_WRITE)
            self.put(b"".join([parcel.frame for parcel in parcels]))
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
            if self.is_open:  # with the deadline of every close: it may not read what is queued
                self._owner.close(self, EndReason.TRANSPORT_CLOSE)
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
        elif kind == "b":
            self._receive_base64(text)
        elif kind == "1":
            self._owner.close(self, EndReason.CLIENT_DISCONNECT)
        elif text in ("5", "6"):
            self.note_control()
        else:
            self._owner.breach(self, "malformed packet (Engine.IO)")

    def _receive_base64(self, text: str) -> None:
        """Handle a binary message of a client that sends text alone (``forceBase64``)."""
        try:
            data = decode_base64(text)
        except PayloadError:
            self._owner.breach(self, "malformed packet (Engine.IO)")
        else:
            self.received_bytes(data)

    def received_control(self, opcode: int, content: bytes) -> None:
        """Answer a ping of the WebSocket, and count it as a pong that nothing asked for."""
        if self.is_open:
            self.note_control()
            super().received_control(opcode, content)

    def _upgrade(self, text: str) -> None:
        """Follow the probe of an upgrade (Engine.IO protocol: upgrade)."""
        if text == "2probe":
            self.note_control()
            if self.upgrade is None:
                return  # a flood of probes has ended the session
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
            self._owner.dismiss(transport)

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
