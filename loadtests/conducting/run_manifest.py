"""``RunManifest``: what ``manifest.json`` says of a run while it goes on and at its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from loadtests.conducting.run_publisher import RunPublisher
from loadtests.conducting.workers import Workers
from loadtests.health.gateway_clock import GatewayClock, widest_error_ns
from loadtests.record.gateway_orders import describe_exits
from loadtests.record.manifest import write_json
from loadtests.record.phases import PhaseTimes
from loadtests.results import LOGS, MANIFEST, RunStatus


class Probe(Protocol):
    """Something that could not measure all that it was to measure."""

    unmeasured: set[str]


@dataclass(kw_only=True)
class RunManifest:
    """The manifest of one run.

    Attributes:
        directory: the run directory.
        facts: the members that do not change during the run (``loadtests.record.manifest``).
        phases: the run's phases.
        clock: the gateway's clock.
        publisher: the run's publisher.
        probes: what measures in this process.
        workers: the run's workers; None where one process generates the load.
        status: how far the run has come.
        end_ns: when it ended, monotonic; None while it goes on.
        problems: messages on what went wrong.
    """

    directory: Path
    facts: dict[str, Any]
    phases: PhaseTimes
    clock: GatewayClock
    publisher: RunPublisher
    probes: Sequence[Probe]
    workers: Workers | None = None
    status: RunStatus = RunStatus.RUNNING
    end_ns: int | None = None
    problems: list[str] = field(default_factory=list)

    def write(self) -> None:
        """Write the manifest as it is now."""
        t0_ns, now_ns = self.phases.starts_ns[0], self.end_ns or time.monotonic_ns()
        workers, is_embedded = self.workers, self.facts["target"]["embedded"]
        manifest = {
            **self.facts,
            "clock": self._describe_clock(now_ns),
            "status": str(self.status),
            "t0_monotonic_ns": t0_ns,
            "phases": self.phases.describe(t0_ns, now_ns),
            "unmeasured": self._unmeasured(),
            "workers": workers.describe() if workers is not None else None,
            "publisher": self.publisher.describe(),
            "gateway": self._describe_gateway(t0_ns) if is_embedded else None,
            "problems": self.problems,
        }
        write_json(self.directory / MANIFEST, manifest)

    def _describe_gateway(self, t0_ns: int) -> dict[str, object]:
        exits = describe_exits(self.directory / LOGS, t0_ns)
        return {"status": "ok", "exit_code": None, "exits": exits}

    def _describe_clock(self, now_ns: int) -> dict[str, object]:
        """Return what the manifest says of the clocks. The error bound holds for all processes."""
        told = self.clock.describe(self.phases.starts_ns[0], now_ns)
        errors_ns = [told["error_ns"], *(self.workers.clock_errors_ns() if self.workers else ())]
        return {**self.facts["clock"], **told, "error_ns": widest_error_ns(errors_ns)}

    def _unmeasured(self) -> list[str]:
        found = set().union(*(probe.unmeasured for probe in self.probes))
        if self.workers is not None:
            found |= self.workers.unmeasured()
        return sorted(found)
