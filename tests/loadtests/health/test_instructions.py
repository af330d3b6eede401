from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from loadtests.health.instructions import InstructionCounter
from loadtests.health.server_probe import ServerProbe

TASK_CLOCK = (1, 1)
"""PERF_TYPE_SOFTWARE and PERF_COUNT_SW_TASK_CLOCK (ns): every kernel counts it."""
WORK = """import sys, threading
sys.stdin.readline()
threading.Thread(target=sum, args=(range({n}),)).start()
"""


def counter_of(pid: int) -> InstructionCounter:
    try:
        return InstructionCounter(pid, TASK_CLOCK)
    except PermissionError as error:
        pytest.skip(f"the kernel lets nobody count: {error}")


def test_it_counts_the_threads_that_a_process_starts_later() -> None:
    counts = []
    for n in (1_000, 20_000_000):
        command = [sys.executable, "-c", WORK.format(n=n)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            counter = counter_of(process.pid)
            process.communicate(b"\n")
        counts.append(counter.read() or 0)
        counter.close()
    assert counts[1] > counts[0] + 20_000_000  # ns: 20 million additions take more than 20 ms


def test_it_counts_from_now_on_and_never_down() -> None:
    counter = counter_of(os.getpid())
    first = counter.read()
    ends_s = time.process_time() + 0.02
    while time.process_time() < ends_s:
        pass
    second = counter.read()
    counter.close()
    counter.close()
    assert first is not None
    assert second is not None
    assert second - first >= 10_000_000


def test_a_process_that_has_ended_cannot_be_counted() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    with pytest.raises(OSError, match="No such"):
        InstructionCounter(process.pid, TASK_CLOCK)


def test_a_probe_reads_instructions_beside_cpu_time(monkeypatch: pytest.MonkeyPatch) -> None:
    counter_of(os.getpid()).close()
    monkeypatch.setattr(
        "loadtests.health.server_probe.InstructionCounter",
        lambda pid: InstructionCounter(pid, TASK_CLOCK),
    )
    probe = ServerProbe("http://127.0.0.1:1", os.getpid())
    found = probe._from_process(probe._process, is_gap=False)  # type: ignore[arg-type]  # followed above
    assert 0 < found["instructions"] < found["cpu_ns"]  # type: ignore[operator]  # both are numbers
