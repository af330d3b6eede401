"""The report: one HTML file that needs no network, no script and no second file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loadtests.results import Verdict
from reports import charts, quantities
from reports.charts.canvas import NARROW, WIDE
from reports.console import MARKS, interval, measured
from reports.frames import Manifest, RunFrames
from reports.verdict import RunVerdict

LEDGER_COUNTS: Final = (
    "owed",
    "received",
    "conflated",
    "lost",
    "duplicate",
    "reordered",
    "late",
    "leaked",
)
_WRONG: Final = ("lost", "duplicate", "reordered", "late", "leaked")
_MOST_WRONG_STREAMS: Final = 10
_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|ns|µs|ms|s|B|KB|MB|GB)\b|%)")


@dataclass(frozen=True)
class Picture:
    """A chart as the page holds it; both sizes are empty when there is nothing to draw."""

    key: str
    title: str
    note: str
    wide: Markup
    narrow: Markup


def render_page(run: RunFrames, outcome: RunVerdict) -> str:
    """Return ``report.html``: the same bytes for the same run."""
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html")
    return template.render(
        run=run,
        outcome=outcome,
        marks=MARKS,
        headline=_headline(outcome),
        measured=measured,
        interval=interval,
        count=quantities.count,
        pictures=_pictures(run, outcome),
        ledger=ledger_by_family(run),
        worst_streams=_worst_streams(run),
        ledger_counts=LEDGER_COUNTS,
        facts=_facts(run.manifest, run),
        problems=run.manifest.words("problems"),
        unmeasured=run.manifest.words("unmeasured"),
    )


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


def _pictures(run: RunFrames, outcome: RunVerdict) -> Mapping[str, Picture]:
    drawn = (
        charts.verdict_forest(outcome),
        charts.latency_over_time(run),
        charts.percentile_spectrum(run),
        charts.heartbeat_error(run),
        charts.limiter_decisions(run),
        charts.memory_per_client(run),
        charts.generator_health(run, outcome),
    )
    return {chart.key: _picture(chart) for chart in drawn}


def _picture(chart: charts.Chart) -> Picture:
    if chart.draw is None:
        return Picture(chart.key, unbroken(chart.title), unbroken(chart.note), Markup(), Markup())
    # The text inside was escaped when the SVG was written.
    wide, narrow = Markup(chart.svg(WIDE)), Markup(chart.svg(NARROW))  # noqa: S704 - our own SVG
    return Picture(chart.key, unbroken(chart.title), unbroken(chart.note), wide, narrow)


def unbroken(text: str) -> str:
    """Return a text in which no line breaks between a number and its unit."""
    return _UNIT.sub("\N{NO-BREAK SPACE}", text)


def ledger_by_family(run: RunFrames) -> pd.DataFrame:
    """Return the ledger summed by kind of stream and client group, with a last row for all."""
    ledger = run["ledger"]
    if ledger.empty:
        return ledger
    family = ledger["stream"].str.split(":", n=1).str[0]
    rows = (
        ledger.assign(family=family)
        .groupby(["family", "group"], as_index=False)[list(LEDGER_COUNTS)]
        .sum()
    )
    rows = rows[rows[list(LEDGER_COUNTS)].any(axis=1)]  # streams that nobody used say nothing
    total = rows[list(LEDGER_COUNTS)].sum()
    whole = pd.DataFrame([{"family": "all streams", "group": "", **total.to_dict()}])
    return pd.concat([rows, whole], ignore_index=True)


def _worst_streams(run: RunFrames) -> pd.DataFrame:
    """Return the streams with most deliveries gone wrong, worst first."""
    rows = run["ledger"]
    wrong = rows[list(_WRONG)].sum(axis=1)
    rows = rows.assign(wrong=wrong)[wrong > 0]
    return rows.sort_values("wrong", ascending=False, kind="stable").head(_MOST_WRONG_STREAMS)


def _facts(manifest: Manifest, run: RunFrames) -> list[tuple[str, str]]:
    """Return what was run and on what, as pairs of name and words; unknown ones say so."""
    host, target, clock = (manifest.part(name) for name in ("host", "target", "clock"))
    users = ", ".join(f"{number:,} {group}" for group, number in manifest.part("users").items())
    versions = ", ".join(f"{name} {text}" for name, text in manifest.part("versions").items())
    phases = ", ".join(f"{phase} {end - start:.1f} s" for phase, start, end in manifest.phases)
    gateway = ", ".join(f"{name}={value}" for name, value in run.scenario.gateway.items())
    facts = [
        ("Scenario", f"{run.scenario.name}, seed {run.scenario.seed}"),
        ("Status", str(manifest.status)),
        ("Created", manifest.facts.get("created")),
        ("Virtual users", users),
        ("Phases", phases),
        ("Target", _target_words(target)),
        ("Gateway settings", gateway or "defaults"),
        ("Clocks", _clock_words(clock)),
        ("Host", _host_words(host)),
        ("Placement", _placement_words(manifest.part("placement"))),
        ("Versions", versions),
        ("Commit", _commit_words(manifest)),
        ("Command", " ".join(str(word) for word in manifest.facts.get("command") or ())),
    ]
    return [(name, str(words) if words else "unknown") for name, words in facts]


def _target_words(target: Mapping[str, Any]) -> str:
    if not target.get("url"):
        return ""
    return f"{target['url']}, {'embedded' if target.get('embedded') else 'running by itself'}"


def _clock_words(clock: Mapping[str, Any]) -> str:
    if clock.get("same") is None:
        return ""
    if clock["same"]:
        return "one clock on both sides: one-way times are subtractions"
    return "two clocks: one-way times are not comparable without an error bound"


def _host_words(host: Mapping[str, Any]) -> str:
    parts = [host.get("cpu"), host.get("machine"), host.get("kernel")]
    if host.get("cores"):
        parts.append(quantities.counted(int(host["cores"]), "core"))
    if host.get("memory_bytes"):
        parts.append(quantities.size(float(host["memory_bytes"])))
    return ", ".join(str(part) for part in parts if part)


def _placement_words(placement: Mapping[str, Any]) -> str:
    parts = [
        f"{what} on core{'s' if len(cores) > 1 else ''} {', '.join(map(str, cores))}"
        for what in ("gateway", "load")
        if (cores := placement.get(what))
    ]
    return "; ".join(parts)


def _commit_words(manifest: Manifest) -> str:
    commit = manifest.facts.get("git_commit")
    if not commit:
        return ""
    return f"{commit[:12]}{', with local changes' if manifest.facts.get('git_dirty') else ''}"
