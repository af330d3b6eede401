"""Measure how reliable the gate is: compare recorded blocks of one gateway many times.

``python -m tests.benchmarks.gate.proof BLOCKS.json`` draws comparisons from A/A blocks, in which
there is nothing to find, and counts what the gate says:

- **false alarms**: A/A comparisons that FAIL. At most 5 % is promised.
- **seen**: comparisons with an injected effect of 1.5 × the smallest visible change that
  another A/A comparison printed; they must FAIL. At least 80 % is promised.
- **+20 % waved through**: comparisons with an injected effect of 20 % that PASS a limit of
  1.10. None is promised.

A comparison goes as ``tidegate compare --pairs 6`` does: six pairs, and six more when
undecided. Its pairs are drawn with replacement from neighbouring blocks, and which of the
two is the base by lot, as ABBA does it in turn. Judged by ``reports.ratios``, as ever.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from loadtests.outputs import write_output
from loadtests.results import ExitCode, Verdict
from reports.quantities import quantity
from reports.ratios import Ratio, change, judge_ratio
from reports.shifts import FEWEST_PAIRS, shift_of_pairs
from scenarios.schema import METRICS, Budget, parse_budget

COMPARISONS: Final = 10_000
LIMITS: Final = (1.00, 1.10)
EFFECT: Final = 0.20
MOST_FALSE_ALARMS: Final = 0.05
LEAST_SEEN: Final = 0.80
_TIMES_VISIBLE: Final = 1.5
_SEED: Final = 20
_COLUMNS: Final = (
    "figure",
    "median",
    "spread of neighbours",
    "limit",
    "false alarms",
    "A/A passes",
    "smallest visible change",
    "1.5 × that: FAIL",
    "+20 %: FAIL",
    "+20 %: PASS",
)

_HEAD: Final = """# How reliable is `tidegate compare`?

A single run is judged by the 95 % interval of each time, from a moving-block bootstrap over
one-second histograms: inside the limit it is a PASS, outside a FAIL, else INCONCLUSIVE. A p99
needs 299 values and a p99.9 needs 2,995; with fewer it is INCONCLUSIVE.

`tidegate compare --pairs 6` compares two gateways. It runs them in turn, A B B A, with a fresh
gateway for each block. A pair of neighbours gives one ratio. The Hodges–Lehmann estimate over
pairs has an exact interval (Wilcoxon's signed ranks: 6 pairs 96.9 %, 12 pairs 95.8 %). The
following rules, and the widening by 1.43, are for comparisons only:

- **FAIL**: the whole interval breaks the limit.
- **PASS**: the interval, widened by 1.43, keeps it, and is no longer than the budget allows.
- **INCONCLUSIVE**: anything else, with the smallest visible change. If six pairs leave a budget
  undecided, the comparison runs six more, once. This second look can raise the false-alarm rate
  at a limit of 1.00; the table shows measured rates.
- **INVALID**: fewer than six pairs are left. A block whose generator was in bad health is left
  out with its neighbour.

**The smallest visible change** is the limit times exp(1.43 · w), with the half-width w of the
interval of ln(head/base): a shift of (z₀.₉₇₅ + z₀.₈) · σ = 1.43 · w keeps the interval clear
of the limit in 80 % of comparisons.

This document is written by `make proof`. A limit of 1.00 is strictest: any slowdown is a change.
"""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Share:
    """So many of so many, with the 95 % interval of Clopper and Pearson (1934)."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """As a share of 1."""
        return self.hits / self.of

    @property
    def ends(self) -> tuple[float, float]:
        """The interval's ends."""
        found = stats.binomtest(self.hits, self.of).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.ends
        return f"{self.value:.2%} ({low:.2%}–{high:.2%})".replace("%", " %")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the gate said of one figure at one limit.

    A limit of 1.00 is there for the false alarms: it alarms at any change at all.

    Attributes:
        spread: standard deviation of ln(one block / its neighbour).
        visible: the median of the smallest visible changes that it printed.
        alarms: A/A comparisons that failed.
        passes: A/A comparisons that passed.
        seen: of 1.5 × the smallest visible change, those that failed.
        waved: of +20 %, those that passed.
        caught: of +20 %, those that failed.
    """

    figure: str
    limit: float
    value: float
    spread: float
    visible: float
    alarms: Share
    passes: Share
    seen: Share
    waved: Share
    caught: Share


class Comparer:
    """Draws comparisons from one figure's neighbouring blocks.

    Args:
        logs: ln of the figure in each block, in the order of time.
        budget: a relative one.
        seed: of the draws.
    """

    def __init__(self, logs: Floats, budget: Budget, seed: int) -> None:
        self.budget = budget
        self.steps = np.diff(logs)
        self._both_ways = np.concatenate([self.steps, -self.steps])
        self._generator = np.random.default_rng(seed)

    def compare(self, effect: float = 0.0) -> Ratio:
        """Return one comparison of a head that is larger by ``effect`` (0.2 is 20 %)."""
        # Each step stands here twice, once with either side as the base.
        drawn = self._generator.integers(0, 2 * len(self.steps), 2 * FEWEST_PAIRS)
        differences = self._both_ways[drawn] + math.log1p(effect)
        first = judge_ratio(self.budget, shift_of_pairs(differences[:FEWEST_PAIRS]))
        if first.verdict is not Verdict.INCONCLUSIVE:
            return first
        return judge_ratio(self.budget, shift_of_pairs(differences))


def prove(blocks: Mapping[str, Any], comparisons: int = COMPARISONS) -> list[Row]:
    """Return the table's rows: each figure of the blocks at each limit.

    Args:
        blocks: ``figures`` maps what a budget calls a figure to its value in each block.
        comparisons: how many are drawn for each kind of effect.
    """
    return [
        _prove(figure, np.asarray(values, dtype=float), limit, comparisons)
        for figure, values in blocks["figures"].items()
        for limit in LIMITS
    ]


def _prove(figure: str, values: Floats, limit: float, comparisons: int) -> Row:
    budget = parse_budget(f"{figure} ratio <= {limit:.2f}", 1)
    logs = np.log(values)
    comparer = Comparer(logs, budget, _SEED)
    same = [comparer.compare() for _ in range(comparisons)]
    printed = [one.visible for one in same if one.visible is not None]
    injected = [comparer.compare(_TIMES_VISIBLE * visible) for visible in printed]
    larger = [comparer.compare(EFFECT) for _ in range(comparisons)]
    return Row(
        figure=figure,
        limit=limit,
        value=float(np.median(values)),
        spread=float(comparer.steps.std()),
        visible=float(np.median(printed)),
        alarms=_share(same, Verdict.FAIL),
        passes=_share(same, Verdict.PASS),
        seen=_share(injected, Verdict.FAIL),
        waved=_share(larger, Verdict.PASS),
        caught=_share(larger, Verdict.FAIL),
    )


def _share(found: Sequence[Ratio], verdict: Verdict) -> Share:
    return Share(hits=sum(one.verdict is verdict for one in found), of=len(found))


def broken_promises(rows: Iterable[Row]) -> list[str]:
    """Return in words each promise that a row breaks."""
    words = []
    for row in rows:
        name = f"{row.figure} ratio <= {row.limit:.2f}"
        if row.alarms.ends[1] > MOST_FALSE_ALARMS:
            words.append(f"{name}: false alarms {row.alarms}, at most 5 % are promised")
        if row.seen.ends[0] < LEAST_SEEN:
            words.append(f"{name}: only {row.seen} of 1.5 × the visible change were seen")
        if row.limit > 1 and row.waved.hits:
            words.append(f"{name}: +20 % passed in {row.waved}")
    return words


def render(rows: Sequence[Row], blocks: Mapping[str, Any]) -> str:
    """Return the table as Markdown."""
    made = blocks["made"]
    lines = [
        f"{made['blocks']} blocks of {made['what']}, {made['when']}, on {made['machine']}.",
        f"{rows[0].alarms.of:,} comparisons a cell; in brackets the 95 % binomial interval.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---|" + "--:|" * (len(_COLUMNS) - 1),
    ]
    for row in rows:
        metric = parse_budget(f"{row.figure} ratio <= 2", 1).metric
        cells = (
            f"`{row.figure}`",
            quantity(row.value, METRICS[metric].kind),
            f"{row.spread:.1%}".replace("%", " %"),
            f"{row.limit:.2f}",
            str(row.alarms),
            f"{row.passes.value:.1%}".replace("%", " %"),
            change(row.visible),
            str(row.seen),
            f"{row.caught.value:.1%}".replace("%", " %"),
            str(row.waved),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def document(table: str, live: Sequence[Mapping[str, Any]]) -> str:
    """Return ``docs/gate.md``: how the gate decides, and how often that was right."""
    parts = [_HEAD, "## From recorded blocks\n", table]
    if live:
        parts += ["## Live\n", _render_live(live)]
    return "\n".join(parts)


def _render_live(live: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| head | verdict | pairs | left out | budgets |", "|---|---|--:|--:|---|"]
    for one in live:
        told = [
            f"{_named(budget)} {change(budget['value'] - 1)} {budget['verdict']} "
            f"(visible {change(budget['visible'])})"
            for budget in one["budgets"]
            if budget["value"] is not None
        ]
        cells = (one["kind"], one["verdict"], one["pairs"], one["excluded"], "; ".join(told))
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _named(budget: Mapping[str, Any]) -> str:
    statistic = budget["statistic"]
    return f"`{budget['metric']}{'.' + statistic if statistic else ''}`"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove it, print the table, and return 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate.proof")
    parser.add_argument("blocks", type=Path, help="recorded blocks, as JSON")
    parser.add_argument("--comparisons", type=int, default=COMPARISONS)
    parser.add_argument("--markdown", type=Path, help="write the document here too")
    parser.add_argument("--live", type=Path, help="comparisons that were run, as JSON")
    options = parser.parse_args(arguments)
    blocks = json.loads(options.blocks.read_text(encoding="utf-8"))
    rows = prove(blocks, options.comparisons)
    table = render(rows, blocks)
    print(table)  # noqa: T201 - a command speaks
    if options.markdown is not None:
        live = []
        if options.live is not None and options.live.exists():
            live = json.loads(options.live.read_text(encoding="utf-8"))
        write_output(options.markdown, document(table, live))
    broken = broken_promises(rows)
    for words in broken:
        print(f"BROKEN: {words}")  # noqa: T201 - a command speaks
    return ExitCode.BUDGET_BROKEN if broken else ExitCode.PASS


if __name__ == "__main__":
    sys.exit(main())
