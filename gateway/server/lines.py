"""``LineWriter``: writes lines to a standard stream without ever waiting for its reader."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

_MOST_QUEUED_BYTES: Final = 4_194_304
_MOST_BATCH_BYTES: Final = 65_536
_PAUSE_S: Final = 0.02  # between two batches: a burst of lines wakes the thread once
_CLOSE_S: Final = 1.0


class LineWriter:
    """A bounded queue of lines, which a thread of its own writes to a descriptor.

    A line is dropped and counted if the queue is full, or if the write fails: the stream is
    closed, or its disk is full.

    Args:
        descriptor: the descriptor.
        note: makes the line that tells how many lines were dropped, once writing works again;
            ``None`` for no such line.
        most_bytes: bytes of the queue.
        most_batch_bytes: bytes of a write of several lines.
    """

    def __init__(
        self,
        descriptor: int,
        note: Callable[[int], bytes] | None = None,
        *,
        most_bytes: int = _MOST_QUEUED_BYTES,
        most_batch_bytes: int = _MOST_BATCH_BYTES,
    ) -> None:
        self.dropped = 0
        self._descriptor = descriptor
        self._note = note
        self._noted = 0
        self._most_bytes = most_bytes
        self._most_batch_bytes = most_batch_bytes
        self._lines: deque[bytes] = deque()
        self._queued_bytes = 0
        self._is_torn = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        # A daemon: a write that never ends must not keep the process.
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue a line, with its line end. It never waits for the stream."""
        with self._lock:
            if self._queued_bytes + len(line) > self._most_bytes:
                self.dropped += 1
                return
            self._lines.append(line)
            self._queued_bytes += len(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout_s: float = _CLOSE_S) -> None:
        """Write the queued lines, for as long as the timeout at most, and end the thread."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the main thread's
        while True:
            self._wake.wait()
            self._wake.clear()
            while batch := self._take():
                self._write_batch(batch)
            if self._closing.wait(_PAUSE_S) and not self._lines:
                return

    def _take(self) -> bytes:
        """Return queued lines, up to the size of a batch; at least one if there is any."""
        with self._lock:
            batch = [self._lines.popleft()] if self._lines else []
            size = sum(map(len, batch))
            while self._lines and size + len(self._lines[0]) <= self._most_batch_bytes:
                batch.append(self._lines.popleft())
                size += len(batch[-1])
        return b"".join(batch)

    def _write_batch(self, batch: bytes) -> None:
        data = b"\n" + batch if self._is_torn else batch
        left = self._write_all(data)
        with self._lock:
            self._queued_bytes -= len(batch)
            self.dropped += left.count(b"\n")
            count = self.dropped - self._noted
        self._is_torn = 0 < len(left) < len(data) and not data[: -len(left)].endswith(b"\n")
        if left or not count or self._note is None:
            return
        if not self._write_all(self._note(count)):
            self._noted += count

    def _write_all(self, data: bytes) -> bytes:
        """Write bytes, and return those that could not be written."""
        left = data
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # another process made the pipe non-blocking
                select.select([], [self._descriptor], [])
            except OSError:
                break
        return left
