"""What is read once a second of the gateway and of the generator, and how late the loop runs.

Everything that a machine or a target cannot give is absent from the figures and named
in ``unmeasured``; it is never zero.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path
from typing import Final
from urllib.error import HTTPError

import psutil

from loadtests.endpoints import fetch_metrics

TICK_NS: Final = 10_000_000
PROBE_TIMEOUT_S: Final = 0.8
_CLIENTS: Final = "tidegate_clients"
_MESSAGES_OUT: Final = "tidegate_messages_out_total"
_RSS: Final = "process_resident_memory_bytes"
_LOOP_LAG: Final = ("tidegate_loop_lag_max_seconds", "tidegate_loop_lag_seconds")
_SECOND_NS: Final = 1_000_000_000


class TickClock:
    """How late a loop runs a tick that is due each 10 ms, on absolute deadlines.

    A loop that was held up for 35 ms ran one tick 35 ms late and skipped three, which
    were 25, 15 and 5 ms late when it came back: each is told, or the worst moments would
    weigh least (coordinated omission).
    """

    def __init__(self, start_ns: int) -> None:
        self.due_ns = start_ns + TICK_NS

    def take_lags(self, now_ns: int) -> list[int]:
        """Return the lag (ns) of each tick that is due by now, and wait for the next."""
        lags = []
        while self.due_ns <= now_ns:
            lags.append(now_ns - self.due_ns)
            self.due_ns += TICK_NS
        return lags


class ServerProbe:
    """Reads the gateway: its metrics, and its process when that is ours."""

    def __init__(self, url: str, pid: int | None) -> None:
        self.url = url
        self.pid = pid
        self.unmeasured: set[str] = set()
        self._process = None if pid is None else psutil.Process(pid)
        if pid is None:
            self.unmeasured.add("server CPU, private memory and descriptors: not our process")

    def read(self) -> dict[str, object]:
        """Return the columns of ``server`` that could be measured.

        Raises:
            OSError: nobody answers at the target's address.
        """
        found = self._from_metrics()
        if self._process is not None:
            found |= self._from_process(self._process)
        return found

    def _from_metrics(self) -> dict[str, object]:
        try:
            metrics = fetch_metrics(self.url, timeout_s=PROBE_TIMEOUT_S)
        except HTTPError as error:
            self.unmeasured.add(f"gateway metrics: /metrics answers {error.code}")
            return {}
        columns = {
            "clients": metrics.get(_CLIENTS),
            "rss_bytes": metrics.get(_RSS),
            "messages_out": metrics.get(_MESSAGES_OUT),
        }
        lag_s = next((metrics[name] for name in _LOOP_LAG if name in metrics), None)
        columns["loop_lag_ns"] = None if lag_s is None else lag_s * _SECOND_NS
        self.unmeasured |= {
            f"server {name}: not in /metrics" for name, value in columns.items() if value is None
        }
        return {name: int(value) for name, value in columns.items() if value is not None}

    def _from_process(self, process: psutil.Process) -> dict[str, object]:
        found: dict[str, object] = {}
        try:
            times = process.cpu_times()
            found["cpu_ns"] = int((times.user + times.system) * _SECOND_NS)
            found["fds"] = process.num_fds()
            found["pss_anon_bytes"] = read_pss_anon(process.pid)
        except psutil.Error as error:
            # A gateway that is gone is the supervisor's news; here its figures end.
            self.unmeasured.add(f"server process figures to the end: {type(error).__name__}")
        if found.get("pss_anon_bytes", 0) is None:
            self.unmeasured.add("server private memory: the kernel shows no smaps_rollup")
        return found


def read_pss_anon(pid: int, proc: Path = Path("/proc")) -> int | None:
    """Return a process's share of anonymous memory in bytes, None where the kernel hides it."""
    try:
        lines = (proc / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1_024
    return None


class PauseWatch:
    """How long the interpreter's garbage collections held this process up.

    Everything of the process stands still in a collection, so a pause at a bad moment reads
    as the gateway's latency. ``gc.callbacks`` tells when each begins and ends.
    """

    def __init__(self) -> None:
        self._began_ns: int | None = None
        self._pauses_ns: list[int] = []
        gc.callbacks.append(self._notice)

    def take(self) -> list[int]:
        """Return the pauses (ns) since they were last taken."""
        pauses_ns, self._pauses_ns = self._pauses_ns, []
        return pauses_ns

    def close(self) -> None:
        """Watch no more; idempotent."""
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
    """Reads what the generator itself cost and suffered since the last reading."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self.unmeasured: set[str] = set()
        self._pauses = PauseWatch()
        self._proc = proc
        self._thread = threading.get_native_id()
        self._cpu_ns = time.process_time_ns()
        self._run_queue_ns = self._read_run_queue()
        self._steal_ns = self._read_steal()

    def read(self) -> dict[str, object]:
        """Return the columns of ``generator`` that are its own, since the last reading."""
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
        """Read no more: let go of the interpreter's hooks."""
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
