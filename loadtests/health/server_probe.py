"""The gateway's figures, read once a second: its metrics, its process, the kernel's.

A figure that the target or the machine does not give is absent and named in ``unmeasured``. It
is never zero.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlsplit

import psutil

from gateway.contract import HEALTH_PATH
from loadtests.endpoints import fetch, fetch_metrics, largest_since, mean_since
from loadtests.health.instructions import InstructionCounter
from loadtests.plan.addresses import is_loopback

PROBE_TIMEOUT_S: Final = 0.8
LIFE_TIMEOUT_S: Final = 0.15
_NS_PER_S: Final = 1_000_000_000
_METRICS: Final[Mapping[str, tuple[str, int]]] = {
    "clients": ("tidegate_clients", 1),
    "rss_bytes": ("process_resident_memory_bytes", 1),
    "messages_out": ("tidegate_messages_out_total", 1),
    "sessions": ("tidegate_sessions", 1),
    "queue_bytes": ("tidegate_queue_bytes", 1),
    "tasks": ("tidegate_tasks", 1),
}
"""Column of ``server`` → metric, and the factor from its unit to the column's."""
_LARGEST: Final[Mapping[str, tuple[str, str]]] = {
    "loop_lag_ns": ("tidegate_loop_lag_max_seconds", "tidegate_loop_lag_seconds"),
    "gc_pause_max_ns": ("tidegate_gc_pause_max_seconds", "tidegate_gc_pause_seconds"),
}
"""Column of ``server`` → the gateway's maximum, which is that of more than a second, and the
histogram of the same values, whose growth tells the second's."""
_CLOSED: Final = (401, 403)
_FANOUT: Final = "tidegate_fanout_seconds"
FANOUT_MEAN: Final = "fanout_mean_ns"
"""A figure of a reading that is no column of ``server``: it is recorded as a series."""
_FDS: Final = "process_open_fds"
_HTTP: Final = "tidegate_http_connections"


class ServerProbe:
    """Reads the gateway: its metrics, and its process when that is ours.

    Args:
        url: ``http://HOST:PORT`` of the gateway.
        pid: its process when that is ours.
        proc: the kernel's ``/proc``; tests replace it.
        metrics_token: opens the metrics; None when they are open.

    Attributes:
        unmeasured: messages on what could not be read so far.
    """

    def __init__(
        self,
        url: str,
        pid: int | None,
        proc: Path = Path("/proc"),
        metrics_token: str | None = None,
    ) -> None:
        self.url = url
        self._metrics_token = metrics_token
        self.unmeasured: set[str] = set()
        self._proc = proc
        self._is_here = is_loopback(urlsplit(url).hostname or "")
        self._gap_until_ns: int | None = None
        self._process: psutil.Process | None = None
        self._instructions: InstructionCounter | None = None
        self._threads: tuple[int, int] | None = None
        self._metrics: Mapping[str, float] = {}
        if pid is None:
            self.unmeasured.add("server CPU and private memory: not our process")
        else:
            self.follow(pid)

    def follow(self, pid: int) -> None:
        """Read another process from now on: the gateway has restarted."""
        self._threads = None
        if self._instructions is not None:
            self._instructions.close()
            self._instructions = None
        with suppress(OSError):  # many machines count none
            self._instructions = InstructionCounter(pid)
        try:
            self._process = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None
            self.unmeasured.add(f"server process figures: there is no process {pid}")

    def expect_gap(self, until_ns: int) -> None:
        """Expect no answers until a time, monotonic: a command ended the gateway."""
        self._gap_until_ns = until_ns

    def read(self, now_ns: int) -> dict[str, object]:
        """Return the columns of ``server`` that could be measured.

        Args:
            now_ns: the time of the reading, monotonic.

        Raises:
            OSError: the target does not answer.
        """
        is_gap = self._gap_until_ns is not None and now_ns < self._gap_until_ns
        found = self._from_kernel()
        if self._process is not None:
            found |= self._from_process(self._process, is_gap=is_gap)
        found |= self._from_metrics()
        return found if "fds" in found else found | self._fds_of_kernel()

    def _fds_of_kernel(self) -> dict[str, object]:
        try:
            if self._process is not None:
                return {"fds": self._process.num_fds()}
        except psutil.NoSuchProcess:
            return {}  # it ended after it answered; the next reading reports that
        except psutil.AccessDenied:
            self.unmeasured.add("server fds: the kernel hides them for another user's process")
            return {}
        self.unmeasured.add("server fds: not in /metrics")
        return {}

    def _from_metrics(self) -> dict[str, object]:
        try:
            metrics = fetch_metrics(self.url, token=self._metrics_token, timeout_s=PROBE_TIMEOUT_S)
        except HTTPError as error:
            advice = "; name its token with --metrics-token" if error.code in _CLOSED else ""
            self.unmeasured.add(f"gateway metrics: /metrics answers {error.code}{advice}")
            return {}
        except OSError as error:
            if not self._is_alive():
                raise
            self.unmeasured.add(f"gateway metrics: /metrics gave no answer once or more: {error}")
            return {}
        found: dict[str, object] = {}
        for column, (name, factor) in _METRICS.items():
            if name in metrics:
                found[column] = int(metrics[name] * factor)
            else:
                self.unmeasured.add(f"server {column}: not in /metrics")
        for column, (maximum, histogram) in _LARGEST.items():
            if maximum in metrics:
                of_second = largest_since(self._metrics, metrics, histogram)
                largest_s = min(metrics[maximum], inf if of_second is None else of_second)
                found[column] = int(largest_s * _NS_PER_S)
            else:
                self.unmeasured.add(f"server {column}: not in /metrics")
        mean_s = mean_since(self._metrics, metrics, _FANOUT)
        if mean_s is not None:
            found[FANOUT_MEAN] = int(mean_s * _NS_PER_S)
        self._metrics = metrics
        if _FDS in metrics:
            # Taken at the same moment as the count of clients, unlike the kernel's. Without the
            # descriptors of plain HTTP, which a publisher opens and closes as it needs.
            found["fds"] = int(metrics[_FDS] - metrics.get(_HTTP, 0))
        return found

    def _is_alive(self) -> bool:
        """Return whether the target answers anything: a proxy may hide its metrics alone."""
        try:
            fetch(f"{self.url}{HEALTH_PATH}/live", timeout_s=LIFE_TIMEOUT_S)
        except HTTPError:
            return True
        except OSError:
            return False
        return True

    def _from_process(self, process: psutil.Process, *, is_gap: bool) -> dict[str, object]:
        found: dict[str, object] = {}
        try:
            times = process.cpu_times()
            ticked_ns = int((times.user + times.system) * _NS_PER_S)
            found["cpu_ns"] = read_cpu_ns(process.pid, self._proc) or ticked_ns
            if self._instructions is not None:
                found["instructions"] = self._instructions.read()
            found["pss_anon_bytes"] = read_pss_anon(process.pid, self._proc)
            found["core_wait_ns"] = self.core_wait_ns(process.pid)
        except psutil.Error as error:
            # The supervisor reports a gateway that has ended; here its figures end.
            if not is_gap:
                self.unmeasured.add(f"server process figures to the end: {type(error).__name__}")
        if found.get("pss_anon_bytes", 0) is None:
            self.unmeasured.add("server private memory: the kernel shows no smaps_rollup")
        return found

    def core_wait_ns(self, pid: int) -> int | None:
        """Return how long the process waited for a core since the last reading, in ns.

        The time used by its other threads is subtracted: its loop may have waited for them.
        """
        before, self._threads = self._threads, read_threads(pid, self._proc)
        if self._threads is None:
            self.unmeasured.add("gateway's wait for a core: the kernel shows no schedstat")
        if before is None or self._threads is None:
            return None
        waited_ns, used_ns = (now - then for now, then in zip(self._threads, before, strict=True))
        return max(0, waited_ns - max(0, used_ns))

    def _from_kernel(self) -> dict[str, object]:
        size = read_tcp_bytes(self._proc) if self._is_here else None
        if size is None:
            why = "/proc/net/sockstat shows none" if self._is_here else "the target is elsewhere"
            self.unmeasured.add(f"kernel memory of the connections: {why}")
            return {}
        return {"kernel_bytes": size}


def read_pss_anon(pid: int, proc: Path = Path("/proc")) -> int | None:
    """Return a process's share of anonymous memory in bytes; None when the kernel hides it."""
    try:
        lines = (proc / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1_024
    return None


def read_threads(pid: int, proc: Path = Path("/proc")) -> tuple[int, int] | None:
    """Return how long a process's first thread waited for a core and its others ran, in ns.

    ``/proc/PID/task/TID/schedstat``: time on a core, time waiting for one, number of slices.
    None when the kernel hides them or the process has ended.
    """
    try:
        told = {
            int(task.name): [int(word) for word in (task / "schedstat").read_bytes().split()]
            for task in (proc / str(pid) / "task").iterdir()
        }
        return told[pid][1], sum(words[0] for thread, words in told.items() if thread != pid)
    except (OSError, ValueError, LookupError):
        return None


def read_cpu_ns(pid: int, proc: Path = Path("/proc")) -> int | None:
    """Return the CPU time of a process's threads in ns; None when the kernel hides it.

    ``/proc/PID/task/TID/schedstat`` counts nanoseconds, where ``/proc/PID/stat`` has ticks of
    10 ms: too coarse for the cost of a second.
    """
    try:
        tasks = (proc / str(pid) / "task").iterdir()
        return sum(int((task / "schedstat").read_bytes().split()[0]) for task in tasks)
    except (OSError, ValueError, LookupError):
        return None


def read_tcp_bytes(proc: Path = Path("/proc")) -> int | None:
    """Return the memory of all TCP sockets of this machine in bytes; None when it is hidden.

    ``/proc/net/sockstat`` counts it in pages (proc(5)): ``TCP: inuse … mem 12``.
    """
    try:
        lines = (proc / "net" / "sockstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        kind, *words = line.split()
        if kind == "TCP:" and "mem" in words[:-1]:
            return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE")
    return None
