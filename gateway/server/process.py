"""The process around a gateway: its standard streams and its limit of descriptors."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import Final

_STANDARD: Final = 2  # the highest descriptor of a standard stream


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
    """Raise the soft limit of open descriptors to the hard one, if that is allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptor_limit() -> int | None:
    """Return the limit of open descriptors, ``None`` if there is none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
