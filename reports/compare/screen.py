"""A comparison on a terminal (80 columns) and in Markdown."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.results import Verdict
from reports import quantities
from reports.compare.outcome import Comparison
from reports.console import MARKS, marked
from reports.decisions import Decision
from reports.ratios import change
from reports.summary import cell
from scenarios.schema import METRICS

_HOW = {
    "slices": "pairs, the load alternating between both each 230 ms",
    "pairs": "pairs of neighbouring blocks",
    "samples": "blocks per side, not in pairs",
    "single": "run per side; the difference of two runs of one gateway is unknown",
}


def print_comparison(found: Comparison, console: Console) -> None:
    """Print a table of the budgets, the verdict, and the reasons why it is not PASS."""
    console.print(_table(found))
    told = f"  {found.scenario}: {found.pairs} {_HOW[found.method]}"
    console.print(Text.assemble(marked(found.verdict), told))
    for reason in found.reasons:
        console.print(Text(f"  {reason}"))
    if found.excluded:
        console.print(Text(f"  left out: {_excluded(found)}"))


def _table(found: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("budget", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("visible", justify="right", no_wrap=True)
    for one in found.decisions:
        cells = (measured(one), interval(one), visible(one))
        table.add_row(marked(one.verdict), Text(one.budget.text), *cells)
    return table


def measured(decision: Decision) -> str:
    """Return the change of a ratio, the value of a count, or ``no data``."""
    value = decision.measurement.value
    if value is None:
        return "no data"
    if decision.budget.is_relative:
        return change(value - 1)
    return quantities.quantity(value, decision.kind)


def interval(decision: Decision) -> str:
    """Return ``−2.1 % to +4.0 %``; ``exact`` for a count, a dash without an interval."""
    low, high = decision.measurement.low, decision.measurement.high
    if low is None or high is None:
        return quantities.ABSENT
    return f"{change(low - 1)} to {change(high - 1)}" if decision.budget.is_relative else "exact"


def visible(decision: Decision) -> str:
    """Return the smallest visible change."""
    return change(decision.compared.visible if decision.compared else None)


def render_comparison(found: Comparison) -> str:
    """Return the comparison as Markdown."""
    lines = [
        f"# {MARKS[found.verdict]} {found.verdict}: {found.scenario}, head compared with base",
        "",
    ]
    if found.verdict is not Verdict.PASS:
        lines += [f"- {cell(reason)}" for reason in found.reasons] + [""]
    lines += [
        "| verdict | budget | base | head | change | 95 % interval | smallest visible change | |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for one in found.decisions:
        cells = (
            f"{MARKS[one.verdict]} {one.verdict}",
            f"`{one.budget.text}`",
            *_values(one),
            measured(one),
            interval(one),
            visible(one),
            one.why,
        )
        lines.append(f"| {' | '.join(cell(each) for each in cells)} |")
    lines += ["", f"{found.pairs} {_HOW[found.method]}."]
    if found.excluded:
        lines.append(f"Left out: {cell(_excluded(found))}.")
    return "\n".join(lines) + "\n"


def _values(decision: Decision) -> tuple[str, str]:
    compared = decision.compared
    if compared is None:
        return quantities.ABSENT, measured(decision)
    kind = METRICS[decision.budget.metric].kind
    return quantities.quantity(compared.base, kind), quantities.quantity(compared.head, kind)


def _excluded(found: Comparison) -> str:
    """Return the number of excluded blocks, with the first as an example."""
    run_id, why = found.excluded[0]
    return f"{quantities.counted(len(found.excluded), 'block')}, such as {run_id} ({why})"
