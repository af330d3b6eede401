"""``AuditLog``: writes security events to the audit log, and never waits for its disk."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from gateway.audit import AuditChain, AuditEvent
from gateway.errors import SettingsError
from gateway.limits.log_lines import LogLines
from gateway.server.audit_file import AuditFile, FileEnd
from gateway.server.log import get_logger, redact

MOST_QUEUED: Final = 20_000
"""Events that wait for the disk. Later ones are counted as lost until some are written."""
_MOST_BATCH: Final = 500
_PAUSE_S: Final = 0.02  # between two batches: a burst of events wakes the thread once
_RETRY_S: Final = 0.5
_CLOSE_S: Final = 1.0

_Record = tuple[int, AuditEvent, dict[str, Any]]

log = get_logger(__name__)


class AuditLog:
    """A bounded queue of security events, which a thread of its own chains and writes.

    Without disk space the events wait, and then are counted. The next line that can be written
    tells how many were lost.

    Args:
        path: the file; ``-`` for the stream.
        key: the key of the chain.
        stream: takes a line for standard error, and never waits.

    Attributes:
        written: lines written.
        lost: events that did not fit into the queue.
    """

    def __init__(self, path: str, key: str, stream: Callable[[bytes], None]) -> None:
        self._path = path
        self._key = key.encode()
        self._stream = stream
        self._file: AuditFile | None = None
        self._chain = AuditChain(self._key)
        self._queue: deque[_Record] = deque()
        self._pending: list[_Record] = []
        self._lines = LogLines()
        self._told_lost = 0
        self.written = 0
        self.lost = 0
        self._wake = threading.Event()
        self._reopening = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def queued(self) -> int:
        """Events that are not written yet."""
        return len(self._queue) + len(self._pending)

    @property
    def last_number(self) -> int:
        """The number of the last line of the chain."""
        return self._chain.last.number

    def start(self) -> None:
        """Open the log, go on with its chain, and start the thread.

        Raises:
            SettingsError: the file cannot be used. The message says why.
        """
        end = FileEnd()
        if self._path != "-":
            try:
                self._file = AuditFile(self._path)
                end = self._file.read_end(self._key)
            except (OSError, ValueError) as error:
                self._drop_file()
                raise SettingsError([f"GATEWAY_AUDIT_LOG: {describe(error)}"]) from None
        self._chain = AuditChain(self._key, end.last)
        if end.torn_bytes:
            log.warning("audit log: a torn last line was removed", bytes=end.torn_bytes)
        if end.unverified:
            log.warning("audit log: its last line was not made with this key, or was changed")
        # A daemon: a write that never ends must not keep the process.
        self._thread = threading.Thread(
            target=self._run, args=(_beginning(end),), name="audit", daemon=True
        )
        self._thread.start()

    def note(self, event: AuditEvent, **fields: object) -> None:
        """Queue an event. Never waits.

        Args:
            event: the event.
            **fields: its facts, without tokens and payloads. ``None`` is left out.
        """
        if len(self._queue) >= MOST_QUEUED:
            self.lost += 1
            return
        self._queue.append((time.time_ns(), event, fields))
        if not self._wake.is_set():
            self._wake.set()

    def reopen(self) -> None:
        """Go on in a new file if the path names another one: after a rotation."""
        self._reopening.set()
        self._wake.set()

    def close(self, timeout_s: float = _CLOSE_S) -> None:
        """Write the queued events and the last line, for as long as the timeout at most."""
        if self._thread is None or self._closing.is_set():
            return
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self, beginning: _Record) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the main thread's
        self._pending.append(beginning)
        while not self._closing.is_set():
            if self._reopening.is_set():
                self._reopen()
            self._closing.wait(_PAUSE_S if self._write_queued() else _RETRY_S)
            if not self.queued and not self._has_unseen_loss():
                self._wake.wait()
            self._wake.clear()
        if self._write_queued():
            self._pending.append(_record(AuditEvent.LOG_CLOSED))
            self._write_queued()
        missing = self.queued + self.lost - self._told_lost
        if missing:
            log.error("audit log: events were lost at the end", count=missing)
        self._drop_file()

    def _has_unseen_loss(self) -> bool:
        return self.lost > self._told_lost

    def _write_queued(self) -> bool:
        """Write all that is queued. Returns whether the disk took it."""
        while True:
            while self._queue and len(self._pending) < _MOST_BATCH:
                self._pending.append(self._queue.popleft())
            if not self._queue and self._has_unseen_loss():
                count = self.lost - self._told_lost
                self._pending.append(_record(AuditEvent.LOG_LOST, count=count))
                self._told_lost += count
            if not self._pending:
                return True
            if not self._write(self._pending):
                return False
            self._pending.clear()

    def _write(self, records: list[_Record]) -> bool:
        before = self._chain.last
        lines = [
            self._chain.seal(unix_ns, event, redact(None, "", fields))
            for unix_ns, event, fields in records
        ]
        if self._file is None:
            for line in lines:
                self._stream(line)
        else:
            try:
                self._file.append(b"".join(lines))
            except OSError as error:
                self._chain.last = before
                self._tell("audit log: it cannot be written; events wait", error)
                return False
        self.written += len(lines)
        return True

    def _reopen(self) -> None:
        """Continue the chain in the file that the path names now."""
        self._reopening.clear()
        if self._file is None or self._file.is_at(self._path):
            return
        try:
            file = AuditFile(self._path)
            file.read_end(self._key)
        except (OSError, ValueError) as error:
            self._tell("audit log: it goes on in the former file", error)
            return
        self._write_queued()
        self._file.close()
        self._file = file
        self._pending.insert(0, _record(AuditEvent.LOG_CONTINUED, why="rotation"))

    def _drop_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _tell(self, what: str, error: OSError | ValueError) -> None:
        left_out = self._lines.admit(what, time.monotonic_ns())
        if left_out is not None:
            why = describe(error)
            log.error(what, why=why, queued=self.queued, lost=self.lost, left_out=left_out)


def describe(error: OSError | ValueError) -> str:
    """Return why a file cannot be used, without its path."""
    if isinstance(error, OSError):
        return f"the file cannot be used: {error.strerror or type(error).__name__}"
    return str(error)


def _record(event: AuditEvent, **fields: object) -> _Record:
    return time.time_ns(), event, fields


def _beginning(end: FileEnd) -> _Record:
    """Return the first line of this process."""
    if end.last is None:
        return _record(AuditEvent.LOG_OPENED, torn_bytes=end.torn_bytes or None)
    return _record(
        AuditEvent.LOG_CONTINUED,
        why="start",
        crashed=end.crashed or None,
        torn_bytes=end.torn_bytes or None,
        unverified=end.unverified or None,
    )
