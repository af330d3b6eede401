"""Verdicts as JUnit XML: one suite per run, one test case per budget.

FAIL is a failure, INVALID an error, INCONCLUSIVE skipped with its reason. Circumstances such as an
interrupted run are one more case, so that a pipeline is never green for a run that did not pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

from loadtests.results import Verdict
from reports.decisions import Decision, Finding, explain, worst
from reports.verdict import RunVerdict

_TAGS: Final = {
    Verdict.FAIL: "failure",
    Verdict.INVALID: "error",
    Verdict.INCONCLUSIVE: "skipped",
}
# Characters that XML 1.0 §2.2 forbids; a log line may hold them.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(*outcomes: RunVerdict) -> str:
    """Return the XML text, with one suite per run."""
    root = ET.Element("testsuites")
    for outcome in outcomes:
        name = f"tidegate.{outcome.scenario}"
        suite = add_suite(root, name, outcome.decisions, outcome.circumstances)
        suite.set("id", outcome.run_id)
    return as_text(root)


def add_suite(
    root: ET.Element,
    name: str,
    decisions: Sequence[Decision],
    circumstances: Sequence[Finding],
) -> ET.Element:
    """Add a suite with a case for each budget, and one for all circumstances.

    Args:
        root: the ``testsuites`` element.
        name: of the suite.
        decisions: the budgets.
        circumstances: other findings.
    """
    suite = ET.SubElement(root, "testsuite", name=name)
    for decision in decisions:
        text = decision.budget.text
        _add_case(suite, text, decision.verdict, explain(decision), decision.budget.metric)
    if circumstances:
        words = "; ".join(words for _, words in circumstances)
        verdict = worst([verdict for verdict, _ in circumstances])
        _add_case(suite, "run", verdict, words, "run")
    for tag, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(plural, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    return suite


def as_text(root: ET.Element) -> str:
    """Return the document as text."""
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: ET.Element, name: str, verdict: Verdict, words: str, classname: str) -> None:
    words = _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", words)
    case = ET.SubElement(suite, "testcase", classname=classname, name=name)
    if verdict in _TAGS:
        ET.SubElement(case, _TAGS[verdict], message=words).text = words
    else:
        ET.SubElement(case, "system-out").text = words
