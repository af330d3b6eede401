"""The id of this process's monotonic clock, as the contract defines it.

Two processes with equal ids read one clock, so a one-way time between them is a subtraction.
Otherwise it needs the offset of ``clock_offset``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.contract import clock_id

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TIME_NAMESPACE: Final = Path("/proc/self/ns/time")


def read_clock_id(boot_id: Path = _BOOT_ID, time_namespace: Path = _TIME_NAMESPACE) -> str | None:
    """Return the id of this process's monotonic clock; None when the kernel hides it."""
    try:
        return clock_id(boot_id.read_text(encoding="ascii"), str(time_namespace.readlink()))
    except OSError:
        return None


def is_one_clock(ours: str | None, theirs: object) -> bool:
    """Return whether a welcome's ``clock`` is the clock of this process."""
    return ours is not None and ours == theirs
