"""Supervise a run: start gateway, Locust and report as processes, watch them, stop them."""

from __future__ import annotations

import shlex
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from loadtests.endpoints import GATEWAY_START_S
from loadtests.processes import child_environment, ending_signals
from loadtests.record.manifest import create_run_directory, read_json, write_json
from loadtests.results import BUDGETS, LOGS, MANIFEST, REPORT, ExitCode
from loadtests.supervision.children import Child, ChildFailed, split_cores
from loadtests.supervision.embedded_nodes import EmbeddedNodes
from loadtests.supervision.embedded_redis import is_installed
from loadtests.supervision.forecast import warn_of_budgets
from loadtests.supervision.judging import judge_run
from loadtests.supervision.load_generator import start_load_generator, stop_in_order
from loadtests.supervision.oversight import Cut, Oversight
from loadtests.supervision.progress import Progress
from loadtests.supervision.request import RunRefused, RunRequest
from loadtests.supervision.token_file import TokenFile, check_metrics_token
from scenarios.schema import Scenario

GATEWAY_STOP_S: Final = 10.0
OVERTIME_S: Final = 60.0
_POLL_S: Final = 0.1
_BRISK_POLL_S: Final = 0.005
"""While the gateway's end is expected, whose time is measured."""


@dataclass
class Watch:
    """The supervisor's observations, written to ``logs/supervisor.json``."""

    gateway_exit_code: int | None = None
    gateway_died: bool = False
    interrupted: bool = False
    cut: str = ""
    cut_by: str = ""
    files: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def run_supervised(request: RunRequest, environment: Mapping[str, str], console: Console) -> int:
    """Run a scenario from its file to its report and return the exit code.

    Args:
        request: the options of the run.
        environment: this process's environment.
        console: shows progress.

    Raises:
        RunRefused: the request is not valid; nothing was started.
    """
    scenario = request.read()
    if scenario.capacity is not None:
        raise RunRefused(f"{scenario.name} searches for the capacity; start it with tidegate run")
    if request.target is not None and scenario.ends_gateway:
        raise RunRefused(
            f"{scenario.name} terminates its gateway, which must be embedded; leave out --target"
        )
    if request.target is None and scenario.nodes > 1 and not is_installed():
        words = f"{scenario.nodes} nodes share a Redis, and redis-server is not installed"
        raise RunRefused(
            f"{words}; install the package redis-server, name nodes that run with --target "
            "URL,URL, or use --nodes 1"
        )
    secret = request.secret(environment)
    check_metrics_token(request.metrics_token)
    users = request.users or scenario.most_users
    with TokenFile(request.tokens, request.tokens_command, users, environment) as tokens:
        return _run_with_tokens(scenario, request, secret, tokens, environment, console)


def _run_with_tokens(
    scenario: Scenario,
    request: RunRequest,
    secret: str,
    tokens: TokenFile,
    environment: Mapping[str, str],
    console: Console,
) -> int:
    """Make the run directory and run the scenario; see ``run_supervised``."""
    if request.is_judged:
        warn_of_budgets(scenario, request.baseline, environment, console)
    if request.users is not None and scenario.stages:
        words = f"warning: --users {request.users} replaces the {len(scenario.stages)} load stages"
        console.print(words, markup=False, highlight=False, soft_wrap=True)
    try:
        directory = create_run_directory(request.runs, scenario, time.time())
        if request.budgets is not None:
            shutil.copyfile(request.budgets, directory / BUDGETS)
    except OSError as error:
        words = f"{request.runs} is not writable: {error.strerror or error}"
        raise RunRefused(f"{words}; choose another folder with --runs") from None
    supervisor = Supervisor(scenario, request, directory, secret, tokens, environment, console)
    return supervisor.run()


class Supervisor:
    """One supervised run."""

    def __init__(
        self,
        scenario: Scenario,
        request: RunRequest,
        directory: Path,
        secret: str,
        tokens: TokenFile,
        environment: Mapping[str, str],
        console: Console,
    ) -> None:
        self.scenario = scenario
        self.request = request
        self.directory = directory
        self.environment = child_environment(environment)
        self._callers_environment = environment
        self.watch = Watch(files=request.files())
        self._span_s = _load_s(scenario, request.users) + scenario.phases.drain_s
        self.progress = Progress(console, self._span_s)
        self._secret = secret
        self._tokens = tokens
        self._cores = split_cores(scenario.nodes, request.processes or 1)
        self._gateway: EmbeddedNodes | None = None
        self._oversight: Oversight | None = None
        self._locust: Child | None = None

    def run(self) -> int:
        """Run it and return the exit code; no child is left when this returns or raises."""
        before = {by: signal.signal(by, self._interrupt) for by in ending_signals()}
        try:
            with self.progress:
                return self._run()
        finally:
            for child in (self._locust, self._gateway):
                if child is not None and child.exit_code is None:
                    child.stop(GATEWAY_STOP_S)
                if child is not None:
                    child.end_group()
            for by, handler in before.items():
                signal.signal(by, handler)

    def _run(self) -> int:
        try:
            if self.request.target is None:
                self._gateway = self._start_gateway()
            self._locust = self._start_locust()  # it starts while the gateway does
            url = self._await_gateway()
        except ChildFailed as error:
            self.progress.say(str(error))
            return ExitCode.INTERRUPTED if self.watch.interrupted else ExitCode.GATEWAY_FAILED
        words = f"{self.scenario.name}: {self.scenario.question}"
        self.progress.say(f"{words}\nrun {self.directory.name} against {url}")
        self._begin_oversight()
        self._watch_load()
        self.progress.end()
        self._stop_gateway()
        self.watch.problems += self._tokens.problems
        if self._oversight is not None:
            self.watch.problems += self._oversight.close()
        write_json(self.directory / LOGS / "supervisor.json", vars(self.watch))
        for problem in self.watch.problems:
            self.progress.say(problem)
        if not (self.directory / MANIFEST).exists():
            why = "" if self.watch.interrupted else f":\n{self._locust.complaints()}"
            self.progress.say(f"the load generator never started{why}")
            return self._exit_code(ExitCode.INVALID)
        if not self.request.is_judged:
            return self._exit_code(ExitCode.PASS)
        verdict_code = judge_run(self.directory, self.environment)
        self._say_what_next()
        return self._exit_code(verdict_code)

    def _await_gateway(self) -> str:
        """Return the gateway's URL once it listens. Raises ChildFailed."""
        if self._gateway is None:
            return str(self.request.target)
        url = self._gateway.await_addresses(GATEWAY_START_S)
        for name, value in self.scenario.gateway.items():
            self.progress.say(f"gateway setting from the scenario: {name}={value}")
        return url

    def _start_gateway(self) -> EmbeddedNodes:
        command = self.request.gateway
        inherited = command.environment_in(self._callers_environment)
        environment = {
            **{k: v for k, v in inherited.items() if not _is_gateway_setting(k)},
            **self.scenario.gateway,
            **command.settings,
            "GATEWAY_ENV": "production",
            "JWT_SECRET": self._secret,
            "CLIENT_URL": "http://localhost",
            "HOST": "127.0.0.1",
        }
        logs, count = self.directory / LOGS, self.scenario.nodes
        return EmbeddedNodes(command.words, environment, logs, self._cores[0], count)

    def _start_locust(self) -> Child:
        return start_load_generator(
            self.scenario,
            self.request,
            self.directory,
            gateway=self._gateway,
            secret=self._secret,
            tokens=self._tokens.path,
            environment=self._callers_environment,
            cores=None if self._gateway is None else self._cores[1],
        )

    def _watch_load(self) -> None:
        locust = self._running_locust()
        ceiling_s = self._span_s + OVERTIME_S
        end_s = time.monotonic() + ceiling_s
        while locust.exit_code is None:
            live = read_json(self.directory / LOGS / "live.json")
            self._tokens.tend()
            self.progress.show(live)
            if self._oversight is not None and not self.watch.cut:
                self._notice_cut(self._oversight.look(live))
            if self.watch.interrupted:
                self._stop_locust("interrupted; stopping the load")
            elif self.watch.cut:
                self._stop_locust(f"{self.watch.cut}; stopping the load")
            elif self._gateway is not None and self._gateway.has_died:
                self._notice_dead_gateway(self._gateway)
                self._stop_locust("the gateway died; stopping the load")
            elif time.monotonic() > end_s:
                self.watch.problems.append(f"the load did not end within {ceiling_s:.0f} s")
                self._stop_locust("the load did not end in time; stopping it")
            time.sleep(self._tend_gateway())
        self._notice_end(locust)

    def _notice_cut(self, cut: Cut | None) -> None:
        if cut is not None:
            self.watch.cut, self.watch.cut_by = cut.reason, str(cut.by)

    def _tend_gateway(self) -> float:
        """Follow the gateway through an ordered end; return when to check again, in s."""
        gateway = self._gateway
        if gateway is None:
            return _POLL_S
        gateway.tend()
        return _BRISK_POLL_S if gateway.is_ordered else _POLL_S

    def _begin_oversight(self) -> None:
        if not self.request.is_judged:
            return  # all blocks of a comparison must have the same length
        self._oversight = Oversight(
            self.scenario,
            self.directory / LOGS,
            self.environment,
            gateway_pid=None if self._gateway is None else self._gateway.gateways[0].pid,
            max_duration_s=self.request.max_duration_s,
            is_profiled=self.request.is_profiled,
        )

    def _notice_end(self, locust: Child) -> None:
        self._tend_gateway()
        if self._gateway is not None and self._gateway.has_died:
            self._notice_dead_gateway(self._gateway)
        expected = (ExitCode.PASS, ExitCode.INVALID, ExitCode.USAGE)
        if self.watch.interrupted or self.watch.gateway_died or self.watch.cut:
            return  # the supervisor stopped it
        if locust.exit_code not in expected:
            words = f"the load generator ended with exit code {locust.exit_code}"
            self.watch.problems.append(f"{words}:\n{locust.last_lines()}")

    def _notice_dead_gateway(self, gateway: EmbeddedNodes) -> None:
        if self.watch.gateway_died:
            return
        self.watch.gateway_died = True
        self.watch.gateway_exit_code, words = gateway.describe_death()
        self.watch.problems.append(words)

    def _stop_locust(self, words: str) -> None:
        self.progress.say(words)
        if not stop_in_order(self._running_locust(), self.scenario.phases.drain_s):
            self.watch.problems.append("the load generator had to be killed")

    def _stop_gateway(self) -> None:
        gateway = self._gateway
        if gateway is None or gateway.exit_code is not None:
            return
        if not gateway.stop(GATEWAY_STOP_S):
            self.watch.problems.append(f"the gateway did not stop within {GATEWAY_STOP_S:g} s")
        if not self.watch.gateway_died:
            self.watch.gateway_exit_code = gateway.exit_code

    def _running_locust(self) -> Child:
        if self._locust is None:
            raise RuntimeError("the load generator was not started")
        return self._locust

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        self.watch.interrupted = True

    def _exit_code(self, verdict_code: int) -> int:
        if self.watch.interrupted:
            return ExitCode.INTERRUPTED
        if self.watch.gateway_died:
            return ExitCode.GATEWAY_FAILED
        load_code = self._running_locust().exit_code
        if load_code == ExitCode.USAGE:
            return ExitCode.USAGE
        if verdict_code == ExitCode.BUDGET_BROKEN:
            return ExitCode.BUDGET_BROKEN
        is_cut = (
            bool(self.watch.cut) and load_code == ExitCode.INTERRUPTED
        )  # as the supervisor asked
        if (load_code != ExitCode.PASS and not is_cut) or verdict_code == ExitCode.USAGE:
            return ExitCode.INVALID  # 2 says that the call was wrong, and it was not
        return verdict_code

    def _say_what_next(self) -> None:
        report = self.directory / REPORT
        if report.exists():
            self.progress.say(f"report: {report}")
        if self.request.words:
            self.progress.say(f"rerun:  {shlex.join(('tidegate', *self.request.words))}")
        self.progress.say(f"judge again: {shlex.join(('tidegate', 'report', str(self.directory)))}")


def _load_s(scenario: Scenario, users: int | None) -> float:
    """Return the length of the load in s, including the ramp to ``users``."""
    more = 0 if users is None else users - scenario.users.total
    return scenario.load_s + more / scenario.phases.spawn_rate


def _is_gateway_setting(name: str) -> bool:
    """Return whether an environment variable would configure the embedded gateway."""
    return name.startswith(("GATEWAY_", "JWT_")) or name in ("REDIS_URL", "NODE_ENV")
