"""The short calibration with everything real: gateway, proxy, publisher, Locust, report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from deadlines import RUN_S

ROOT = Path(__file__).resolve().parents[3]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "loadtests", "calibrate", *words]


@pytest.mark.proof
def test_delays_are_read_back_and_what_was_taken_is_lost(tmp_path: Path) -> None:
    document = tmp_path / "calibration.md"
    words = ["--quick", "--only", "delays", "--only", "drops", "--docs", str(document)]
    done = subprocess.run(
        command(*words, "--runs", str(tmp_path)),
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in document.read_text().splitlines() if line.startswith("| ●")]
    assert len(rows) == 9
    assert any("exactly 7 lost | 7 lost, the proxy removed 7" in row for row in rows)
    assert "calibration 2 of 2: drops" in done.stderr
    assert "9 of 9 rows true" in done.stderr


def test_an_interrupted_calibration_leaves_no_process_behind(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with (
        said.open("wb") as output,
        subprocess.Popen(
            command("--quick", "--only", "drops", "--runs", str(tmp_path / "runs")),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        family: list[psutil.Process] = []
        deadline_s = time.monotonic() + RUN_S
        while not any("locust" in _words(one) for one in family):
            assert time.monotonic() < deadline_s
            assert process.poll() is None, said.read_text(encoding="utf-8")
            family = psutil.Process(process.pid).children(recursive=True)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(RUN_S) == 130
    _, alive = psutil.wait_procs(family, timeout=RUN_S)
    assert alive == []


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
