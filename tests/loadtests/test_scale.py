"""A run of 10⁸ messages: tens of megabytes on disk, judged within a minute and a gigabyte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from deadlines import RUN_S
from synthetic_run import make_run

from loadtests.record.recording import SECOND_NS, PhaseTimes, Recorder
from loadtests.results import SEGMENTS, VERDICT, Phase, Series

ROOT = Path(__file__).resolve().parents[2]
EACH_SECOND = 100_000
MEGABYTE = 1 << 20
LIMIT_S = 60.0  # of processor time: other processes do not lengthen it
LIMIT_BYTES = 1 << 30

# Ends the run directory and judges it; prints bytes of memory at most, and seconds of processor.
READ = """
import resource, subprocess, sys
for module in ("loadtests.record.finisher", "reports"):
    done = subprocess.run([sys.executable, "-m", module, sys.argv[1]], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss * 1024, used.ru_utime + used.ru_stime)
"""


def write_run(directory: Path, seconds: int) -> None:
    """Write the pushes of so many seconds through the recorder, as a worker does."""
    make_run(directory, without=("hist", "timeline"))
    phases = PhaseTimes(0)
    phases.begin(Phase.STEADY, 8 * SECOND_NS)
    recorder = Recorder(directory, worker="worker-0", t0_ns=0, phases=phases)
    noise = np.random.default_rng(7)
    offsets = np.sort(noise.integers(0, SECOND_NS, EACH_SECOND))
    for second in range(seconds):
        at_ns = offsets + second * SECOND_NS
        push_ns = noise.lognormal(np.log(2e6), 0.5, EACH_SECOND).astype(np.int64)
        recorder.spans(Series.PUSH, push_ns, at_ns)
        recorder.spans(Series.PUSH_SERVICE, push_ns // 2, at_ns)
        recorder.count("received", EACH_SECOND)
        recorder.flush((second + 1) * SECOND_NS)
    recorder.close(seconds * SECOND_NS)


def size_of(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


@pytest.mark.parametrize(
    "seconds", [pytest.param(100, id="1e7"), pytest.param(1_000, id="1e8", marks=pytest.mark.proof)]
)
def test_messages_stay_tens_of_megabytes_and_are_judged_within_a_minute_and_a_gigabyte(
    tmp_path: Path, seconds: int
) -> None:
    directory = tmp_path / "run"
    write_run(directory, seconds)
    segments = size_of(list((directory / SEGMENTS).iterdir()))
    done = subprocess.run(
        [sys.executable, "-c", READ, str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=2 * RUN_S,
    )
    memory_bytes, cpu_s = map(float, done.stdout.split())
    parquet = size_of(list(directory.glob("*.parquet")))
    figures = f"{segments >> 20} MB of segments, {parquet >> 20} MB, {cpu_s:.0f} s"
    verdict = json.loads((directory / VERDICT).read_text())
    push = next(row for row in verdict["budgets"] if row["text"].startswith("push.p99"))
    assert push["n"] == (seconds - 8) * EACH_SECOND
    assert max(segments, parquet) < 60 * MEGABYTE, figures
    assert memory_bytes < LIMIT_BYTES, figures
    assert cpu_s < LIMIT_S, figures
