"""How a run begins under Locust: held to the target's limits, divided, and announced.

RuntimeError
└── CannotBegin      the target gives no welcome, or the scenario is above its limits
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from locust.env import Environment
from locust.runners import MasterRunner

from loadtests.behaviours.users import VirtualUser
from loadtests.conducting.casting import divide_users, worker_nodes
from loadtests.conducting.crew import Crew
from loadtests.conducting.run import Run
from loadtests.connection.protocol.handshake import parse_target
from loadtests.errors import ClientError
from loadtests.health.clocks import read_clock_id
from loadtests.health.target import fetch_welcome
from loadtests.plan.messages import RUN_OPTION, Assignment
from loadtests.plan.preflight import heartbeat_problem, limits_exceeded
from scenarios.schema import Scenario

LEAD_NS: Final = 300_000_000
"""Locust starts users in steps of a second; the first session is due this long after the run."""


class CannotBegin(RuntimeError):  # noqa: N818 - the state, said in words
    """A run that cannot begin; the words say why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """What is needed to begin a run.

    Attributes:
        environment: Locust's.
        behaviours: the user class of each group.
        scenario: what is run.
        secret: the gateway's.
        users: how many there are at most.
        session_rate: sessions that begin in a second.
        directory: the run directory; None makes one.
    """

    environment: Environment
    behaviours: Mapping[str, type[VirtualUser]]
    scenario: Scenario
    secret: str
    users: int
    session_rate: float
    directory: Path | None

    def begin(
        self, user_ids: Callable[[], Sequence[str]], on_lost: Callable[[str], None]
    ) -> tuple[Run, Assignment]:
        """Begin the run; with workers, have Locust tell them of it with their first users.

        Raises:
            CannotBegin: nothing was begun.
        """
        url = (self.environment.host or "").rstrip("/")
        if self.scenario.ends_gateway and self._options().gateway_pid is None:
            words = "the scenario terminates its gateway, which must be one of our own"
            raise CannotBegin(f"{words}: use tidegate run, without --target")
        welcome = self._probe(url)
        runner, options = self.environment.runner, self._options()
        has_workers = isinstance(runner, MasterRunner)
        counts, ranks = divide_users(
            self.environment, self.behaviours, worker_nodes(self.environment), self.users
        )
        try:
            run = Run.begin(
                self.scenario,
                directory=self.directory,
                target_url=url,
                secret=self.secret,
                welcome=welcome,
                users={group: sum(each) for group, each in counts.items()},
                user_ids=user_ids,
                spawn_rate=self.session_rate,
                load_s=options.run_time,
                command=sys.argv,
                embedded_pid=options.gateway_pid,
                on_lost=on_lost,
                has_workers=has_workers,
            )
        except FileExistsError as error:
            raise CannotBegin(f"--run-dir holds a run already: {error}") from None
        problem = heartbeat_problem(self.scenario, welcome)
        if problem is not None:
            run.note(problem)
        assignment = self._assign(run, counts, ranks)
        if isinstance(runner, MasterRunner):
            run.crew = Crew(runner, run.directory, ranks)
            setattr(options, RUN_OPTION, assignment.packed())  # Locust sends it with each spawn
        return run, assignment

    def _options(self) -> Any:
        return self.environment.parsed_options

    def _assign(
        self, run: Run, counts: Mapping[str, list[int]], ranks: Mapping[str, int]
    ) -> Assignment:
        return Assignment(
            run_id=run.directory.name,
            scenario=self.scenario.source,
            t0_ns=run.t0_ns,
            clock_id=read_clock_id(),
            gateway_clock_id=run.gateway_clock_id,
            counts=counts,
            ranks=ranks,
            session_count=self._options().num_users,
            session_rate=self.session_rate,
            session_first_ns=run.t0_ns + LEAD_NS,
        )

    def _probe(self, url: str) -> dict[str, Any]:
        try:
            welcome = fetch_welcome(url, self.secret)
            host = parse_target(url).host
        except ClientError as error:
            raise CannotBegin(f"no welcome from the target: {error}") from None
        problems = limits_exceeded(
            self.scenario,
            host=host,
            users=self.users,
            spawn_rate=self.session_rate,
            limits=welcome.get("limits", {}),
        )
        if problems:
            words = "the scenario is above the target's limits"
            raise CannotBegin(f"{words}: {'; '.join(problems)}")
        return welcome
