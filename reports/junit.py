"""Verdicts as JUnit XML: one suite per run, one test case per budget and one for the run.

FAIL is a failure, INVALID an error, INCONCLUSIVE skipped with its reason. The case of the run has
circumstances such as an interruption, so that a pipeline is never green for a run that did not
pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from loadtests.results import Verdict
from reports.baselines import machine_of
from reports.decisions import Decision, Finding, explain, worst
from reports.run_frames import RunFrames
from reports.verdict import RunVerdict
from scenarios.schema import METRICS

_TAGS: Final = {
    Verdict.FAIL: "failure",
    Verdict.INVALID: "error",
    Verdict.INCONCLUSIVE: "skipped",
}
_PLURALS: Final = {"failure": "failures", "error": "errors", "skipped": "skipped"}
# Characters that XML 1.0 §2.2 forbids; a log line may hold them.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(*judged: tuple[RunFrames, RunVerdict]) -> str:
    """Return the XML text, with one suite per run."""
    root = ET.Element("testsuites")
    for run, outcome in judged:
        name = f"tidegate.{outcome.scenario}"
        suite = add_suite(
            root, name, run, outcome.decisions, outcome.circumstances, outcome.length_s
        )
        suite.set("id", outcome.run_id)
    return as_text(root)


def add_suite(
    root: ET.Element,
    name: str,
    run: RunFrames,
    decisions: Sequence[Decision],
    circumstances: Sequence[Finding],
    length_s: float,
) -> ET.Element:
    """Add a suite with a case for each budget, and one for the run.

    Args:
        root: the ``testsuites`` element.
        name: of the suite.
        run: the run, or the first of head. The class of each case has its id, since GitLab shows
            one case only of those that have the same class and name.
        decisions: the budgets.
        circumstances: other findings.
        length_s: how long the run took; the case of the run has it, so that a sum is right.
    """
    suite = ET.SubElement(root, "testsuite", name=name)
    created = str(run.manifest.facts.get("created") or "")
    if created:
        suite.set("timestamp", created.removesuffix("Z").partition(".")[0])
    verdict = worst([Verdict.PASS, *(one.verdict for one in decisions), *_verdicts(circumstances)])
    _add_properties(suite, {**_facts(run), "verdict": str(verdict)})
    classname = f"{name}.{run.manifest.run_id}"
    for decision in decisions:
        words = explain(decision)
        case = _add_case(suite, classname, decision.budget.text, decision.verdict, words)
        _add_properties(case, _figures(decision))
    words = "; ".join(words for _, words in circumstances) or "nothing else bears on the verdict"
    verdict = worst([Verdict.PASS, *_verdicts(circumstances)])
    _add_case(suite, classname, "run", verdict, words, length_s)
    counts = {plural: len(suite.findall(f"testcase/{tag}")) for tag, plural in _PLURALS.items()}
    counts["tests"] = len(suite.findall("testcase"))
    for plural, count in counts.items():
        suite.set(plural, str(count))
        root.set(plural, str(int(root.get(plural, "0")) + count))
    suite.set("time", f"{length_s:.3f}")
    root.set("time", f"{float(root.get('time', '0')) + length_s:.3f}")
    return suite


def as_text(root: ET.Element) -> str:
    """Return the document as text."""
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(
    suite: ET.Element,
    classname: str,
    name: str,
    verdict: Verdict,
    words: str,
    length_s: float = 0.0,
) -> ET.Element:
    words = _printable(words)
    named = {"classname": classname, "name": name, "time": f"{length_s:.3f}"}
    case = ET.SubElement(suite, "testcase", named)
    if verdict in _TAGS:
        ET.SubElement(case, _TAGS[verdict], message=words).text = words
    else:
        ET.SubElement(case, "system-out").text = words
    return case


def _verdicts(findings: Sequence[Finding]) -> list[Verdict]:
    return [verdict for verdict, _ in findings]


def _facts(run: RunFrames) -> dict[str, object]:
    """Return what a reader of the file needs to find the run and to repeat it."""
    facts = run.manifest.facts
    return {
        "run": run.manifest.run_id,
        "scenario": run.scenario.name,
        "seed": run.scenario.seed,
        "commit": facts.get("git_commit"),
        "machine": machine_of(run),
    }


def _figures(decision: Decision) -> dict[str, object]:
    """Return a budget's figures in the metric's unit: ns, B, or a plain number."""
    found, budget = decision.measurement, decision.budget
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n": found.n,
        "limit": budget.limit,
        "unit": "" if budget.is_relative else METRICS[budget.metric].unit,
        "line": budget.line,
    }


def _add_properties(to: ET.Element, named: Mapping[str, object]) -> None:
    """Add what is known; a schema wants ``properties`` before anything else."""
    held = {name: value for name, value in named.items() if value not in (None, "")}
    properties = ET.Element("properties")
    for name, value in held.items():
        words = f"{value:.9g}" if isinstance(value, float) else str(value)
        ET.SubElement(properties, "property", name=name, value=_printable(words))
    to.insert(0, properties)


def _printable(words: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", words)
