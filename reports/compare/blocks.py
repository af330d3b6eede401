"""Blocks: the runs of each side, their validity, and their pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loadtests.results import MANIFEST
from reports.believability import Check, check_run
from reports.measures.registry import measure
from reports.report_errors import NotARunError, SameRunError
from reports.run_frames import RunFrames, read_run
from reports.verdict import shortfalls
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
    def doubt(self) -> str:
        """Why its times do not count; empty when they do."""
        if short := shortfalls(self.run):
            return short[0][1]
        broken = [check for check in self.checks if check.ok is False]
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
        is_paired: whether the blocks of the two sides alternated.
        excluded: ids of blocks whose times are invalid, each with the reason.
    """

    base: tuple[Block, ...]
    head: tuple[Block, ...]
    is_paired: bool
    excluded: tuple[tuple[str, str], ...]


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


def pair_up(base: Sequence[Block], head: Sequence[Block]) -> Sides:
    """Return the blocks that count, paired when the two sides alternated in time.

    A block with invalid times is left out, with the other block of its pair.
    """
    doubtful = {id(block): (block.run_id, block.doubt) for block in (*base, *head) if block.doubt}
    excluded = tuple(doubtful.values())
    if not _alternate(base, head):
        return Sides(
            base=tuple(block for block in base if id(block) not in doubtful),
            head=tuple(block for block in head if id(block) not in doubtful),
            is_paired=False,
            excluded=excluded,
        )
    pairs = [
        pair
        for pair in zip(base, head, strict=True)
        if not any(id(block) in doubtful for block in pair)
    ]
    return Sides(
        base=tuple(pair[0] for pair in pairs),
        head=tuple(pair[1] for pair in pairs),
        is_paired=True,
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
