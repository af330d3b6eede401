"""Profiles of a gateway: stacks with their number of samples, as py-spy's raw format has them.

A line is ``outer (file:1);inner (file:7) 42``. Line numbers are left out, so that two versions of
a function are one function.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtests.results import LOGS, PROFILE

_LINE: Final = re.compile(r":\d+\)$")

Stack = tuple[str, ...]


@dataclass(frozen=True)
class StackCounts:
    """The samples of one profile, by stack from the outermost function to the innermost."""

    stacks: Mapping[Stack, int]

    @property
    def total(self) -> int:
        """The number of samples."""
        return sum(self.stacks.values())

    def by_function(self) -> Counter[str]:
        """Return in how many samples each function was running or had called another."""
        found: Counter[str] = Counter()
        for stack, count in self.stacks.items():
            for name in set(stack):
                found[name] += count
        return found


@dataclass(frozen=True, kw_only=True)
class Growth:
    """A function whose share of the samples grew.

    Attributes:
        function: name and file.
        base: its samples in the base's profile.
        head: its samples in the head's.
        base_total: all samples of the base's profile.
        head_total: all samples of the head's.
    """

    function: str
    base: int
    head: int
    base_total: int
    head_total: int

    @property
    def by(self) -> float:
        """How much its share grew, as a fraction of all samples."""
        return self.head / self.head_total - self.base / self.base_total


def read_profile(run: Path) -> StackCounts | None:
    """Return the profile of a run's gateway; None when it has none, or an empty one."""
    try:
        text = (run / LOGS / PROFILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = parse_stacks(text)
    return found if found.stacks else None


def parse_stacks(text: str) -> StackCounts:
    """Return the stacks of a text in the raw format; lines of another form are left out."""
    stacks: Counter[Stack] = Counter()
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        if frames and count.isdigit():
            stacks[tuple(_LINE.sub(")", frame) for frame in frames.split(";"))] += int(count)
    return StackCounts(stacks)


def grown(base: StackCounts, head: StackCounts) -> list[Growth]:
    """Return the functions whose share grew beyond what sampling explains, most grown first.

    A function counts when the 95 % intervals of its two shares do not meet.
    """
    before, after = base.by_function(), head.by_function()
    found = [
        Growth(
            function=name,
            base=before[name],
            head=count,
            base_total=base.total,
            head_total=head.total,
        )
        for name, count in after.items()
        if _share_range(count, head.total)[0] > _share_range(before[name], base.total)[1]
    ]
    found.sort(key=lambda one: -one.by)
    return found


def _share_range(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    from scipy.stats import binomtest  # a second of imports, which only a comparison needs

    found = binomtest(count, total).proportion_ci(method="wilson")
    return float(found.low), float(found.high)
