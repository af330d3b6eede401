"""``RunManifest``: what ``manifest.json`` says of a run while it goes on and at its end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from loadtests.conducting.run_publisher import RunPublisher
from loadtests.conducting.workers import Workers
from loadtests.health.gateway_clock import GatewayClock, widest_error_ns
from loadtests.record.gateway_orders import OrderedGateway
from loadtests.record.manifest import write_json
from loadtests.record.phases import PhaseTimes
from loadtests.results import MANIFEST, RunStatus


class _Probe(Protocol):
    """Something that could not measure all that it was to measure."""

    unmeasured: set[str]


class RunManifest:
    """The manifest of one run.

    Args:
        directory: the run directory.
        facts: the members that do not change during the run (``loadtests.record.run_facts``).
        phases: the run's phases.
        clock: the gateway's clock.
        publisher: the run's publisher.
        gateway: the gateway, as far as commands end it.
        probes: what measures in this process.

    Attributes:
        workers: the run's workers; None where one process generates the load.
        status: how far the run has come.
        end_ns: when it ended, monotonic; None while it goes on.
    """

    def __init__(
        self,
        directory: Path,
        facts: dict[str, Any],
        *,
        phases: PhaseTimes,
        clock: GatewayClock,
        publisher: RunPublisher,
        gateway: OrderedGateway,
        probes: Sequence[_Probe],
    ) -> None:
        self.workers: Workers | None = None
        self.status = RunStatus.RUNNING
        self.end_ns: int | None = None
        self._directory = directory
        self._facts = facts
        self._t0_ns = phases.starts_ns[0]
        self._phases = phases
        self._clock = clock
        self._publisher = publisher
        self._gateway = gateway
        self._probes = probes
        self._problems: list[str] = []

    def note(self, problem: str) -> None:
        """Add a problem, and write the manifest."""
        self._problems.append(problem)
        self.write()

    def end(self, status: RunStatus, end_ns: int, problems: Iterable[str]) -> None:
        """Write the manifest of the ended run.

        Args:
            status: how far the run came.
            end_ns: when it ended, monotonic.
            problems: messages to add.
        """
        self.status, self.end_ns = status, end_ns
        self._problems.extend(problems)
        self.write()

    def write(self) -> None:
        """Write the manifest as it is now."""
        now_ns = self.end_ns or time.monotonic_ns()
        workers, is_embedded = self.workers, self._facts["target"]["embedded"]
        manifest = {
            **self._facts,
            "clock": self._describe_clock(now_ns),
            "status": str(self.status),
            "t0_monotonic_ns": self._t0_ns,
            "phases": self._phases.describe(self._t0_ns, now_ns),
            "unmeasured": self._unmeasured(),
            "workers": workers.describe() if workers is not None else None,
            "publisher": self._publisher.describe(),
            "gateway": self._gateway.describe(self._t0_ns) if is_embedded else None,
            "problems": self._problems,
        }
        write_json(self._directory / MANIFEST, manifest)

    def _describe_clock(self, now_ns: int) -> dict[str, object]:
        """Return what the manifest says of the clocks. The error bound holds for all processes."""
        told = self._clock.describe(self._t0_ns, now_ns)
        errors_ns = [told["error_ns"], *(self.workers.clock_errors_ns() if self.workers else ())]
        return {**self._facts["clock"], **told, "error_ns": widest_error_ns(errors_ns)}

    def _unmeasured(self) -> list[str]:
        found = set().union(*(probe.unmeasured for probe in self._probes))
        if self.workers is not None:
            found |= self.workers.unmeasured()
        return sorted(found)
