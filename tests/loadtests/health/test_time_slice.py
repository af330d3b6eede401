from __future__ import annotations

import os
import subprocess
import sys

import pytest

from loadtests.health.time_slice import SHORT_SLICE_NS, USUAL_SLICE

LINUX_WITH_SLICES = (6, 12)

ASKING = """
import ctypes
import os
from loadtests.health.time_slice import ask_for_slices
def read_slice_ns():
    # sched_getattr(2); the runtime of struct sched_attr is the slice.
    held = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(315, 0, held, 48, 0) == 0
    return int.from_bytes(held.raw[24:32], "little")
os.nice(3)
usual = read_slice_ns()
print(ask_for_slices(%d), read_slice_ns(), os.getpriority(os.PRIO_PROCESS, 0))
print(ask_for_slices(%d), read_slice_ns() == usual)
"""


def kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split(".")[:2])


@pytest.mark.skipif(
    sys.platform != "linux" or kernel() < LINUX_WITH_SLICES or os.uname().machine != "x86_64",
    reason="needs Linux 6.12 on x86_64",
)
def test_a_process_gets_the_slice_it_asked_for_and_keeps_its_niceness() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    done = subprocess.run(
        [sys.executable, "-c", ASKING % (SHORT_SLICE_NS, USUAL_SLICE)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        *("True", str(SHORT_SLICE_NS), str(min(19, before + 3))),
        *("True", "True"),
    ]
