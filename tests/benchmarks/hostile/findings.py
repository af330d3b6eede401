"""What a promise says of a measurement (kept, broken or undecided), and the table of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.table import Table

from tests.benchmarks.transport.intervals import Estimate, estimate_difference, estimate_ratio

MOST_RATIO: Final = 1.25
MOST_MORE_MS: Final = 2.0
_COVERAGE: Final = 0.95  # six pairs give 96.9 %: their extremes
_METHOD: Final = Path(__file__).with_name("method.md")


class Verdict(StrEnum):
    KEPT = "kept"
    BROKEN = "broken"
    UNDECIDED = "undecided"
    UNMEASURED = "not measured"


_STYLES: Final = {Verdict.KEPT: "green", Verdict.UNDECIDED: "yellow"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the table; ``measured`` in words, and the figures behind them."""

    key: str
    title: str
    measured: str
    promise: str
    verdict: Verdict
    figures: Mapping[str, Any] = field(default_factory=dict)


def judge(is_kept: bool) -> Verdict:
    """Return the verdict on something that was counted, not estimated."""
    return Verdict.KEPT if is_kept else Verdict.BROKEN


class Comparison(NamedTuple):
    """Bystanders' p99 with a hostile client and without, typically and from pairs."""

    with_ms: float
    without_ms: float
    ratio: Estimate
    more_ms: Estimate

    @property
    def verdict(self) -> Verdict:
        """Kept when either bound holds at its interval's upper end, broken when neither can hold.

        An interval that is too narrow, of fewer than six pairs, decides nothing.
        """
        bounded = ((self.ratio, MOST_RATIO), (self.more_ms, MOST_MORE_MS))
        if self.ratio.coverage < _COVERAGE or self.ratio.low is None:
            return Verdict.UNDECIDED
        if any(one.high is not None and one.high <= bound for one, bound in bounded):
            return Verdict.KEPT
        is_broken = all(one.low is not None and one.low > bound for one, bound in bounded)
        return Verdict.BROKEN if is_broken else Verdict.UNDECIDED

    def in_words(self) -> str:
        ratio, more = self.ratio, self.more_ms
        ends = ["", ""]
        if ratio.low is not None and more.low is not None:
            ends = [
                f" ({ratio.low:.2f} … {ratio.high:.2f})",
                f" ({more.low:+.2f} … {more.high:+.2f})",
            ]
        return (
            f"p99 {self.without_ms:.1f} → {self.with_ms:.1f} ms; × {ratio.value:.2f}{ends[0]}, "
            f"{more.value:+.2f} ms{ends[1]}"
        )


def compare(with_ms: Sequence[float], without_ms: Sequence[float]) -> Comparison:
    """Compare paired p99s."""
    return Comparison(
        with_ms=sorted(with_ms)[len(with_ms) // 2],
        without_ms=sorted(without_ms)[len(without_ms) // 2],
        ratio=estimate_ratio(with_ms, without_ms, _COVERAGE),
        more_ms=estimate_difference(with_ms, without_ms, _COVERAGE),
    )


def for_terminal(findings: Sequence[Finding]) -> Table:
    """Return the table with what was measured, promised and came of it."""
    table = Table(
        "", "measured", "promised", "", title="What one hostile client can do to the others"
    )
    table.title_justify = "left"
    for one in findings:
        style = _STYLES.get(one.verdict, "red")
        table.add_row(one.title, one.measured, one.promise, f"[{style}]{one.verdict}[/]")
    return table


def for_documents(findings: Sequence[Finding], words: str, notes: Sequence[str]) -> str:
    """Return the table in Markdown, with what was measured where and how."""
    lines = [
        "# What one hostile client can do to the others",
        "",
        "Written by `python -m tests.benchmarks.hostile`.",
        words,
        "",
        "| | measured | promised | |",
        "|---|---|---|---|",
        *(f"| {one.title} | {one.measured} | {one.promise} | {one.verdict} |" for one in findings),
        *(["", *(f"- {note}" for note in notes)] if notes else []),
        "",
        _METHOD.read_text("utf-8"),
    ]
    return "\n".join(lines)
