"""Gateways that the fork server starts are as those that ``python -m gateway`` starts."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from blackbox.forked import run_gateway
from blackbox.process import ROOT, GatewayProcess
from deadlines import RUN_S, until

COMMAND = (sys.executable, "-m", "gateway")
SUPPORT = ROOT / "tests" / "support"
ABANDON = """
import os, sys
from pathlib import Path
from blackbox.process import GatewayProcess
gateway = GatewayProcess(Path(sys.argv[1]), {})
print(gateway.process.pid, flush=True)
os._exit(0)
"""


def state_of(gateway: GatewayProcess) -> dict[str, Any]:
    """Return what a process inherits or sets: its descriptors, signals, threads and folder."""
    place = Path(f"/proc/{gateway.process.pid}")
    opened = [each for each in (place / "fd").iterdir() if each.name != "0"]
    kinds = [re.sub(r"[0-9]+", "n", each.readlink().name) for each in opened]
    status = (place / "status").read_text()
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    names = ("SigBlk", "SigIgn", "SigCgt", "Threads", "FDSize", "Umask")
    limits = (place / "limits").read_text()
    return {name: told[name] for name in names} | {
        "descriptors": sorted(kinds),
        "limits": limits,
        "folder": (place / "cwd").readlink(),
    }


def test_a_forked_gateway_has_the_descriptors_signals_and_limits_of_a_started_one(
    start_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    started = GatewayProcess(tmp_path / "gateway-99.log", {}, command=COMMAND)
    try:
        others = [start_gateway() for _ in range(2)]  # whose pipes the next one must not hold
        forked = state_of(start_gateway())
        assert forked == state_of(started)
    finally:
        started.kill()
    assert [gateway.process.poll() for gateway in others] == [None, None]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_a_forked_gateway_is_reported(
    how: signal.Signals, start_gateway: Callable[..., GatewayProcess]
) -> None:
    gateway = start_gateway()
    with pytest.raises(subprocess.TimeoutExpired):
        gateway.process.wait(0.0)
    assert gateway.stop(how) == (0 if how is signal.SIGTERM else -how)
    assert not psutil.pid_exists(gateway.process.pid), "it is reaped"
    gateway.process.terminate()  # nothing is left to signal


def test_a_command_gets_its_standard_input_and_tells_both_outputs() -> None:
    environment = {"JWT_SECRET": secrets.token_hex(32), "GATEWAY_ENV": "test"}
    ended = run_gateway("--check-token", environment=environment, given="no token\n")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("refused with AUTH_FAILED")


def test_no_gateway_outlives_tests_that_end_without_stopping_it(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    ended = subprocess.run(
        (sys.executable, "-c", ABANDON, str(log)),
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SUPPORT)},
        cwd=ROOT,
        timeout=RUN_S,
        check=True,
    )
    until(lambda: not psutil.pid_exists(int(ended.stdout)), "the end of the gateway")
