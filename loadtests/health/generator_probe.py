"""The generator's own figures, read once a second, and the lag of its loop.

A figure that the machine does not give is absent and named in ``unmeasured``. It is never zero.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path
from typing import Final

TICK_NS: Final = 10_000_000
_SECOND_NS: Final = 1_000_000_000


class TickClock:
    """Measures how late a loop runs a tick that is due each 10 ms, on absolute deadlines.

    A loop that was blocked for 35 ms runs one tick 35 ms late and skips three, which are 25, 15
    and 5 ms late by then. All four count: otherwise the worst moments would weigh least
    (coordinated omission).
    """

    def __init__(self, start_ns: int) -> None:
        self.due_ns = start_ns + TICK_NS

    def take_lags(self, now_ns: int) -> list[int]:
        """Return the lag in ns of each tick due by now, and move on to the next tick."""
        lags = []
        while self.due_ns <= now_ns:
            lags.append(now_ns - self.due_ns)
            self.due_ns += TICK_NS
        return lags


class PauseWatch:
    """Measures how long garbage collections stopped this process.

    A collection stops the whole process, so a pause can look like latency of the gateway.
    ``gc.callbacks`` reports when each begins and ends.
    """

    def __init__(self) -> None:
        self._began_ns: int | None = None
        self._pauses_ns: list[int] = []
        gc.callbacks.append(self._notice)

    def take(self) -> list[int]:
        """Return the pauses in ns since the last call."""
        pauses_ns, self._pauses_ns = self._pauses_ns, []
        return pauses_ns

    def close(self) -> None:
        """Stop watching. Idempotent."""
        if self._notice in gc.callbacks:
            gc.callbacks.remove(self._notice)

    def _notice(self, phase: str, _facts: dict[str, int]) -> None:
        now_ns = time.monotonic_ns()
        if phase == "start":
            self._began_ns = now_ns
        elif self._began_ns is not None:
            self._pauses_ns.append(now_ns - self._began_ns)
            self._began_ns = None


class GeneratorProbe:
    """Reads CPU time, waits and pauses of this process since the last reading."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self.unmeasured: set[str] = set()
        self._pauses = PauseWatch()
        self._proc = proc
        self._thread = threading.get_native_id()
        self._cpu_ns = time.process_time_ns()
        self._run_queue_ns = self._read_run_queue()
        self._steal_ns = self._read_steal()

    def read(self) -> dict[str, object]:
        """Return this process's columns of ``generator`` since the last reading."""
        before = self._cpu_ns, self._run_queue_ns, self._steal_ns
        self._cpu_ns = time.process_time_ns()
        self._run_queue_ns, self._steal_ns = self._read_run_queue(), self._read_steal()
        pauses_ns = self._pauses.take()
        return {
            "cpu_ns": self._cpu_ns - before[0],
            "run_queue_ns": _difference(self._run_queue_ns, before[1]),
            "steal_ns": _difference(self._steal_ns, before[2]),
            "gc_pause_ns": sum(pauses_ns),
            "gc_pause_max_ns": max(pauses_ns, default=None),
        }

    def close(self) -> None:
        """Stop reading, and remove the interpreter's hooks."""
        self._pauses.close()

    def _read_run_queue(self) -> int | None:
        # /proc/…/schedstat: time on a core, time waiting for one (ns), number of slices.
        path = self._proc / "self" / "task" / str(self._thread) / "schedstat"
        try:
            return int(path.read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            self.unmeasured.add("generator's wait for a core: the kernel shows no schedstat")
            return None

    def _read_steal(self) -> int | None:
        # /proc/stat: cpu user nice system idle iowait irq softirq steal, in clock ticks.
        try:
            words = (self._proc / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()
            return int(words[8]) * _SECOND_NS // os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            self.unmeasured.add("time taken by the machine's host: /proc/stat shows no steal")
            return None


def _difference(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else now - before


def freeze_objects() -> None:
    """Collect once, and exclude all live objects from later collections.

    A full collection walks every live object: 70 ms for 300 users and Locust, in which no socket
    is read. Objects that live at the start of the warm-up live until the end of the run.
    """
    gc.collect()
    gc.freeze()


def unfreeze_objects() -> None:
    """Include all objects again: the next run has other users."""
    gc.unfreeze()
