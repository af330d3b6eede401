"""``Liveness``: the pings, the deadlines and the flood limit of one session.

An idle session owns no timer: the engine's timer wheel wakes it at its next deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from gateway.transport import frames
from gateway.transport.counts import EndReason
from gateway.transport.outbox import Outbox, OutboxOwner
from gateway.transport.payloads import PacketType
from gateway.transport.wheel import Sleeper

_STOPPED_NS: Final = 100_000_000
_CONTROL_FRAME_NS: Final = 100_000_000  # ten unsolicited control frames a second
_CONTROL_BURST_NS: Final = 60_000_000_000  # and 600 at once
PING_FRAME: Final = frames.encode_frame(frames.TEXT, PacketType.PING.encode())


class LivenessOwner(OutboxOwner, Protocol):
    """What the deadlines of a session need from its engine."""

    ping_interval_ns: int
    ping_timeout_ns: int
    most_blocked_ns: int
    wake_at: Callable[[Sleeper, int], None]

    def overdue(self, session: Any, why: str) -> None:
        """Close a session whose deadline has passed."""

    def flooded(self, session: Any) -> None:
        """Close a session whose client sends too many control frames."""

    def forget(self, session: Any) -> None:
        """Drop a closed polling session and its queue."""


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


class Liveness(Outbox):
    """The part of a session that knows when something is due.

    Args:
        owner: the engine.

    Attributes:
        admission_due_ns: deadline of the application's admission, 0 for none.
        attachments_due_ns: deadline of missing binary parts, 0 for none.
        upgrade: the WebSocket that the session may move to, ``None`` without one.
    """

    __slots__ = (
        "_blocked_at_ns",
        "_close_due_ns",
        "_controls_until_ns",
        "_is_ping_waiting",
        "_ping_due_ns",
        "_pong_due_ns",
        "admission_due_ns",
        "attachments_due_ns",
        "upgrade",
        "wake_tick",
    )

    _owner: LivenessOwner

    def __init__(self, owner: LivenessOwner) -> None:
        super().__init__(owner)
        self.upgrade: Upgrade | None = None
        self.wake_tick = 0
        self.admission_due_ns = 0
        self.attachments_due_ns = 0
        self._blocked_at_ns = 0
        self._close_due_ns = 0
        self._controls_until_ns = 0
        self._is_ping_waiting = False
        self._ping_due_ns = 0
        self._pong_due_ns = 0

    def abandon_upgrade(self) -> None:
        """Close the WebSocket of a failed upgrade. The session continues on polling."""
        raise NotImplementedError

    def pause_writing(self) -> None:
        """Note that the kernel takes no more bytes (asyncio protocol)."""
        super().pause_writing()
        self._blocked_at_ns = self._owner.now_ns()

    def begin_pings(self, now_ns: int) -> None:
        """Start the pings of the client."""
        self._ping_due_ns = now_ns + self._owner.ping_interval_ns
        self._owner.wake_at(self, self._ping_due_ns)

    def receive_pong(self) -> None:
        """Note that the client answered a ping."""
        if not self._pong_due_ns:
            self.note_control()
            return
        self._pong_due_ns = 0
        self._ping_due_ns = self._owner.now_ns() + self._owner.ping_interval_ns
        if self._owner.ping_interval_ns < self._owner.ping_timeout_ns:
            self._owner.wake_at(self, self._ping_due_ns)  # earlier than the pong's deadline

    def note_control(self) -> None:
        """Count a frame that is no event and that nothing asked for; close after too many.

        One number holds the limit (generic cell rate algorithm): the time until which the
        frames so far last at the permitted rate.
        """
        now_ns = self._owner.now_ns()
        until_ns = max(self._controls_until_ns, now_ns) + _CONTROL_FRAME_NS
        self._controls_until_ns = until_ns
        if until_ns > now_ns + _CONTROL_BURST_NS and self.is_open:
            self._owner.flooded(self)

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
            self.write(PING_FRAME)
        elif self.transport is not None and self.upgrade is None:
            self._is_ping_waiting = not self.control(PING_FRAME)
        else:
            self._is_ping_waiting = True
            self.answer_poll()
