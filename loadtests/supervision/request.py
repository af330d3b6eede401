"""What somebody asked to run, read and checked before anything starts.

What can be wrong with it, in words and as an exit code (``loadtests.results.ExitCode``):

Exception
└── RunRefused       nothing was started: the scenario, the target or the environment (2)
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.error import HTTPError

from gateway.contract import HEALTH_PATH
from loadtests.endpoints import fetch
from loadtests.supervision.gateway_command import GatewayCommand
from scenarios.overlay import lay_over, read_overlay
from scenarios.schema import Scenario, ScenarioError, lengthen, read_scenario

TARGET_ANSWER_S: Final = 5.0


class RunRefused(Exception):  # noqa: N818 - the command's answer, in words
    """A run that cannot start; the words say what would be right."""


@dataclass(kw_only=True)
class RunRequest:
    """What somebody asked for; ``target`` None means a gateway of our own.

    Attributes:
        processes: how many Locust workers share the load; None for one process in all.
        budgets: a file laid over the scenario's budgets.
        baseline: the run that relative budgets compare with.
        max_duration_s: of the load; None lets the scenario say.
        duration_s: of the steady phase, in place of the scenario's; None leaves it.
        gateway: which one of our own.
        is_judged: whether the run is judged at its end; a block of a comparison is not.
        words: what was typed after ``tidegate``, to be shown at the end as what runs it again.
    """

    scenario: Path
    runs: Path
    target: str | None = None
    users: int | None = None
    processes: int | None = None
    budgets: Path | None = None
    baseline: Path | None = None
    max_duration_s: float | None = None
    duration_s: float | None = None
    gateway: GatewayCommand = field(default_factory=GatewayCommand)
    is_judged: bool = True
    words: tuple[str, ...] = ()

    def read(self) -> Scenario:
        """Return the scenario as it will be run: its length and its budgets as asked for.

        Raises:
            RunRefused: scenario or budgets are not valid; the words list every problem.
        """
        try:
            scenario = read_scenario(self.scenario)
            if self.duration_s is not None:
                scenario = lengthen(scenario, self.duration_s, path=str(self.scenario))
            if self.budgets is not None:
                scenario = lay_over(scenario, read_overlay(self.budgets))
        except ScenarioError as error:
            raise RunRefused(str(error)) from None
        return scenario

    def secret(self, environment: Mapping[str, str]) -> str:
        """Return the secret of the gateway's tokens: a new one, or that of the target.

        Raises:
            RunRefused: the target's is not known, or nobody answers there.
        """
        if self.target is None:
            return secrets.token_urlsafe(48)
        secret = environment.get("JWT_SECRET", "")
        if not secret:
            raise RunRefused("--target needs the gateway's JWT_SECRET in the environment")
        try:
            fetch(self.target.rstrip("/") + HEALTH_PATH + "/live", timeout_s=TARGET_ANSWER_S)
        except HTTPError:
            return secret  # somebody answers; whether it is a gateway shows at the handshake
        except (OSError, ValueError) as error:
            words = f"the target {self.target} cannot be reached: {error}"
            raise RunRefused(f"{words}; start it, or leave --target out") from None
        return secret

    def files(self) -> dict[str, str]:
        """Return where what decides came from: annotations and later judgements need it."""
        named = {"scenario": self.scenario, "budgets": self.budgets}
        found = {name: str(path) for name, path in named.items() if path is not None}
        if self.baseline is not None:
            found["baseline"] = str(self.baseline.resolve())
        return found
