"""What the kernel says of a process tree: CPU time and resident memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_UTIME: Final = 11  # of /proc/PID/stat, counted after the name's closing bracket


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all of its descendants; one that ends meanwhile is left out."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            named = children.read_text("ascii").split()
        except OSError:
            continue
        for child in named:
            yield from tree(int(child))


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a tree, user and system, ns; in steps of the kernel's tick.

    Raises:
        OSError: there is no such process.
    """
    return sum(cpu_ns_alone(member) for member in tree(pid))


def cpu_ns_alone(pid: int) -> int:
    """Return the CPU time of one process, as :func:`cpu_ns` does of a tree.

    Raises:
        OSError: there is no such process.
    """
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_UTIME + 1])) * _TICK_NS


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a tree.

    Raises:
        OSError: there is no such process.
    """
    return sum(
        int(Path(f"/proc/{member}/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
        for member in tree(pid)
    )


def machine_busy_ns() -> int:
    """Return the time that all cores together were not idle, ns: ours and everybody's."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = _machine()
    return (user + nice + system + irq + softirq + steal) * _TICK_NS


def machine_stolen_ns() -> int:
    """Return host steal of all cores together, ns; the kernel tells it in steps of 10 ms."""
    return _machine()[-1] * _TICK_NS


def _machine() -> list[int]:
    with Path("/proc/stat").open("rb") as stat:
        return [int(field) for field in stat.readline().split()[1:9]]
