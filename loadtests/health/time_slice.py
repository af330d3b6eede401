"""A short scheduler slice for a process that must wake at once (Linux 6.12, sched(7)).

The usual slice is a few milliseconds. A process on the core keeps it that long after a socket of
another becomes readable, and that wait looks like latency of the server. A task with a shorter
slice takes over when it wakes. It needs no privilege and gets no larger share of the core. An
older kernel accepts the request and ignores it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import struct
import sys
from typing import Final

SHORT_SLICE_NS: Final = 100_000
"""The shortest slice that the kernel accepts."""
USUAL_SLICE: Final = 0
"""The kernel's default slice."""

# struct sched_attr, its first version: size, policy, flags, nice, priority, runtime,
# deadline, period. For the usual policy the runtime is the slice (since Linux 6.12).
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
_SET_CALLS: Final = {"x86_64": 314, "aarch64": 274}
"""The number of sched_setattr(2)."""

_log = logging.getLogger(__name__)


def ask_for_slices(slice_ns: int) -> bool:
    """Request a slice length for this thread and for the threads that it starts later.

    Args:
        slice_ns: ``SHORT_SLICE_NS``, or ``USUAL_SLICE``.

    Returns:
        Whether the kernel accepted it. False also for a scheduling policy other than the usual.
    """
    number = _SET_CALLS.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return False
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    attributes = _ATTRIBUTES.pack(
        _ATTRIBUTES.size, os.SCHED_OTHER, 0, os.getpriority(os.PRIO_PROCESS, 0), 0, slice_ns, 0, 0
    )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, 0, ctypes.create_string_buffer(attributes, len(attributes)), 0):
        _log.info("the kernel refused a scheduler slice: %s", os.strerror(ctypes.get_errno()))
        return False
    return True
