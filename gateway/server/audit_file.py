"""``AuditFile``: an audit log's file: one writer, whole lines, and the end of its chain."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.audit import LINE_BEGINS, AuditEvent, ChainEnd, read_line

_TAIL_BYTES: Final = 65_536
_OPEN: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class FileEnd:
    """What the end of a file told when it was opened.

    Attributes:
        last: the end of its chain, ``None`` if it has no line.
        crashed: whether the last line does not close the log.
        torn_bytes: bytes of a torn last line, which were removed.
        unverified: whether another key made the last line, or somebody changed it.
    """

    last: ChainEnd | None = None
    crashed: bool = False
    torn_bytes: int = 0
    unverified: bool = False


class AuditFile:
    """A regular file that this process alone appends to.

    Args:
        path: its path. It is created with the mode 600.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no regular file, or another process writes to it.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, _OPEN, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise ValueError("is not a regular file")
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ValueError("another gateway writes to it; give each its own file") from None
        except ValueError:
            self.close()
            raise

    def read_end(self, key: bytes, *, repair: bool = True) -> FileEnd:
        """Return the end of the file's chain.

        Args:
            key: the key of the log.
            repair: whether to remove a torn last line.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not an audit log.
        """
        size = os.fstat(self._descriptor).st_size
        data = os.pread(self._descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        *whole, torn = data.split(b"\n")
        lines = [read_line(line) for line in whole[-2:]]
        last = lines[-1] if lines else None
        if (whole and last is None) or (torn and not LINE_BEGINS.startswith(torn[:5])):
            raise ValueError("is not an audit log; name another file")
        if torn and repair:
            os.ftruncate(self._descriptor, size - len(torn))
        if last is None:
            return FileEnd(torn_bytes=len(torn))
        before = lines[0].link.mac if len(lines) == 2 and lines[0] is not None else None
        tied_to = last.after or before
        return FileEnd(
            last=last.link,
            crashed=last.event != AuditEvent.LOG_CLOSED,
            torn_bytes=len(torn),
            unverified=tied_to is None or not last.follows(tied_to, key),
        )

    def append(self, data: bytes) -> None:
        """Append whole lines, or none of them.

        Raises:
            OSError: the disk is full, the file has its largest size, or the like.
        """
        size = os.fstat(self._descriptor).st_size
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            if len(left) < len(data):
                os.ftruncate(self._descriptor, size)
            raise

    def is_at(self, path: str) -> bool:
        """Return whether the path still names this file."""
        try:
            return os.path.samestat(Path(path).stat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def close(self) -> None:
        """Close the file, and let another process write to it."""
        os.close(self._descriptor)


def peek(path: str, key: bytes) -> int:
    """Return the number of the last line of a log that a gateway could go on with.

    It changes nothing, and creates no file.

    Args:
        path: the file. Its folder must exist.
        key: the key of the log.

    Raises:
        OSError: the file cannot be used, or not be created.
        ValueError: it is not an audit log, or another process writes to it.
    """
    if not Path(path).exists():
        _require_writable(Path(path).parent)
        return 0
    file = AuditFile(path)
    try:
        last = file.read_end(key, repair=False).last
    finally:
        file.close()
    return 0 if last is None else last.number


def _require_writable(folder: Path) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
