"""``InstructionCounter``: how many instructions a process has executed, by the machine's counters.

Two runs of the same work execute nearly the same number of instructions, however busy their
machine is. ``perf_event_open(2)`` counts them, as ``perf stat`` does; Python has no call for it.
Many virtual machines have no such counter.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

_CALL: Final = {"x86_64": 298, "aarch64": 241}
"""The number of ``perf_event_open``, by machine (``asm/unistd.h``)."""
INSTRUCTIONS: Final = (0, 1)
"""PERF_TYPE_HARDWARE and PERF_COUNT_HW_INSTRUCTIONS (``linux/perf_event.h``)."""
_ATTRIBUTES: Final = struct.Struct("=IIQQQQQIIQ")
"""``perf_event_attr`` in its first version: type, size, config, sample period, sample type,
format of a reading, flags, and three fields of samples. 64 bytes."""
_FORMAT: Final = 0b11  # the time for which it was wanted and for which it counted
_FLAGS: Final = 1 << 1 | 1 << 5 | 1 << 6  # with new threads; not in the kernel, not in a hypervisor
_CLOSE_ON_EXEC: Final = 8
_ANY_CORE: Final = -1
_NO_GROUP: Final = -1
_READING: Final = struct.Struct("=QQQ")


class InstructionCounter:
    """Counts the instructions of a process's threads in user mode, from now on.

    Args:
        pid: the process. Threads that it starts later are counted too.
        event: its type and number in the kernel; tests count CPU time.

    Raises:
        OSError: the machine has no such counter, or the process is not ours or has ended.
    """

    def __init__(self, pid: int, event: tuple[int, int] = INSTRUCTIONS) -> None:
        self._descriptors: list[int] = []
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                self._descriptors.append(_open(int(task.name), event))
        except OSError:
            self.close()
            raise

    def read(self) -> int | None:
        """Return the count so far; None when the machine had no free counter for it."""
        total = 0
        for descriptor in self._descriptors:
            count, wanted_ns, counted_ns = _READING.unpack(os.read(descriptor, _READING.size))
            if wanted_ns and not counted_ns:
                return None
            # Counters that are too few take turns, so the kernel counted for a part of the time.
            total += count * wanted_ns // counted_ns if counted_ns else 0
        return total

    def close(self) -> None:
        """Stop counting. Idempotent."""
        while self._descriptors:
            with suppress(OSError):
                os.close(self._descriptors.pop())


def _open(thread: int, event: tuple[int, int]) -> int:
    call = _CALL.get(platform.machine())
    if call is None:
        raise OSError(f"counters of {platform.machine()} are not known")
    kind, number = event
    attributes = ctypes.create_string_buffer(
        _ATTRIBUTES.pack(kind, _ATTRIBUTES.size, number, 0, 0, _FORMAT, _FLAGS, 0, 0, 0)
    )
    library = ctypes.CDLL(None, use_errno=True)
    descriptor: int = library.syscall(
        call, attributes, thread, _ANY_CORE, _NO_GROUP, _CLOSE_ON_EXEC
    )
    if descriptor < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return descriptor
