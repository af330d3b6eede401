"""One direction of a proxied connection: how many bytes it holds back, and until when."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from typing import Final

from loadtests.faults.line import DelayLine, pick
from loadtests.faults.messages import Cutter, DropCount
from loadtests.faults.toxics import Bandwidth, Drop, Stall, Timeout, Toxic

HELD_BYTES: Final = 4 * 1_048_576
"""Bytes that a flow holds before it stops reading from the sender."""
NARROW_HELD_BYTES: Final = 64 * 1_024
"""The same with a bandwidth limit; a longer queue would hide the slow reader from the sender."""
_NS_PER_S: Final = 1_000_000_000


class ToxicFlow:
    """Passes bytes from one transport to another, each piece at its due time.

    Args:
        source: a paused transport; the first ``use`` starts reading it.
        sink: the transport that the bytes go to.
        draw: decides jitter and slice sizes.
        on_over: called after the source's end was passed on.
        late_ns: collects the lateness of each delayed piece, ns.

    Attributes:
        is_held: whether reading from the source is paused.
        is_over: whether the end was passed on, or the flow was closed.
    """

    def __init__(
        self,
        source: asyncio.Transport,
        sink: asyncio.Transport,
        draw: random.Random,
        on_over: Callable[[], None],
        late_ns: MutableSequence[int],
    ) -> None:
        self.is_held = True
        self.is_over = False
        self._source = source
        self._sink = sink
        self._on_over = on_over
        self._late_ns = late_ns
        self._line = DelayLine(draw)
        self._cutter: Cutter | None = None
        self._toxics: Sequence[Toxic] = ()
        self._drops: Sequence[DropCount] = ()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = 0
        self._has_ended = False
        self._is_sink_full = False
        self._timer: asyncio.TimerHandle | None = None

    def use(self, toxics: Sequence[Toxic], drops: Mapping[Drop, DropCount]) -> None:
        """Apply these toxics to bytes that arrive from now on."""
        self._toxics = toxics
        self._drops = [drops[toxic] for toxic in toxics if isinstance(toxic, Drop)]
        self._pass_on()

    def cut_frames(self) -> None:
        """Treat the bytes from here on as WebSocket frames."""
        self._cutter = Cutter()

    def put(self, data: bytes) -> int:
        """Take bytes from the source; return how many were not dropped.

        Raises:
            NoWebSocket: frames were expected and the bytes are none.
        """
        now_ns = time.monotonic_ns()
        if self._cutter is not None:
            data = b"".join(frame for frame in self._cutter.feed(data) if not self._loses(frame))
        if pick(self._toxics, Timeout) is not None:
            return 0
        for due_ns, piece in self._line.put(data, now_ns, self._toxics):
            self._waiting.append((due_ns, piece))
            self._waiting_bytes += len(piece)
        self._pass_on()
        return len(data)

    def end(self) -> None:
        """Pass the source's end on, after the bytes that wait."""
        if self._cutter is not None:
            self._waiting.append((time.monotonic_ns(), self._cutter.rest()))
        self._has_ended = True
        self._pass_on()

    def hold(self, is_full: bool) -> None:
        """Stop writing while the sink's buffer is full, or go on."""
        self._is_sink_full = is_full
        self._pass_on()

    def close(self) -> None:
        """Discard the bytes that wait."""
        self.is_over = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _loses(self, frame: bytes) -> bool:
        # Every rule must count every frame, so this does not stop at the first match.
        return sum(drop.takes(frame) for drop in self._drops) > 0

    def _pass_on(self, is_timed: bool = False) -> None:
        if self.is_over:
            return
        is_stalled = pick(self._toxics, Stall) is not None
        if not is_stalled and not self._is_sink_full:
            self._write_what_is_due(is_timed)
        self._regulate(is_stalled)

    def _write_what_is_due(self, is_timed: bool) -> None:
        now_ns = time.monotonic_ns()
        while self._waiting and self._waiting[0][0] <= now_ns:
            due_ns, piece = self._waiting.popleft()
            self._waiting_bytes -= len(piece)
            if is_timed:
                self._late_ns.append(now_ns - due_ns)
            self._sink.write(piece)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._waiting[0][0] / _NS_PER_S, self._pass_on, True)
        elif self._has_ended:
            self.is_over = True
            if self._sink.can_write_eof() and not self._sink.is_closing():
                self._sink.write_eof()
            self._on_over()

    def _regulate(self, is_stalled: bool) -> None:
        """Pause or resume the source, so that the bytes held stay bounded."""
        is_narrow = pick(self._toxics, Bandwidth) is not None
        most = NARROW_HELD_BYTES if is_narrow else HELD_BYTES
        should_hold = is_stalled or self._is_sink_full or self._waiting_bytes > most
        if should_hold == self.is_held or self._source.is_closing():
            return
        self.is_held = should_hold
        if should_hold:
            self._source.pause_reading()
        else:
            self._source.resume_reading()
