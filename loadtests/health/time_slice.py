"""A short slice of the core for a process that must wake at once (Linux 6.12, sched(7)).

The scheduler's usual slice is a few milliseconds: whoever holds the core when a socket
becomes readable keeps it that long, and the wait reads as the server's latency. A task that
asks for a shorter slice, which needs no privilege and gives it no larger share of the core,
takes over when it wakes. An older kernel takes the wish and does nothing with it.
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
"""The shortest that the kernel takes."""
USUAL_SLICE: Final = 0
"""Whatever the kernel gives to those who ask for nothing."""

# struct sched_attr, its first version: size, policy, flags, nice, priority, runtime,
# deadline, period. For the usual policy the runtime is the slice (since Linux 6.12).
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
_SET_CALLS: Final = {"x86_64": 314, "aarch64": 274}
"""The number of sched_setattr(2); sched_getattr's is the next."""

_log = logging.getLogger(__name__)


def ask_for_slices(slice_ns: int) -> bool:
    """Ask that this thread, and what it starts from now on, runs in slices of such a length.

    Args:
        slice_ns: ``SHORT_SLICE_NS``, or ``USUAL_SLICE``.

    Returns:
        Whether the kernel took the wish; False as well for a policy that is not the usual.
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
        _log.info("no slices of its own: %s", os.strerror(ctypes.get_errno()))
        return False
    return True


def read_slice_ns() -> int | None:
    """Return the slice that this thread asked for or was given, None where nobody can tell."""
    number = _SET_CALLS.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return None
    held = ctypes.create_string_buffer(_ATTRIBUTES.size)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number + 1, 0, held, _ATTRIBUTES.size, 0):
        return None
    return int(_ATTRIBUTES.unpack(held.raw)[5])
