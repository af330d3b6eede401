"""Blocks: the runs of each side, their validity, and their pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from loadtests.results import MANIFEST
from reports.believability import Check, CheckName, check_run
from reports.measures.registry import measure
from reports.report_errors import NotARunError, SameRunError
from reports.run_frames import RunFrames, read_run
from reports.shifts import Look, look_at
from reports.verdict import shortfalls
from reports.weighing import is_timing
from scenarios.alternation import ALTERNATING
from scenarios.schema import METRICS, Budget


@dataclass(frozen=True)
class Block:
    """One run of one side."""

    run: RunFrames

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.manifest.run_id

    @property
    def created(self) -> str:
        """The time of its creation, as text that sorts like time."""
        return str(self.run.manifest.facts.get("created") or self.run_id)

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Its validity checks."""
        return check_run(self.run)

    @property
    def meeting(self) -> str | None:
        """The meeting at which it agreed with its pair to take turns; None for a block."""
        name = self.run.manifest.part("turns").get("meeting")
        return None if name is None else str(name)

    @property
    def doubt(self) -> str:
        """Why its times do not count; empty when they do.

        A run in slices is not doubted for what the host took: its pair lost as much.
        """
        allowed = [] if self.meeting is None else [CheckName.DIRTY]
        return self._first_doubt([one for one in self.checks if one.name not in allowed])

    @property
    def doubt_of_cost(self) -> str:
        """Why its CPU time does not count, which is the kernel's own account; empty when it does.

        A run in slices is doubted for a lost process, not for a late generator.
        """
        if self.meeting is None:
            return self.doubt
        return self._first_doubt([one for one in self.checks if not one.is_about_times])

    def _first_doubt(self, checks: Sequence[Check]) -> str:
        if short := shortfalls(self.run):
            return short[0][1]
        broken = [check for check in checks if check.ok is False]
        return f"{broken[0].name}: {broken[0].why}" if broken else ""

    def value(self, budget: Budget) -> float | None:
        """Return the value that a budget judges; None without a value above 0."""
        found = measure(self.run, budget.metric, budget.statistic).value
        return found if found is not None and found > 0 else None


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The blocks of a comparison that count.

    Attributes:
        base: in order of time.
        head: in order of time; where ``is_paired``, at the place of its pair.
        is_paired: whether the blocks of the two sides alternated, or took turns in slices.
        in_slices: whether the load alternated between the two of a pair.
        had: pairs that ran, those left out included.
        excluded: ids of blocks whose times are invalid, each with the reason.
    """

    base: tuple[Block, ...]
    head: tuple[Block, ...]
    is_paired: bool = True
    in_slices: bool = False
    had: int = 0
    excluded: tuple[tuple[str, str], ...] = ()

    @property
    def pairs(self) -> int:
        """Pairs that count, or blocks of the smaller side."""
        return min(len(self.base), len(self.head))


NO_SIDES: Final = Sides(base=(), head=())
"""Nothing that counts."""


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The runs of a comparison by how they ran.

    Attributes:
        slices: pairs in which the load alternated and whose times count; None when none ran.
        costs: those of them whose CPU time counts.
        blocks: runs that followed each other; None without any.
        look: the look at which they are judged.
    """

    slices: Sides | None
    costs: Sides | None
    blocks: Sides | None
    look: Look

    @classmethod
    def of(cls, base: Sequence[Block], head: Sequence[Block], planned: Sequence[int]) -> Self:
        """Return the runs of both sides, in pairs.

        Args:
            base: in order of time.
            head: in order of time.
            planned: pairs at each look; none for a comparison that is judged once.
        """
        sliced, plain = (
            [
                [block for block in side if (block.meeting is not None) == in_slices]
                for side in (base, head)
            ]
            for in_slices in (True, False)
        )
        had = max(min(len(side) for side in kind) for kind in (sliced, plain))
        return cls(
            slices=pair_up(*sliced) if any(sliced) else None,
            costs=pair_up(*sliced, of_cost=True) if any(sliced) else None,
            blocks=pair_up(*plain) if any(plain) else None,
            look=look_at(planned, had),
        )

    @property
    def each(self) -> tuple[Sides, ...]:
        """The kinds that there are."""
        return tuple(sides for sides in (self.slices, self.blocks) if sides is not None)

    @property
    def main(self) -> Sides:
        """The pairs in slices where there are any, else the blocks."""
        return next(iter(self.each), NO_SIDES)

    @property
    def method(self) -> str:
        """How the runs are compared: ``slices``, ``pairs`` or ``samples``."""
        if self.slices is not None:
            return "slices"
        return "pairs" if self.main.is_paired else "samples"

    def of_metric(self, metric: str) -> Sides | None:
        """Return the runs that measure a metric; None when there are none."""
        if self.slices is not None and metric in ALTERNATING:
            return self.slices if is_timing(metric) else self.costs
        return self.blocks

    def used(self, metrics: Iterable[str]) -> tuple[Sides, ...]:
        """Return the kinds of runs that metrics are judged by; of no metric, all that there are."""
        found = [sides for metric in metrics if (sides := self.of_metric(metric)) is not None]
        return tuple({id(sides): sides for sides in found}.values()) or self.each


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Return the run directories under paths; each path is a run or a directory of runs.

    Raises:
        NotARunError: a path is neither.
    """
    found: list[Path] = []
    for path in paths:
        if (path / MANIFEST).exists():
            found.append(path)
            continue
        # A link, such as runs/latest, is a second name of a run.
        inside = sorted(
            one.parent for one in path.glob(f"*/{MANIFEST}") if not one.parent.is_symlink()
        )
        if not inside:
            raise NotARunError(path, "neither a run nor a directory of runs")
        found += inside
    return list({path.resolve(): path for path in found}.values())


def read_blocks(paths: Iterable[Path]) -> tuple[Block, ...]:
    """Return the blocks of one side in order of time.

    Raises:
        ReportError: one of them cannot be read.
    """
    blocks = (Block(read_run(path)) for path in find_runs(paths))
    return tuple(sorted(blocks, key=lambda block: block.created))


def read_sides(
    base: Iterable[Path], head: Iterable[Path]
) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
    """Return the blocks of both sides.

    Raises:
        SameRunError: a run is on both sides.
        ReportError: one of them cannot be read.
    """
    sides = read_blocks(base), read_blocks(head)
    held, others = ({block.run.directory.resolve() for block in side} for side in sides)
    for path in sorted(held & others):
        raise SameRunError(path)
    return sides


def pair_up(base: Sequence[Block], head: Sequence[Block], *, of_cost: bool = False) -> Sides:
    """Return the blocks that count, paired when the two sides alternated in time.

    A block with invalid times is left out, with the other block of its pair.

    Args:
        base: in order of time; either all took turns in slices, or none did.
        head: in order of time, of the same kind.
        of_cost: whether CPU time is compared, not times.
    """
    doubts = [(block, block.doubt_of_cost if of_cost else block.doubt) for block in (*base, *head)]
    doubtful = {id(block): (block.run_id, why) for block, why in doubts if why}
    excluded, had = tuple(doubtful.values()), min(len(base), len(head))
    in_slices = any(block.meeting for block in (*base, *head))
    if in_slices:
        met = {block.meeting: block for block in head}
        together = [(block, met[block.meeting]) for block in base if block.meeting in met]
    elif _alternate(base, head):
        together = list(zip(base, head, strict=True))
    else:
        kept = (tuple(one for one in side if id(one) not in doubtful) for side in (base, head))
        first, second = kept
        return Sides(base=first, head=second, is_paired=False, had=had, excluded=excluded)
    pairs = [pair for pair in together if not any(id(block) in doubtful for block in pair)]
    return Sides(
        base=tuple(pair[0] for pair in pairs),
        head=tuple(pair[1] for pair in pairs),
        in_slices=in_slices,
        had=had,
        excluded=excluded,
    )


def _alternate(base: Sequence[Block], head: Sequence[Block]) -> bool:
    """Return whether each two blocks in order of time are one of base and one of head."""
    if len(base) != len(head):
        return False
    sides = [(block.created, "base") for block in base] + [(one.created, "head") for one in head]
    names = [name for _, name in sorted(sides)]
    return all(names[place] != names[place + 1] for place in range(0, len(names), 2))


def is_count(budget: Budget) -> bool:
    """Return whether a budget judges an exact count."""
    return METRICS[budget.metric].kind == "count" and not budget.is_relative
