"""The verdict as Markdown, for a pipeline or a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.results import Verdict
from reports import quantities
from reports.capacity_answer import explain_capacity, read_capacity
from reports.cells import cells_of
from reports.console import MARKS, interval, measured, reasons_of
from reports.forest import render_forest
from reports.node_table import node_table
from reports.report_errors import DamagedCapacityError
from reports.run_frames import RunFrames
from reports.verdict import RunVerdict


def render_summary(run: RunFrames, outcome: RunVerdict, trend: Sequence[str] = ()) -> str:
    """Return the text of ``summary.md``.

    Args:
        run: the run.
        outcome: its verdict.
        trend: lines about the trend of its figures (``reports.history.markdown``).
    """
    lines = [f"# {MARKS[outcome.verdict]} {outcome.verdict}: {run.scenario.name}", ""]
    if run.scenario.question:
        lines += [run.scenario.question, ""]
    if outcome.verdict is not Verdict.PASS:
        lines += [f"- {cell(reason)}" for reason in reasons_of(outcome)] + [""]
    if outcome.explanation is not None:
        lines += [f"Where the time went: {cell(outcome.explanation.words)}.", ""]
    lines += _budget_lines(outcome)
    forest = render_forest(outcome.decisions)
    if forest:
        lines += ["", "## Distance to the limits", "", "```text", *forest, "```"]
    lines += _capacity_lines(run)
    lines += _node_lines(run)
    lines += trend
    lines += ["", "## Can the times be believed?", ""]
    lines += [f"- {_check_word(check.ok)} {check.name}: {check.why}" for check in outcome.checks]
    for title, name in (("Problems", "problems"), ("Not measured", "unmeasured")):
        words = run.manifest.words(name)
        if words:
            lines += ["", f"## {title}", "", *(f"- {cell(word)}" for word in words)]
    lines += [
        "",
        f"Run `{outcome.run_id}`, seed {run.scenario.seed}, status {run.manifest.status}.",
    ]
    return "\n".join(lines) + "\n"


def _node_lines(run: RunFrames) -> list[str]:
    """Return the table of several nodes; none for one gateway."""
    table = node_table(run)
    if table.empty:
        return []
    cells = cells_of(table)
    marks = ("--:" if is_number else "---" for is_number in cells.is_number)
    lines = [cells.heads, tuple(marks), *cells.rows]
    return ["", "## Nodes", "", *(f"| {' | '.join(map(cell, line))} |" for line in lines)]


def _capacity_lines(run: RunFrames) -> list[str]:
    """Return the lines about a capacity search; none without one."""
    try:
        answer = read_capacity(run)
    except DamagedCapacityError as error:
        return ["", "## Capacity", "", f"No capacity interval: {cell(str(error))}"]
    if answer is None:
        return []
    words = explain_capacity(answer)
    return [
        "",
        "## Capacity",
        "",
        f"{cell(words)}; {quantities.counted(len(answer.trials), 'trial')}.",
    ]


def _budget_lines(outcome: RunVerdict) -> list[str]:
    lines = [
        "| verdict | budget | measured | 95 % interval | n | |",
        "|---|---|--:|--:|--:|---|",
    ]
    for decision in outcome.decisions:
        cells = (
            f"{MARKS[decision.verdict]} {decision.verdict}",
            f"`{decision.budget.text}`",
            measured(decision),
            interval(decision),
            quantities.count(decision.measurement.n),
            decision.why,
        )
        lines.append(f"| {' | '.join(cell(each) for each in cells)} |")
    return lines


def cell(text: str) -> str:
    """Return a text for a cell of a Markdown table."""
    return text.replace("|", r"\|").replace("\n", " ")


def _check_word(ok: bool | None) -> str:
    return {True: "kept:", False: "**broken:**", None: "unknown:"}[ok]
