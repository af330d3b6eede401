"""Measure how reliable the gate is: compare recorded pairs of one gateway many times.

``python -m tests.benchmarks.gate.proof PAIRS.json`` draws comparisons from recorded pairs of a
gateway with itself, in which there is nothing to find, and counts what the gate says:

- **false alarms**: comparisons of an unchanged head that FAIL.
- **passes**: comparisons of an unchanged head that PASS.
- **seen**: comparisons with the smallest visible change that a comparison printed, in the median;
  80 % must FAIL for the print to be true.
- **+20 %** and **10 % over the limit**: comparisons with such an effect that FAIL, and PASS.

A comparison of a figure goes as ``tidegate compare`` does: it is judged at each look, and ends when
it is decided. Its pairs are drawn with replacement, and which side is the base by lot. Judged by
``reports.ratios``, as ever.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from loadtests.comparing.contest import MOST_PAIRS, looks
from loadtests.outputs import write_output
from loadtests.results import ExitCode, Verdict
from reports.compare.outcome import DEFAULTS
from reports.quantities import quantity
from reports.ratios import Ratio, change, judge_ratio
from reports.shifts import look_at, shift_of_pairs
from scenarios.schema import METRICS, Budget, parse_budget
from tests.benchmarks.gate.text import HEAD, name_budget, render_history

COMPARISONS: Final = 10_000
FEWEST_RECORDED: Final = 12
"""A figure with fewer pairs that count is not proved, and the document says so."""
LIMITS: Final = (1.00, 1.10)
EFFECT: Final = 0.20
OVER: Final = 1.10
"""An effect so far over the limit: 10 %."""
MOST_FALSE_ALARMS: Final = 0.02
LEAST_SEEN: Final = 0.75
"""Of a change that is seen in 80 % of comparisons: the printed one is itself an estimate."""
LEAST_CAUGHT: Final = 0.95
LEAST_OVER: Final = 0.90
LEAST_USUAL: Final = 0.95
"""Of unchanged heads that must PASS the limit of a comparison without budgets of its own."""
GOALS: Final[Mapping[str, float]] = {
    "push.p50": 0.95,
    "push.p90": 0.95,
    "push.p99": 0.80,
    "cost.per_message": 0.95,
}
"""The least share of unchanged heads that PASS a limit of 1.10."""
_SEED: Final = 20
_COLUMNS: Final = (
    "figure",
    "pairs",
    "median",
    "spread of a pair",
    "limit",
    "unchanged: PASS",
    "unchanged: FAIL",
    "smallest visible change",
    "that change: FAIL",
    "+20 %: FAIL",
    "+20 %: PASS",
    "10 % over the limit: FAIL",
)

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
        from scipy import stats

        found = stats.binomtest(self.hits, self.of).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.ends
        return f"{self.value:.2%} ({low:.2%}–{high:.2%})".replace("%", " %")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the gate said of one figure at one limit.

    Attributes:
        pairs: recorded pairs that count for it.
        spread: standard deviation of ln(head/base) of a pair.
        visible: the median of the smallest visible changes that it printed.
        passes: unchanged heads that passed.
        alarms: unchanged heads that failed.
        seen: of heads with the smallest visible change, those that failed.
        caught: of +20 %, those that failed.
        waved: of +20 %, those that passed.
        over: of 10 % over the limit, those that failed.
    """

    figure: str
    limit: float
    pairs: int
    value: float
    spread: float
    visible: float
    passes: Share
    alarms: Share
    seen: Share
    caught: Share
    waved: Share
    over: Share


class Comparer:
    """Draws comparisons from recorded pairs.

    Args:
        logs: ln(head/base) of one figure in each pair.
        budget: a relative one.
        seed: of the draws.
    """

    def __init__(self, logs: Floats, budget: Budget, seed: int) -> None:
        self.budget = budget
        self._both_ways = np.concatenate([logs, -logs])
        self._generator = np.random.default_rng(seed)
        self._looks = looks(MOST_PAIRS)

    def compare(self, effect: float = 0.0) -> Ratio:
        """Return one comparison of a head that is larger by ``effect`` (0.2 is 20 %)."""
        # Each pair stands here twice, once with either side as the base.
        drawn = self._generator.integers(0, len(self._both_ways), MOST_PAIRS)
        differences = self._both_ways[drawn] + math.log1p(effect)
        for pairs in self._looks:
            look = look_at(self._looks, pairs)
            found = judge_ratio(self.budget, shift_of_pairs(differences[:pairs], look))
            if found.verdict is not Verdict.INCONCLUSIVE:
                break
        return found


def prove(pairs: Mapping[str, Any], comparisons: int = COMPARISONS) -> list[Row]:
    """Return the table's rows: each figure with enough pairs, at each limit.

    Args:
        pairs: ``figures`` maps what a budget calls a figure to its ``ratios``, one for each pair.
        comparisons: how many are drawn for each kind of effect.
    """
    return [
        _prove(figure, told, limit, comparisons)
        for figure, told in pairs["figures"].items()
        if len(told["ratios"]) >= FEWEST_RECORDED
        for limit in sorted({*LIMITS, *_usual_limits(figure)})
    ]


def _usual_limits(figure: str) -> list[float]:
    """Return the limit of a figure in a comparison without budgets of its own."""
    usual = [parse_budget(text, 1) for text in DEFAULTS]
    named = parse_budget(f"{figure} ratio <= 2", 1)
    return [one.limit for one in usual if one.subject == named.subject]


def _prove(figure: str, told: Mapping[str, Any], limit: float, comparisons: int) -> Row:
    budget = parse_budget(f"{figure} ratio <= {limit:.2f}", 1)
    logs = np.log(np.asarray(told["ratios"], dtype=float))
    comparer = Comparer(logs, budget, _SEED)

    def drawn(effect: float) -> list[Ratio]:
        return [comparer.compare(effect) for _ in range(comparisons)]

    same = drawn(0.0)
    visible = float(np.median([one.visible for one in same if one.visible is not None]))
    seen, larger, over = drawn(visible), drawn(EFFECT), drawn(limit * OVER - 1)
    return Row(
        figure=figure,
        limit=limit,
        pairs=len(logs),
        value=float(told["value"]),
        spread=float(np.sqrt(np.mean(logs**2))),
        visible=visible,
        passes=_share(same, Verdict.PASS),
        alarms=_share(same, Verdict.FAIL),
        seen=_share(seen, Verdict.FAIL),
        caught=_share(larger, Verdict.FAIL),
        waved=_share(larger, Verdict.PASS),
        over=_share(over, Verdict.FAIL),
    )


def _share(found: Sequence[Ratio], verdict: Verdict) -> Share:
    return Share(hits=sum(one.verdict is verdict for one in found), of=len(found))


def missed_goals(rows: Sequence[Row]) -> list[str]:
    """Return in words each goal that a row misses, or that no row proves."""
    proved = {row.figure for row in rows}
    words = [
        f"`{figure}`: fewer than {FEWEST_RECORDED} pairs count, so nothing is proved"
        for figure in GOALS
        if figure not in proved
    ]
    for row in rows:
        words += [f"`{row.figure} ratio <= {row.limit:.2f}`: {one}" for one in _missed_by(row)]
    return words


def _missed_by(row: Row) -> Iterator[str]:
    if row.seen.value < LEAST_SEEN:
        yield f"the visible change was seen in {row.seen} only"
    if row.limit == 1:
        return
    if row.alarms.value > MOST_FALSE_ALARMS:
        yield f"{row.alarms} false alarms"
    is_usual = row.limit not in LIMITS
    if row.waved.hits and not is_usual:
        yield f"+20 % passed in {row.waved}"
    if row.figure not in GOALS and not is_usual:
        return
    least = LEAST_USUAL if is_usual else GOALS[row.figure]
    if row.passes.value < least:
        yield f"an unchanged head passed in {row.passes}, not {least:.0%}"
    if is_usual:
        return
    if row.caught.value < LEAST_CAUGHT:
        yield f"+20 % failed in {row.caught}, not {LEAST_CAUGHT:.0%}"
    if row.over.value < LEAST_OVER:
        yield f"10 % over failed in {row.over}, not {LEAST_OVER:.0%}"


def render(rows: Sequence[Row], pairs: Mapping[str, Any]) -> str:
    """Return the table as Markdown, with the goals that it misses."""
    made, of = pairs["made"], rows[0].alarms.of if rows else 0
    left_out = f"{len(made['left_out'])} of {2 * made['pairs']} runs had times that do not count."
    lines = [
        f"{made['pairs']} pairs of {made['what']}; {made['when']}, {made['machine']}.",
        f"{left_out} {of:,} comparisons a cell; in brackets the 95 % binomial interval.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---|" + "--:|" * (len(_COLUMNS) - 1),
    ]
    for row in rows:
        metric = parse_budget(f"{row.figure} ratio <= 2", 1).metric
        cells = (
            f"`{row.figure}`",
            str(row.pairs),
            quantity(row.value, METRICS[metric].kind),
            f"{row.spread:.1%}".replace("%", " %"),
            f"{row.limit:.2f}",
            str(row.passes),
            str(row.alarms),
            change(row.visible),
            str(row.seen),
            str(row.caught),
            str(row.waved),
            str(row.over),
        )
        lines.append(f"| {' | '.join(cells)} |")
    missed = missed_goals(rows)
    lines += ["", *([f"- Missed: {words}." for words in missed] or ["Every goal is met."])]
    return "\n".join(lines) + "\n"


def document(
    table: str,
    live: Sequence[Mapping[str, Any]],
    history: Mapping[str, Any] | None = None,
) -> str:
    """Return ``docs/gate.md``: how the gate decides, and how often that was right.

    Args:
        table: of the recorded pairs, as ``render`` returns it.
        live: comparisons that were run, as ``python -m tests.benchmarks.gate`` writes them.
        history: those of ``python -m tests.benchmarks.gate.real_history``; None without any.
    """
    parts = [HEAD, "## From recorded pairs\n", table]
    if live:
        parts += ["## Live\n", _render_live(live)]
    if history is not None:
        parts += ["## Real history\n", render_history(history)]
    return "\n".join(parts)


def _render_live(live: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| head | verdict | pairs | left out | s | budgets |",
        "|---|---|--:|--:|--:|---|",
    ]
    for one in live:
        told = [
            f"{name_budget(budget)} {change(budget['value'] - 1)} {budget['verdict']} "
            f"(visible {change(budget['visible'])})"
            for budget in one["budgets"]
            if budget["value"] is not None
        ]
        cells = (
            *(one[name] for name in ("kind", "verdict", "pairs", "excluded", "seconds")),
            "; ".join(told),
        )
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _read(path: Path | None) -> Any:
    """Return the content of a JSON file; None without one, for then nothing was run."""
    if path is None or not path.exists():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove it, print the table, and return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate.proof")
    parser.add_argument("pairs", type=Path, help="recorded pairs, as JSON")
    parser.add_argument("--comparisons", type=int, default=COMPARISONS)
    parser.add_argument("--markdown", type=Path, help="write the document here too")
    parser.add_argument("--live", type=Path, help="comparisons that were run, as JSON")
    parser.add_argument("--history", type=Path, help="comparisons of real programs, as JSON")
    options = parser.parse_args(arguments)
    pairs = json.loads(options.pairs.read_text(encoding="utf-8"))
    rows = prove(pairs, options.comparisons)
    table = render(rows, pairs)
    print(table)  # noqa: T201 - a command speaks
    if options.markdown is not None:
        live, history = _read(options.live), _read(options.history)
        write_output(options.markdown, document(table, live or [], history))
    return ExitCode.BUDGET_BROKEN if missed_goals(rows) else ExitCode.PASS


if __name__ == "__main__":
    sys.exit(main())
