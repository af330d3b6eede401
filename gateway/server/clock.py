"""The gateway's clock: the system's, or one that tests set."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Protocol

from gateway.contract import clock_id


class Clock(Protocol):
    """The source of the time. Pure modules get the time as an argument."""

    id: str
    """The ``clock`` of the welcome event."""

    def monotonic_ns(self) -> int:
        """Return the monotonic clock in ns, for durations, limits and ``ts``."""
        ...

    def unix_s(self) -> float:
        """Return the wall clock in s, only for ``timestamp`` and a token's ``exp``."""
        ...


class SystemClock:
    """The system's clocks."""

    monotonic_ns = staticmethod(time.monotonic_ns)
    unix_s = staticmethod(time.time)

    def __init__(self) -> None:
        self.id = read_clock_id()


def read_clock_id() -> str:
    """Return the id of this machine's monotonic clock, random if the kernel has none.

    A client compares the id with its own. With a random id it estimates the clock offset,
    which is correct but less precise.
    """
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        time_namespace = str(Path("/proc/self/ns/time").readlink())
    except OSError:
        return uuid.uuid4().hex[:16]
    return clock_id(boot_id, time_namespace)
