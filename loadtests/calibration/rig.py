"""The rig of a calibration: an embedded gateway behind the fault proxy, and runs through both.

RuntimeError
└── RigFailed        a part of the rig failed, so nothing was measured
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from gateway.contract import LISTENING_LINE
from loadtests.calibration.readings import NS_PER_S
from loadtests.endpoints import GATEWAY_START_S
from loadtests.faults.control import LISTENING, ProxyControl
from loadtests.processes import child_environment, own_command
from loadtests.record.manifest import read_json
from loadtests.results import LOGS, MANIFEST, ExitCode, Phase
from loadtests.supervision.children import Child, split_cores
from scenarios.schema import Scenario, parse_scenario

STOP_S: Final = 10.0
_JUDGED: Final = (
    ExitCode.PASS,
    ExitCode.BUDGET_BROKEN,
    ExitCode.INCONCLUSIVE,
    ExitCode.INVALID,
)
JUDGED_S: Final = 90.0
LIVE: Final = "live.json"  # loadtests.conducting writes it, and cannot be imported here
_POLL_S: Final = 0.02
TOLD_LATE_S: Final = 1.0
"""A run writes its phase once a second, so that a change is seen this much later."""


class RigFailed(RuntimeError):  # noqa: N818 - the state of the rig, said in words
    """A part of the rig failed."""


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A gateway behind a fault proxy; ``open_rig`` makes one.

    Attributes:
        directory: holds scenarios, logs and runs.
        gateway: the gateway's process.
        control: sets the proxy's toxics.
        url: of the proxy.
        environment: of the runs.
    """

    directory: Path
    gateway: Child
    control: ProxyControl
    url: str
    environment: Mapping[str, str]

    @contextmanager
    def run(self, name: str, text: str) -> Iterator[RigRun]:
        """Run ``tidegate run`` on a scenario's text through the proxy, at most until the end."""
        home = self.directory / name
        home.mkdir()
        scenario = home / "calibration.toml"
        scenario.write_text(text, encoding="utf-8")
        command = own_command("loadtests", "run", str(scenario), "--target", self.url)
        command += ["--runs", str(home / "runs")]
        child = Child(
            "run",
            command,
            log=home / "run.log",
            environment=self.environment,
            cores=split_cores()[1],
            orphan_signal=signal.SIGTERM,
        )
        try:
            yield RigRun(child, home / "runs", parse_scenario(text, path=str(scenario)))
        finally:
            child.stop(STOP_S)


@contextmanager
def open_rig(directory: Path, environment: Mapping[str, str]) -> Iterator[Rig]:
    """Start a gateway and a fault proxy in front of it, and stop them afterwards.

    Raises:
        ChildFailed: one of them did not start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ours = {
        name: value
        for name, value in child_environment(environment).items()
        if not name.startswith(("GATEWAY_", "JWT_", "NODE_ENV", "REDIS_URL"))
    }
    ours["JWT_SECRET"] = secrets.token_urlsafe(48)
    settings = {
        "GATEWAY_ENV": "production",
        "GATEWAY_HEARTBEAT_SECONDS": "5",
        "CLIENT_URL": "http://localhost",
        "HOST": "127.0.0.1",
        "PORT": "0",
    }
    with ExitStack() as stack:

        def start(name: str, *words: str, **more: str) -> Child:
            command = own_command(*words)
            log = directory / f"{words[0].rpartition('.')[2]}.log"
            child = Child(name, command, log=log, environment=ours | more, cores=split_cores()[0])
            stack.callback(_stop, child)
            return child

        gateway = start("gateway", "gateway", **settings)
        url = gateway.wait_for_line(LISTENING_LINE, GATEWAY_START_S)
        proxy = start("fault proxy", "loadtests.faults", url.rpartition("/")[2])
        # "faults on URL control PORT"
        url, _, port = proxy.wait_for_line(LISTENING, GATEWAY_START_S).split()
        control = stack.enter_context(ProxyControl(int(port)))
        yield Rig(directory=directory, gateway=gateway, control=control, url=url, environment=ours)


def _stop(child: Child) -> None:
    child.ask_to_stop(signal.SIGCONT)  # a failed trial may have left it frozen
    child.stop(STOP_S)


class RigRun:
    """One ``tidegate run`` in progress."""

    def __init__(self, child: Child, runs: Path, scenario: Scenario) -> None:
        self._child = child
        self._runs = runs
        self._deadline_s = time.monotonic() + GATEWAY_START_S + scenario.load_s + JUDGED_S

    def wait_until_steady(self) -> tuple[int, int]:
        """Wait until the run reports its steady phase, up to ``TOLD_LATE_S`` after its start.

        Returns:
            When the run began and when its steady phase began, monotonic ns.

        Raises:
            RigFailed: the run ended before, or did not get there in time.
        """
        while (from_s := self._steady_from_s()) is None:
            if self._child.exit_code is not None or time.monotonic() > self._deadline_s:
                raise RigFailed(f"the steady phase never began:\n{self._child.last_lines(20)}")
            time.sleep(_POLL_S)
        t0_ns = int((read_json(self._directory() / MANIFEST) or {})["t0_monotonic_ns"])
        return t0_ns, t0_ns + round(from_s * NS_PER_S)

    def load_pid(self) -> int:
        """Return the load generator's process id.

        Raises:
            RigFailed: there is no such process.
        """
        for process in psutil.Process(self._child.pid).children(recursive=True):
            if "locust" in process.cmdline():
                return int(process.pid)
        raise RigFailed("the load generator's process was not found")

    def end(self) -> tuple[Path, ExitCode]:
        """Wait for the end, and return the run directory and the exit code.

        Raises:
            RigFailed: it did not end in time, or made no verdict.
        """
        if not self._child.wait(self._deadline_s - time.monotonic()):
            raise RigFailed(f"the run did not end in time:\n{self._child.last_lines()}")
        code = self._child.exit_code
        if code not in _JUDGED:
            raise RigFailed(f"the run ended with {code}:\n{self._child.last_lines(20)}")
        return self._directory(), ExitCode(code)

    def _directory(self) -> Path:
        found = [p for p in self._runs.iterdir() if p.is_dir() and not p.is_symlink()]
        if len(found) != 1:
            raise RigFailed(f"{self._runs} holds {len(found)} runs, not one")
        return found[0]

    def _steady_from_s(self) -> float | None:
        if not self._runs.exists() or not any(self._runs.iterdir()):
            return None
        live = read_json(self._directory() / LOGS / LIVE)
        return None if live is None or live["phase"] != Phase.STEADY else live["phase_from_s"]


def sleep_until(due_ns: int) -> None:
    """Sleep until a time of the monotonic clock; return at once when it has passed."""
    time.sleep(max(0, due_ns - time.monotonic_ns()) / NS_PER_S)


def freeze(pid: int, span_ns: int) -> int:
    """Stop one of the rig's processes for a while; return how long it really stood still (ns)."""
    os.kill(pid, signal.SIGSTOP)
    begun_ns = time.monotonic_ns()
    try:
        sleep_until(begun_ns + span_ns)
    finally:
        stood_ns = time.monotonic_ns() - begun_ns
        os.kill(pid, signal.SIGCONT)
    return stood_ns
