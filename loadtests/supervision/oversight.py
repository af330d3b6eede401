"""Cut a run early, and profile its gateway while it is too slow.

The supervisor's loop calls ``look`` once a turn and ``close`` at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.results import CutBy, Phase
from loadtests.supervision.breach import BreachWatch
from loadtests.supervision.profiling import Profile
from scenarios.schema import Scenario


@dataclass(frozen=True, slots=True)
class Cut:
    """Why the load should end now: what decides it, and the reason in words."""

    by: CutBy
    reason: str


class Oversight:
    """Watches one run.

    Args:
        scenario: with the budgets that will be judged.
        logs: the run's folder of logs.
        environment: of the profiler.
        gateway_pid: process id of the embedded gateway; None profiles nothing.
        max_duration_s: longest time of the load; None sets no limit.
        is_profiled: whether the gateway is profiled without a breach, too: from the first second
            of the steady phase on.
    """

    def __init__(
        self,
        scenario: Scenario,
        logs: Path,
        environment: Mapping[str, str],
        *,
        gateway_pid: int | None,
        max_duration_s: float | None,
        is_profiled: bool = False,
    ) -> None:
        self._breach = BreachWatch(scenario.budgets)
        self._aborts = scenario.policy.abort == "gross"
        self._max_duration_s = max_duration_s
        self._is_profiled = is_profiled
        self._profile = None if gateway_pid is None else Profile(gateway_pid, logs, environment)

    def look(self, live: Mapping[str, Any] | None) -> Cut | None:
        """Take the newest second; return why the load should end now, None when it should not."""
        self._breach.see(live)
        is_due = self._is_profiled and (live or {}).get("phase") == Phase.STEADY
        if (self._breach.visible or is_due) and self._profile is not None:
            self._profile.begin()
        if self._breach.gross and self._aborts:
            reason = f"a budget was broken grossly: {self._breach.gross}"
            return Cut(CutBy.GROSS_BREACH, reason)
        load_s = (live or {}).get("t_s") or 0.0
        if self._max_duration_s is not None and load_s >= self._max_duration_s:
            reason = f"the load had gone on for {load_s:.0f} s, as long as --max-duration allows"
            return Cut(CutBy.MAX_DURATION, reason)
        return None

    def close(self) -> list[str]:
        """Stop a profile; return its problems, for the manifest."""
        if self._profile is None:
            return []
        self._profile.close()
        return self._profile.problems
