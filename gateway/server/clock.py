"""The clocks: one for the machine, one that a test winds by hand."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Protocol

from gateway.contract import clock_id


class Clock(Protocol):
    """Where the gateway's shells get the time from; decisions are handed it as an argument."""

    id: str
    """What the welcome event calls ``clock``."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of the monotonic clock: spans, limits, ``ts``."""
        ...

    def unix_s(self) -> float:
        """Return seconds of the wall clock: ``timestamp``, a token's ``exp``, nothing else."""
        ...


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self.id = read_clock_id()

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def unix_s(self) -> float:
        """Return CLOCK_REALTIME."""
        return time.time()


class ManualClock:
    """A clock that stands still until it is told: both of its times move together.

    Args:
        monotonic_ns: where the monotonic clock starts.
        unix_s: where the wall clock starts.
    """

    def __init__(self, monotonic_ns: int = 1_000_000_000, unix_s: float = 1_800_000_000.0) -> None:
        self.id = "manual"
        self._monotonic_ns = monotonic_ns
        self._unix_s = unix_s

    def monotonic_ns(self) -> int:
        """Return the time it was wound to."""
        return self._monotonic_ns

    def unix_s(self) -> float:
        """Return the wall time it was wound to."""
        return self._unix_s

    def advance(self, seconds: float) -> None:
        """Wind both clocks forward."""
        self._monotonic_ns += round(seconds * 1e9)
        self._unix_s += seconds


def read_clock_id() -> str:
    """Return the id of this machine's monotonic clock, or a random one where the kernel has none.

    A random id equals nobody's, so a client estimates the offset: right, if not as sharp.
    """
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        time_namespace = str(Path("/proc/self/ns/time").readlink())
    except OSError:
        return uuid.uuid4().hex[:16]
    return clock_id(boot_id, time_namespace)
