"""The run that ratios are held against, and whether it can judge another run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reports.believability import Check, check_run
from reports.run_frames import RunFrames

_LOAD: Final = (
    "seed", "phases", "stages", "commands", "gateway", "market", "users", "publish",
)  # fmt: skip
"""Parts of a scenario that decide the load and the gateway under it."""
ORDERED: Final = {"users": "users", "spawn_rate": "users a second", "load_s": "seconds of load"}
"""Facts of a manifest that options can set against the scenario."""
_MACHINE: Final = ("cpu", "cores", "machine")
"""Facts of a host by which two machines are of one kind."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The run that relative budgets compare with.

    Attributes:
        run: as it was read.
        checks: whether its times can be believed.
        advice: why it only advises, such as another machine; empty when it may judge.
    """

    run: RunFrames
    checks: tuple[Check, ...]
    advice: str

    @classmethod
    def of(cls, run: RunFrames, judged: RunFrames) -> Baseline:
        """Return the baseline for a run that is judged."""
        return cls(run=run, checks=check_run(run), advice=advise(run, judged))


def advise(base: RunFrames, head: RunFrames) -> str:
    """Return why a baseline cannot judge a run, only advise; empty when it can.

    Times of two machines differ whatever the gateway does, and those of two scenarios too.
    """
    told, wanted = base.manifest.part("host"), head.manifest.part("host")
    differing = [name for name in _MACHINE if told.get(name) != wanted.get(name)]
    if differing:
        words = ", ".join(f"{name} {told.get(name)}, not {wanted.get(name)}" for name in differing)
        return f"the baseline is from another machine ({words})"
    parts = differing_parts(base, head)
    return f"the baseline ran another load: {', '.join(parts)}" if parts else ""


def differing_parts(base: RunFrames, head: RunFrames) -> list[str]:
    """Return the parts in which the loads of two runs differ, whatever their scenarios' names."""
    one, other = base.scenario, head.scenario
    parts = [name for name in _LOAD if getattr(one, name) != getattr(other, name)]
    facts, wanted = base.manifest.facts, head.manifest.facts
    parts += [
        f"{words} {facts.get(name)}, not {wanted.get(name)}"
        for name, words in ORDERED.items()
        if facts.get(name) != wanted.get(name)
    ]
    return parts


def machine_of(run: RunFrames) -> str:
    """Return the kind of machine that a run was made on: its times compare only within it."""
    cpu, cores, machine = (run.manifest.part("host").get(name) or "unknown" for name in _MACHINE)
    return f"{cpu}, {cores} cores, {machine}"
