"""The request for a run: read and check it before anything starts.

Exception
└── RunRefused       the scenario, the target or the environment is not valid (exit code 2)
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.error import HTTPError

from gateway.contract import HEALTH_PATH
from loadtests.connection.protocol.handshake import parse_target
from loadtests.endpoints import fetch
from loadtests.errors import InvalidTarget
from loadtests.plan.nodes import split_urls
from loadtests.results import LOGS, PROFILE
from loadtests.supervision.gateway_command import GatewayCommand
from loadtests.supervision.once import shrink
from scenarios.changes import UnknownKeyError, change_scenario
from scenarios.overlay import lay_over, read_overlay
from scenarios.schema import MOST_NODES, Scenario, ScenarioError, read_scenario

TARGET_ANSWER_S: Final = 5.0


def make_folder(runs: Path, name: str) -> Path:
    """Make the folder of a command that needs several runs, named by the time; return it.

    Raises:
        RunRefused: it cannot be made.
    """
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = runs / f"{moment}_{name}_{secrets.token_hex(3)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        words = f"{runs} is not writable: {error.strerror or error}"
        raise RunRefused(f"{words}; choose another folder with --runs") from None
    return folder


class RunRefused(Exception):  # noqa: N818 - the command's answer
    """The run cannot start; the message says what to change."""


@dataclass(kw_only=True)
class RunRequest:
    """The options of a run.

    Attributes:
        scenario: the scenario file.
        runs: the folder that takes the run directory.
        target: URL of a running gateway, or ``URL,URL`` of several nodes; None embeds one.
        nodes: how many gateways to embed; None leaves the scenario's number.
        users: total number of users; None leaves the scenario's.
        processes: number of Locust workers; None uses a single process.
        budgets: a file that overrides the scenario's budgets.
        baseline: the run that ratio budgets compare with.
        max_duration_s: longest time of the load; None sets no limit.
        duration_s: length of the steady phase; None leaves the scenario's.
        changes: ``NAME=VALUE`` of each key of the scenario that has another value.
        is_once: whether one user of each group runs for ten seconds, judged by every oracle.
        gateway: the command of the embedded gateway.
        tokens: a file of the users' tokens; None signs them with the gateway's secret.
        tokens_command: a command that prints such a file; None without one.
        metrics_token: a file that holds the token of the target's metrics; None when open.
        profile: whether the gateway is profiled without a breach, too.
        is_judged: whether the run gets its tables and a verdict. A block of a comparison gets
            neither here: the comparison finishes and judges many at once.
        turn: the file that announces this run to the one it takes turns with
            (``loadtests.conducting.meeting``); None for a run on its own.
        words: the command line after ``tidegate``, printed at the end to run it again.
    """

    scenario: Path
    runs: Path
    target: str | None = None
    nodes: int | None = None
    users: int | None = None
    processes: int | None = None
    budgets: Path | None = None
    baseline: Path | None = None
    max_duration_s: float | None = None
    duration_s: float | None = None
    changes: tuple[str, ...] = ()
    is_once: bool = False
    gateway: GatewayCommand = field(default_factory=GatewayCommand)
    tokens: Path | None = None
    tokens_command: str | None = None
    metrics_token: Path | None = None
    profile: bool = False
    is_judged: bool = True
    turn: Path | None = None
    words: tuple[str, ...] = ()

    @property
    def changes_scenario(self) -> bool:
        """Whether the run's scenario is another text than its file."""
        return bool(self.changes) or self.is_once or self.duration_s is not None

    @property
    def is_profiled(self) -> bool:
        """Whether the gateway is profiled without a breach: on request, or as its baseline was."""
        baseline = self.baseline
        return self.profile or (baseline is not None and (baseline / LOGS / PROFILE).exists())

    def read(self) -> Scenario:
        """Return the scenario with the requested changes, duration and budgets.

        Raises:
            RunRefused: scenario, changes or budgets are not valid; the message lists every problem.
        """
        self._refuse_contradictions()
        try:
            scenario = read_scenario(self.scenario)
            scenario = change_scenario(scenario, self.changes, path=f"{self.scenario} with --set")
            if self.duration_s is not None:
                steady = f"phases.steady={self.duration_s:.9f}".rstrip("0").rstrip(".") + " s"
                path = f"{self.scenario} with --duration"
                scenario = change_scenario(scenario, [steady], path=path)
            if self.is_once:
                scenario = shrink(scenario, is_embedded=self.target is None)
            scenario = self._with_nodes(scenario)
            if self.budgets is not None:
                scenario = lay_over(scenario, read_overlay(self.budgets))
        except UnknownKeyError as error:
            raise RunRefused(f"--set: {error}") from None
        except ScenarioError as error:
            raise RunRefused(str(error)) from None
        return scenario

    def _with_nodes(self, scenario: Scenario) -> Scenario:
        if self.nodes is None:
            return scenario
        last = max((command.node for command in scenario.commands), default=0)
        if last > self.nodes:
            words = f"--nodes {self.nodes}: a command of {scenario.name} ends node {last}"
            raise RunRefused(f"{words}; write at least --nodes {last}")
        return replace(scenario, nodes=self.nodes)

    def _refuse_contradictions(self) -> None:
        if self.target is not None and self.nodes is not None:
            words = "--nodes starts gateways, and --target names some that run"
            raise RunRefused(f"{words}; leave out one of them")
        if not self.is_once:
            return
        own = {
            "--users": self.users,
            "--duration": self.duration_s,
            "--budgets": self.budgets,
            "--baseline": self.baseline,
        }
        given = [name for name, value in own.items() if value is not None]
        if given:
            words = "--once sets users, duration and budgets itself"
            raise RunRefused(f"{words}; leave out {' and '.join(given)}")

    def secret(self, environment: Mapping[str, str]) -> str:
        """Return the secret of the gateway's tokens: a new one, or the target's.

        It is empty when others issue the tokens.

        Raises:
            RunRefused: the target's secret is unknown, or the target does not answer.
        """
        if self.target is None:
            for option, value in self._of_others().items():
                if value is not None:
                    words = "an embedded gateway has a secret of its own"
                    raise RunRefused(f"{option} needs --target: {words}")
            return secrets.token_urlsafe(48)
        if self.tokens is not None and self.tokens_command is not None:
            raise RunRefused("give --tokens or --tokens-command, not both")
        has_tokens = self.tokens is not None or self.tokens_command is not None
        secret = "" if has_tokens else environment.get("JWT_SECRET", "")
        if not secret and not has_tokens:
            raise RunRefused(
                "--target needs the gateway's JWT_SECRET in the environment, or users' tokens "
                "by --tokens FILE or --tokens-command COMMAND"
            )
        urls = split_urls(self.target)
        if len(set(urls)) < len(urls) or len(urls) > MOST_NODES:
            words = f"--target names {len(urls)} URLs; name at most {MOST_NODES}, each once"
            raise RunRefused(words)
        for url in urls:
            _check_answer(url)
        return secret

    def _of_others(self) -> dict[str, object]:
        """Return the options that only a target's operator can fill in."""
        return {
            "--tokens": self.tokens,
            "--tokens-command": self.tokens_command,
            "--metrics-token": self.metrics_token,
        }

    def files(self) -> dict[str, str]:
        """Return the paths of scenario, budgets and baseline, which later verdicts need."""
        named = {"scenario": self.scenario, "budgets": self.budgets}
        found = {name: str(path) for name, path in named.items() if path is not None}
        if self.baseline is not None:
            found["baseline"] = str(self.baseline.resolve())
        return found


def _check_answer(url: str) -> None:
    """Raise RunRefused where no server answers at a URL."""
    try:
        parse_target(url)
        fetch(url + HEALTH_PATH + "/live", timeout_s=TARGET_ANSWER_S)
    except InvalidTarget as error:
        raise RunRefused(f"--target: {error}") from None
    except HTTPError:
        return  # a server answers; the handshake shows whether it is a gateway
    except (OSError, ValueError) as error:
        words = f"the target {url} is unreachable: {error}"
        raise RunRefused(f"{words}; start it, or leave out --target") from None
