"""When each phase of a run begins: a table of times, past or planned. Pure."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from loadtests.results import Phase

SECOND_NS: Final = 1_000_000_000


class PhaseTimes:
    """When each phase begins, monotonic. A phase may be planned ahead.

    Args:
        start_ns: when the run, and with it the ramp, begins.
    """

    def __init__(self, start_ns: int) -> None:
        self.starts_ns: list[int] = [start_ns]
        self.phases: list[Phase] = [Phase.RAMP]

    def begin(self, phase: Phase, at_ns: int) -> None:
        """Begin a phase. Phases that were planned for later are dropped."""
        keep = bisect_right(self.starts_ns, at_ns - 1)
        del self.starts_ns[max(1, keep) :]
        del self.phases[max(1, keep) :]
        self.starts_ns.append(at_ns)
        self.phases.append(phase)

    def replace(self, starts_ns: list[int], phases: list[Phase]) -> None:
        """Replace all phases with those that another process planned."""
        self.starts_ns[:], self.phases[:] = starts_ns, phases

    def at(self, now_ns: int) -> Phase:
        """Return the phase at a moment. A moment before the start belongs to the first phase."""
        return self.phases[self._index(now_ns)]

    def began_ns(self, now_ns: int) -> int:
        """Return when the phase at a moment began."""
        return self.starts_ns[self._index(now_ns)]

    def is_ramping(self) -> bool:
        """Return whether users are still connecting and no later phase is planned."""
        return self.phases[-1] is Phase.RAMP

    def start_ns(self, wanted: Phase) -> int | None:
        """Return when a phase begins; None while it is not planned."""
        marks = zip(self.phases, self.starts_ns, strict=True)
        return next((start_ns for phase, start_ns in marks if phase is wanted), None)

    def describe(self, t0_ns: int, end_ns: int) -> list[dict[str, object]]:
        """Return each phase that began by ``end_ns``, with start and end in seconds of the run."""
        ends_ns = [*self.starts_ns[1:], end_ns]
        return [
            {
                "phase": str(phase),
                "start_s": (start_ns - t0_ns) / SECOND_NS,
                "end_s": (min(stop_ns, end_ns) - t0_ns) / SECOND_NS,
            }
            for phase, start_ns, stop_ns in zip(self.phases, self.starts_ns, ends_ns, strict=True)
            if start_ns <= end_ns
        ]

    def _index(self, now_ns: int) -> int:
        return max(0, bisect_right(self.starts_ns, now_ns) - 1)
