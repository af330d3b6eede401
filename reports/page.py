"""The report: one HTML file without network access, scripts or other files."""

from __future__ import annotations

import re
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from loadtests.results import Verdict
from reports import charts, quantities
from reports.cells import cells_of
from reports.charts.canvas import NARROW, WIDE, Chart
from reports.charts.delivery import worst_streams
from reports.console import MARKS, interval, measured, reasons_of
from reports.explanation import Profiles
from reports.facts import facts_of
from reports.run_frames import RunFrames
from reports.verdict import RunVerdict

_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|ns|µs|ms|s|B|KB|MB|GB)\b|%)")

ALWAYS: Final = frozenset({"budgets", "health"})
"""Sections of every report; others appear when they have something to show."""


def render_page(run: RunFrames, outcome: RunVerdict, baseline: RunFrames | None = None) -> str:
    """Return ``report.html``, the same bytes for the same run and baseline.

    Args:
        run: the run.
        outcome: its verdict.
        baseline: the run to compare with; None without one.
    """
    template = template_of("report.html")
    drawn = _draw(run, outcome, baseline)
    wrong = worst_streams(run)
    return template.render(
        run=run,
        outcome=outcome,
        marks=MARKS,
        headline=_headline(outcome),
        reasons=reasons_of(outcome),
        measured=measured,
        interval=interval,
        count=quantities.count,
        sections=[
            (key, title, shown)
            for key, title, each in drawn
            if (shown := [chart for chart in each if not chart.is_absent]) or key in ALWAYS
        ],
        absent=[chart.title for _, _, each in drawn for chart in each if chart.is_absent],
        worst_streams=cells_of(wrong.drop(columns=["worker", "clients", "wrong"])),
        facts=facts_of(run),
        problems=run.manifest.words("problems"),
        unmeasured=run.manifest.words("unmeasured"),
    )


def template_of(name: str) -> Template:
    """Return a page's template, with the filters that pages use."""
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"unbroken": unbroken, "cells": cells_of, "svg": _svg}
    return environment.get_template(name)


def _draw(
    run: RunFrames, outcome: RunVerdict, baseline: RunFrames | None
) -> list[tuple[str, str, list[Chart]]]:
    """Return each section's id, title and charts."""
    return [
        ("budgets", "Budgets", [charts.verdict_forest(outcome)]),
        ("breach", "The breach explained", _explained(run, outcome, baseline)),
        ("beside", "Comparison with the baseline", _beside(run, baseline)),
        *(
            (key, title, [getattr(charts, path.split(".")[1])(run) for path in paths])
            for key, title, paths in charts.SECTIONS
        ),
        ("health", "Can the times be believed?", [charts.generator_health(run, outcome)]),
    ]


def _explained(run: RunFrames, outcome: RunVerdict, baseline: RunFrames | None) -> list[Chart]:
    """Return the charts that explain a broken push time; one absent chart without a breach."""
    found = [charts.places_of_excess(outcome.explanation)]
    if outcome.explanation is None:
        return found
    profiles = Profiles.of(run, baseline)
    return [*found, charts.functions_that_grew(profiles), charts.flame_graph(profiles)]


def _beside(run: RunFrames, baseline: RunFrames | None) -> list[Chart]:
    """Return the charts that compare the run with its baseline."""
    if baseline is None:
        words = "No baseline; name one with --baseline RUN"
        return [Chart("beside", words, "")]
    return [charts.compare_quantiles(baseline, run, metric) for metric in ("push", "ack")]


def _headline(outcome: RunVerdict) -> str:
    decided = [decision.verdict for decision in outcome.decisions]
    parts = [
        f"{decided.count(verdict)} {words}"
        for verdict, words in (
            (Verdict.FAIL, "broken"),
            (Verdict.INVALID, "invalid"),
            (Verdict.INCONCLUSIVE, "undecided"),
            (Verdict.PASS, "kept"),
        )
        if verdict in decided
    ]
    return f"{quantities.counted(len(decided), 'budget')}: {', '.join(parts)}" if parts else ""


def _svg(chart: Chart) -> Markup:
    """Return the chart for wide and for narrow pages."""
    # Texts were escaped when the SVG was written.
    return Markup(f"{chart.svg(WIDE)}\n{chart.svg(NARROW)}")  # noqa: S704 - our own SVG


def unbroken(text: str) -> str:
    """Return a text with no-break spaces between numbers and units."""
    return _UNIT.sub("\N{NO-BREAK SPACE}", text)
