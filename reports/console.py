"""The verdict on a terminal.

It is readable in 80 columns, without a terminal and with ``NO_COLOR``: a verdict has a word and a
mark besides its colour, and no column is cut.
"""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.results import Verdict
from reports import quantities
from reports.decisions import SEVERITY, Decision, explain
from reports.verdict import RunVerdict

MARKS: Final = {
    Verdict.PASS: "●",
    Verdict.FAIL: "✕",
    Verdict.INCONCLUSIVE: "◆",
    Verdict.INVALID: "□",
}
"""The mark of each verdict, on the terminal, in the summary and in the charts."""

ROOMY_COLUMNS: Final = 100

_STYLES: Final = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.INVALID: "magenta",
}


def print_verdict(outcome: RunVerdict, console: Console) -> None:
    """Print a table of the budgets, the verdict, and the reasons why it is not PASS."""
    console.print(table_of(outcome, counted=console.width >= ROOMY_COLUMNS))
    console.print(Text.assemble(marked(outcome.verdict), f"  {outcome.run_id}"))
    for reason in reasons_of(outcome):
        console.print(Text(f"  {reason}"), soft_wrap=console.width > 200)
    if outcome.explanation is not None:
        words = f"  explained: {outcome.explanation.words}"
        console.print(Text(words), soft_wrap=console.width > 200)


def table_of(outcome: RunVerdict, *, counted: bool) -> Table:
    """Return the budgets as a table; ``counted`` adds the number of values."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("budget", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    if counted:
        table.add_column("n", justify="right", no_wrap=True)
    for decision in outcome.decisions:
        cells = [measured(decision), interval(decision)]
        if counted:
            cells.append(quantities.count(decision.measurement.n))
        table.add_row(marked(decision.verdict), Text(decision.budget.text), *cells)
    return table


def measured(decision: Decision) -> str:
    """Return the measured value with its unit, or ``no data``."""
    found = decision.measurement.value
    return "no data" if found is None else quantities.quantity(found, decision.kind)


def interval(decision: Decision) -> str:
    """Return ``9.02 – 9.71 ms``; ``exact`` for a count, a dash without an interval."""
    found = decision.measurement
    if found.low is None or found.high is None:
        return quantities.ABSENT
    if decision.kind == "count":
        return "exact"
    low, high = (quantities.quantity(end, decision.kind) for end in (found.low, found.high))
    number, _, unit = low.partition(" ")
    return f"{number if high.endswith(f' {unit}') else low} – {high}"


def reasons_of(outcome: RunVerdict) -> tuple[str, ...]:
    """Return why a run is not PASS, worst first, each cause once.

    A broken check is one cause, followed by the budgets that it makes invalid.
    """
    spoilt: dict[str, list[str]] = {}
    findings = list(outcome.circumstances)
    for decision in outcome.decisions:
        words = explain(decision) if decision.spoiler is None else decision.spoiler.words
        if decision.spoiler is not None:
            spoilt.setdefault(words, []).append(decision.budget.text)
        findings.append((decision.verdict, words))
    findings.sort(key=lambda finding: -SEVERITY.index(finding[0]))
    told = dict.fromkeys(words for verdict, words in findings if verdict is not Verdict.PASS)
    return tuple(
        f"{words}; makes invalid: {', '.join(spoilt[words])}" if words in spoilt else words
        for words in told or outcome.reasons
    )


def marked(verdict: Verdict) -> Text:
    """Return a verdict's mark and word, in its colour."""
    return Text(f"{MARKS[verdict]} {verdict}", style=_STYLES[verdict])
