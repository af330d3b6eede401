"""The process around a gateway: its standard streams and its limit of descriptors."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # <sys/prctl.h>
_STANDARD: Final = 2  # the highest descriptor of a standard stream
_TABLE: Final = 65_536  # descriptors; 8 bytes each


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends (Linux).

    Args:
        parent: the parent's process id.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        os.kill(os.getpid(), signal.SIGKILL)


def open_standard_streams() -> None:
    """Open the null device in place of each standard stream that is closed.

    Otherwise a socket would get its number, and would receive text; libuv aborts on that.
    """
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest free number
        if descriptor > _STANDARD:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors to the hard one, if that is allowed.

    The kernel's table of descriptors grows now, to half a megabyte at most. Later, with a second
    thread, each doubling would hold up the connection that needs it for an RCU grace period, some
    10 ms (``expand_fdtable`` in Linux's ``fs/file.c``).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = min(descriptor_limit() or _TABLE, _TABLE)
    with contextlib.suppress(OSError):  # it is a matter of speed only
        os.close(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, most - 1))


def descriptor_limit() -> int | None:
    """Return the limit of open descriptors, ``None`` if there is none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
