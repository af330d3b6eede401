"""How a run starts under Locust: its checks, its run directory and its division among workers.

RuntimeError
└── CannotBegin      the target sends no welcome, or a limit is below what the scenario needs
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from locust.env import Environment
from locust.runners import MasterRunner

from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.conducting.meeting import Meeting
from loadtests.conducting.run import Run
from loadtests.conducting.user_counts import divide_users, unmet_groups
from loadtests.conducting.workers import Workers
from loadtests.connection.protocol.handshake import parse_target
from loadtests.errors import ClientError
from loadtests.given_tokens import GivenTokens
from loadtests.health.clock_id import read_clock_id
from loadtests.health.descriptors import highest_limit, raise_limit
from loadtests.health.target import fetch_welcome
from loadtests.plan.messages import RUN_OPTION, Assignment
from loadtests.plan.nodes import RunNode, name_nodes, split_urls
from loadtests.plan.preflight import (
    GATEWAY_DESCRIPTORS,
    GENERATOR_DESCRIPTORS,
    descriptors_problem,
    heartbeat_problem,
    limits_exceeded,
    tokens_problems,
)
from loadtests.record.manifest import create_run_directory, describe_run
from loadtests.tokens import Tokens
from scenarios.schema import Scenario

RUNS: Final = Path("runs")
LEAD_NS: Final = 300_000_000
"""The first session is due this long after the run's start: Locust spawns users once a second."""


class CannotBegin(RuntimeError):  # noqa: N818 - a state, not a mistake of the program
    """A run that cannot begin; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStart:
    """All that is needed to start a run.

    Attributes:
        environment: Locust's.
        behaviours: the user class of each group.
        scenario: the scenario of the run.
        tokens: gives each client its token.
        metrics_token: opens the gateway's metrics; None when they are open.
        users: how many there are at most.
        session_rate: sessions that begin in a second.
        directory: the run directory; None makes one under ``runs/``.
        meeting: with the run that this one takes turns with; None for a run on its own.
    """

    environment: Environment
    behaviours: Mapping[str, type[VirtualUser]]
    scenario: Scenario
    tokens: Tokens
    metrics_token: str | None
    users: int
    session_rate: float
    directory: Path | None
    meeting: Meeting | None = None

    def begin(
        self, user_ids: Callable[[], Sequence[str]], on_lost: Callable[[str], None]
    ) -> tuple[Run, Assignment]:
        """Start the run. With workers, Locust tells them of it with their first users.

        Raises:
            CannotBegin: nothing was started: the target sends no welcome, or a limit is too low.
        """
        nodes = self._nodes()
        if self.scenario.ends_gateway and self._options().gateway_pid is None:
            words = "the scenario terminates its gateway, which must be an embedded one"
            raise CannotBegin(f"{words}: use tidegate run, without --target")
        if isinstance(self.tokens, GivenTokens):
            problems = tokens_problems(
                self.scenario,
                users=self.users,
                tokens=self.tokens.count,
                can_publish=self.tokens.publisher(0) is not None,
            )
            if problems:
                raise CannotBegin(f"--tokens does not fit the scenario: {'; '.join(problems)}")
        welcome = self._check_targets(nodes)
        runner = self.environment.runner
        counts, ranks = divide_users(self.environment, self.behaviours, self.users)
        self._check_descriptors(counts)
        fixed, empty = unmet_groups(self.scenario, self.behaviours, counts)
        if fixed:
            words = f"{self.users:,} users are fewer than the groups of a fixed number have"
            raise CannotBegin(f"{words}: {', '.join(fixed)}")
        directory, facts = self._make_directory(nodes, welcome, counts)
        workers = Workers(runner, directory, ranks) if isinstance(runner, MasterRunner) else None
        run = Run(
            self.scenario,
            directory,
            facts,
            tokens=self.tokens,
            metrics_token=self.metrics_token,
            user_ids=user_ids,
            on_lost=on_lost,
            workers=workers,
            turns=None if self.meeting is None else self.meeting.turns,
        )
        run.start()
        problem = heartbeat_problem(self.scenario, welcome)
        if problem is not None:
            run.note(problem)
        if empty:
            run.note(f"{self.users:,} users leave none for {', '.join(empty)}")
        assignment = self._assign(run, welcome.get("clock"), counts, ranks)
        if workers is not None:
            # Locust sends this option with each spawn message.
            setattr(self._options(), RUN_OPTION, asdict(assignment))
        return run, assignment

    def _options(self) -> Any:
        return self.environment.parsed_options

    def _nodes(self) -> tuple[RunNode, ...]:
        """Return the nodes that Locust's host names, ``URL`` or ``URL,URL``."""
        return name_nodes(split_urls(self.environment.host or ""), self._options().gateway_pid)

    def _make_directory(
        self, nodes: Sequence[RunNode], welcome: Mapping[str, Any], counts: Mapping[str, list[int]]
    ) -> tuple[Path, dict[str, Any]]:
        """Make the run directory. Returns it with the manifest's unchanging members."""
        unix_s = time.time()
        try:
            directory = create_run_directory(RUNS, self.scenario, unix_s, name=self.directory)
        except FileExistsError as error:
            raise CannotBegin(f"--run-dir already holds a run: {error}") from None
        meeting = self.meeting
        return directory, describe_run(
            self.scenario,
            directory=directory,
            target_url=",".join(node.url for node in nodes),
            welcome=welcome,
            users={group: sum(each) for group, each in counts.items()},
            spawn_rate=self.session_rate,
            load_s=self._options().run_time,
            command=sys.argv,
            embedded_pid=nodes[0].pid,
            clock_id=read_clock_id(),
            unix_s=unix_s,
            nodes=nodes if len(nodes) > 1 else (),
        ) | {"turns": None if meeting is None else meeting.describe()}

    def _assign(
        self,
        run: Run,
        gateway_clock_id: str | None,
        counts: Mapping[str, list[int]],
        ranks: Mapping[str, int],
    ) -> Assignment:
        return Assignment(
            run_id=run.directory.name,
            scenario=self.scenario.source,
            t0_ns=run.t0_ns,
            clock_id=read_clock_id(),
            gateway_clock_id=gateway_clock_id,
            counts=counts,
            ranks=ranks,
            session_count=self._options().num_users,
            session_rate=self.session_rate,
            session_first_ns=time.monotonic_ns() + LEAD_NS,
            turn=None if self.meeting is None else self.meeting.turns.place,
            urls=[node.url for node in self._nodes()],
        )

    def _check_descriptors(self, counts: Mapping[str, list[int]]) -> None:
        """Check the processes of this machine. A worker elsewhere checks itself.

        Raises:
            CannotBegin: one may open too few descriptors.
        """
        options = self._options()
        of_workers = [sum(each) for each in zip(*counts.values(), strict=True)]
        found: list[str | None] = []
        if options.processes or not isinstance(self.environment.runner, MasterRunner):
            most, limit = max(of_workers), raise_limit()
            found += [descriptors_problem("load generator", most, GENERATOR_DESCRIPTORS, limit)]
        pids = options.gateway_pid or []
        for pid in pids:
            # One node may be away, and its users at another.
            users, limit = -(-sum(of_workers) // max(1, len(pids) - 1)), highest_limit(pid)
            found += [descriptors_problem("gateway", users, GATEWAY_DESCRIPTORS, limit)]
        problems = [words for words in found if words]
        if problems:
            raise CannotBegin("; ".join(problems))

    def _check_targets(self, nodes: Sequence[RunNode]) -> dict[str, Any]:
        """Return the welcome of the first node; without a clock where the nodes have several."""
        welcomes = [self._check_target(node.url) for node in nodes]
        if any(each.get("clock") != welcomes[0].get("clock") for each in welcomes):
            return {**welcomes[0], "clock": None}
        return welcomes[0]

    def _check_target(self, url: str) -> dict[str, Any]:
        """Return the target's welcome, once its limits allow the scenario."""
        try:
            welcome = fetch_welcome(url, self.tokens.probe())
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
            raise CannotBegin(f"the scenario is above the target's limits: {'; '.join(problems)}")
        return welcome
