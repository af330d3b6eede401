"""``RunPublisher``: the publisher process of a run, from its early start to its last numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtests.endpoints import fetch_streams
from loadtests.health.gateway_clock import GatewayClock
from loadtests.plan.nodes import split_urls
from loadtests.plan.publish_plan import describe_plan
from loadtests.plan.turns import Turns
from loadtests.publication.publishing import PublisherProcess
from loadtests.record.phases import PhaseTimes
from loadtests.results import Phase
from loadtests.tokens import Tokens
from scenarios.schema import GATEWAY_DEEDS, Scenario

_STREAMS_TIMEOUT_S: Final = 5.0
_ONE_REQUEST_S: Final = 600


@dataclass(kw_only=True)
class RunPublisher:
    """The publisher of a run. A scenario that publishes nothing has no process.

    Attributes:
        scenario: the scenario of the run.
        directory: the run directory.
        url: ``http://HOST:PORT`` of the gateway, or ``URL,URL`` of its nodes.
        tokens: gives each client its token.
        phases: the run's phases.
        clock: the gateway's clock.
        turns: the only slices in which publications are due; None for all the time.
        process: the process; None when the scenario publishes nothing.
        is_lost: whether the process exited early or with an error.
    """

    scenario: Scenario
    directory: Path
    url: str
    tokens: Tokens
    phases: PhaseTimes
    clock: GatewayClock
    turns: Turns | None = None
    process: PublisherProcess | None = None
    is_lost: bool = False
    _told: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Start the process, which needs time before it can publish."""
        if self.scenario.publish:
            self.process = PublisherProcess(self.directory)

    @property
    def ready_ns(self) -> int:
        """When it can publish, monotonic; 0 without a process."""
        return 0 if self.process is None else self.process.ready_ns

    @property
    def is_ready(self) -> bool:
        """Whether the process can take its plan; True without a process."""
        return self.process is None or self.process.is_ready

    def begin(self, user_ids: Sequence[str], load_s: float, end_ns: int | None) -> None:
        """Publish from the warm-up on, by a plan that the phases give.

        Args:
            user_ids: users that trading events may name as owners.
            load_s: how long the load lasts, in s; the token outlives it.
            end_ns: nothing is due from then on, monotonic; None when a person ends the load.
        """
        steady_ns = self.phases.start_ns(Phase.STEADY)
        if self.process is None or steady_ns is None:
            return
        scenario = self.scenario
        every = 0 if len(split_urls(self.url)) > 1 else 1  # while one of several lives, publish
        # Nothing is published to a gateway that a command terminates.
        ended_ns = scenario.ordered_ns("terminate", steady_ns, every)
        ends_ns = [*ended_ns, *([end_ns] if end_ns else [])]
        self._told = self.tokens.publisher(int(load_s) + 3_600) or ""
        self.process.begin(
            describe_plan(
                scenario,
                directory=self.directory,
                url=self.url,
                token=self._told,
                user_ids=list(user_ids),
                t0_ns=self.phases.starts_ns[0],
                first_ns=self.phases.start_ns(Phase.WARM_UP),
                steady_ns=steady_ns,
                end_ns=min(ends_ns, default=None),
                orders_ns=[
                    at for do in GATEWAY_DEEDS for at in scenario.ordered_ns(do, steady_ns, every)
                ],
                clock_offset_ns=self.clock.offset_ns,
                turns=None if self.turns is None else asdict(self.turns),
            )
        )
        self.clock.listen(self.process.tell_clock_offset)

    def renew_token(self) -> None:
        """Pass on a newer token, where others issue the tokens."""
        if self.process is None or not self._told or self.tokens.secret is not None:
            return
        token = self.tokens.publisher(0)
        if token is not None and token != self._told:
            self._told = token
            self.process.tell_token(token)

    def find_loss(self) -> str | None:
        """Return a message when the process has exited early since the last call."""
        if self.process is None or self.is_lost or not self.process.is_lost:
            return None
        self.is_lost = True
        return f"the publisher was lost: it exited early with exit code {self.process.exit_code}"

    def stop(self) -> str | None:
        """Stop the process. Returns a message when it did not end in order. Idempotent."""
        if self.process is None or self.process.status == "complete":
            return None
        self.process.stop()
        if not self.process.is_lost or self.is_lost:
            return None
        self.is_lost = True
        return f"the publisher did not end in order: exit code {self.process.exit_code}"

    def ledger(self) -> dict[str, Any] | None:
        """Return what it has published so far; None without a process."""
        return None if self.process is None else self.process.ledger()

    def last_numbers(self) -> tuple[dict[str, int], str | None]:
        """Return the last number of each stream, and a message when the gateway does not tell them.

        Then the numbers are those in the gateway's answers to the publisher.
        """
        token = self.tokens.publisher(_ONE_REQUEST_S)
        if token is None:
            return {}, "the last numbers of streams are unknown: no token with the scope to publish"
        told: list[dict[str, int]] = []
        problem = ""
        for url in split_urls(self.url):
            try:
                told.append(fetch_streams(url, token, timeout_s=_STREAMS_TIMEOUT_S))
            except (OSError, ValueError) as error:
                problem = (
                    f"the gateway does not tell its last numbers ({error}); "
                    "the publisher's numbers are used instead"
                )
        if told:
            # A node tells what it has applied, and one may be behind another.
            names = dict.fromkeys(name for each in told for name in each)
            return {name: max(each.get(name, 0) for each in told) for name in names}, None
        streams = (self.ledger() or {}).get("streams", {})
        return {str(name): int(number) for name, number in streams.items()}, problem

    def describe(self) -> dict[str, object] | None:
        """Return what the manifest says of it; None without a process."""
        return None if self.process is None else self.process.figures()
